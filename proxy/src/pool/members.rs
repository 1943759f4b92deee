//! Who is in a pool: its tiers of backends, made from what the configuration says.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use super::Pool;
use super::backend::{Backend, BackendConfig};
use super::clock::Moment;
use super::discovery::{DiscoverConfig, Found, Source};
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

    pub fn backends(&self) -> &[Arc<Backend>] {
        &self.backends
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

impl Pool {
    /// What the sources of backends could not say when they were last asked.
    pub fn troubles(&self) -> Vec<String> {
        let statuses = self.sources.iter().map(|source| source.status());
        statuses
            .filter_map(|status| Some(format!("{}: {}", status.source, status.trouble?)))
            .collect()
    }

    /// The source of this configuration.
    pub(super) fn source(&self, config: &DiscoverConfig) -> Option<&Source> {
        let found = self.sources.iter().find(|source| source.config() == config);
        found.map(Arc::as_ref)
    }

    /// The backend of this name, here or before the reload that made this pool.
    pub(super) fn known(&self, name: &str) -> Option<Arc<Backend>> {
        let inherited = || self.inherited.iter().find(|backend| backend.name() == name).cloned();
        self.backend(name).or_else(inherited)
    }

    /// Puts the tiers together from all who belong to the pool now, by the weights that they have now.
    pub(super) fn regroup(self: &Arc<Self>) {
        let one_at_a_time = self.regrouping.lock();
        let found = self.sources.iter().flat_map(|source| source.backends());
        let backends = without_twins(self.fixed.iter().cloned().chain(found));
        self.members
            .store(Arc::new(Members::new(&self.config.select, backends)));
        drop(one_at_a_time);
        self.regrouped.send_replace(());
        self.noticed_change();
    }
}

/// One backend for each address that its name has; where there are several, each is known by its own address too.
pub fn resolved(written: &BackendConfig) -> Result<Vec<Found>, PoolProblem> {
    let unresolved = |source| PoolProblem::Unresolved {
        address: written.address.to_string(),
        source,
    };
    Ok(expanded(written, written.address.resolve().map_err(unresolved)?))
}

/// As [`resolved`], of a name that these are the addresses of.
pub fn expanded(written: &BackendConfig, addresses: Vec<SocketAddr>) -> Vec<Found> {
    let several = addresses.len() > 1;
    let known_by = |address: SocketAddr| match &written.name {
        Some(name) if several => Some(format!("{name}/{address}")),
        Some(name) => Some(name.clone()),
        None if several => Some(address.to_string()),
        None => None,
    };
    let one = |address| Found {
        config: BackendConfig {
            name: known_by(address),
            ..written.clone()
        },
        address,
    };
    addresses.into_iter().map(one).collect()
}

/// Names tell backends apart for the operator, and addresses do on the Ketama ring.
pub fn refuse_twins(backends: impl Iterator<Item = (String, SocketAddr)>) -> Result<(), PoolProblem> {
    let (mut names, mut addresses) = (HashSet::new(), HashSet::new());
    for (name, address) in backends {
        if !addresses.insert(address) {
            return Err(PoolProblem::SameAddress(address));
        }
        if let Some(name) = names.replace(name) {
            return Err(PoolProblem::SameName(name));
        }
    }
    Ok(())
}

/// Of several with one name or one address, the first: sources may name whom the pool has already.
pub fn without_twins(backends: impl Iterator<Item = Arc<Backend>>) -> Vec<Arc<Backend>> {
    let (mut names, mut addresses) = (HashSet::new(), HashSet::new());
    let mut is_first =
        |backend: &Arc<Backend>| names.insert(backend.name().to_owned()) && addresses.insert(backend.address());
    backends.filter(|backend| is_first(backend)).collect()
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
