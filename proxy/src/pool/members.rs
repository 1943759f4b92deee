//! Who is in a pool: its tiers of backends, made from what the configuration says.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use super::backend::{Backend, BackendConfig};
use super::clock::Moment;
use super::key::Key;
use super::select::{Candidates, Select, SelectConfig};
use super::spawn::SpawnError;

pub struct Members {
    pub primaries: Tier,
    pub backups: Tier,
}

/// Backends that are asked before those of the next tier.
pub struct Tier {
    backends: Vec<Arc<Backend>>,
    select: Box<dyn Select>,
}

impl Members {
    pub fn new(select: &SelectConfig, backends: Vec<Arc<Backend>>) -> Self {
        let (backups, primaries) = backends.into_iter().partition(|backend| backend.is_backup());
        Self {
            primaries: Tier::new(select, primaries),
            backups: Tier::new(select, backups),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Backend>> {
        self.primaries.backends.iter().chain(&self.backups.backends)
    }

    pub fn any(&self, holds: impl Fn(&Backend) -> bool) -> bool {
        self.iter().any(|backend| holds(backend))
    }

    /// Claims a place in the first tier that has one to offer.
    pub fn claim(
        &self,
        key: &Key,
        now: Moment,
        offers: impl Fn(&Backend) -> bool,
        claim: impl Fn(&Backend) -> bool,
    ) -> Option<&Arc<Backend>> {
        [&self.primaries, &self.backups]
            .into_iter()
            .find_map(|tier| tier.claim(key, now, &offers, &claim))
    }
}

impl Tier {
    fn new(select: &SelectConfig, backends: Vec<Arc<Backend>>) -> Self {
        Self {
            select: select.build(&backends),
            backends,
        }
    }

    /// Picks until a claim holds: between pick and claim another request may have taken the last place.
    fn claim(
        &self,
        key: &Key,
        now: Moment,
        offers: &dyn Fn(&Backend) -> bool,
        claim: &dyn Fn(&Backend) -> bool,
    ) -> Option<&Arc<Backend>> {
        let candidates = Candidates {
            backends: &self.backends,
            now,
            offers,
        };
        (0..=self.backends.len())
            .map_while(|_| self.select.pick(key, &candidates))
            .map(|place| &self.backends[place])
            .find(|backend| claim(backend))
    }
}

/// One backend for each address that its name has; where there are several, each is known by its own address too.
pub fn resolved(written: &BackendConfig) -> Result<Vec<(BackendConfig, SocketAddr)>, PoolProblem> {
    let unresolved = |source| PoolProblem::Unresolved {
        address: written.address.to_string(),
        source,
    };
    let addresses = written.address.resolve().map_err(unresolved)?;
    let several = addresses.len() > 1;
    let known_by = |address: SocketAddr| match &written.name {
        Some(name) if several => Some(format!("{name}/{address}")),
        Some(name) => Some(name.clone()),
        None if several => Some(address.to_string()),
        None => None,
    };
    let one = |address| {
        (
            BackendConfig {
                name: known_by(address),
                ..written.clone()
            },
            address,
        )
    };
    Ok(addresses.into_iter().map(one).collect())
}

/// Names tell backends apart for the operator, and addresses do on the Ketama ring.
pub fn refuse_twins(backends: &[Arc<Backend>]) -> Result<(), PoolProblem> {
    let (mut names, mut addresses) = (HashSet::new(), HashSet::new());
    for backend in backends {
        if !names.insert(backend.name()) {
            return Err(PoolProblem::SameName(backend.name().to_owned()));
        }
        if !addresses.insert(backend.address()) {
            return Err(PoolProblem::SameAddress(backend.address()));
        }
    }
    Ok(())
}

/// Why a pool cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("pool {pool:?}: {problem}")]
pub struct PoolError {
    pub pool: String,
    #[source]
    pub problem: PoolProblem,
}

#[derive(Debug, thiserror::Error)]
pub enum PoolProblem {
    #[error("backend {address}: the name cannot be resolved: {source}")]
    Unresolved { address: String, source: io::Error },
    #[error("two backends are called {0:?}")]
    SameName(String),
    #[error("two backends have the address {0}")]
    SameAddress(SocketAddr),
    #[error(transparent)]
    Spawn(#[from] SpawnError),
}
