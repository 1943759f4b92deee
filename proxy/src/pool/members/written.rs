//! Backends as they are written, in the configuration or by a provider, and the addresses that their names have come to.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use super::backend::{Backend, BackendConfig};
use crate::client::endpoint::Endpoint;

/// A backend as it is written, and the address that its own has come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    pub config: BackendConfig,
    pub address: Endpoint,
}

/// Why backends cannot be members of one pool.
#[derive(Debug, thiserror::Error)]
pub enum MemberProblem {
    #[error("backend {address}: the name cannot be resolved: {source}")]
    Unresolved { address: String, source: io::Error },
    #[error("two backends are called {0:?}")]
    SameName(String),
    #[error("two backends have the address {0}")]
    SameAddress(Endpoint),
}

/// One backend for each address that its name has; where there are several, each is known by its own address too.
pub fn resolved(written: &BackendConfig) -> Result<Vec<Found>, MemberProblem> {
    let unresolved = |source| MemberProblem::Unresolved {
        address: written.address.to_string(),
        source,
    };
    Ok(expanded(written, written.address.resolve().map_err(unresolved)?))
}

/// As [`resolved`], of a name that these are the addresses of.
pub fn expanded(written: &BackendConfig, addresses: Vec<Endpoint>) -> Vec<Found> {
    let several = addresses.len() > 1;
    let known_by = |address: &Endpoint| match &written.name {
        Some(name) if several => Some(format!("{name}/{address}")),
        Some(name) => Some(name.clone()),
        None if several => Some(address.to_string()),
        None => None,
    };
    let one = |address| Found {
        config: BackendConfig {
            name: known_by(&address),
            ..written.clone()
        },
        address,
    };
    addresses.into_iter().map(one).collect()
}

/// Names tell backends apart for the operator, and addresses do on the Ketama ring.
pub fn refuse_twins(backends: impl Iterator<Item = (String, Endpoint)>) -> Result<(), MemberProblem> {
    let (mut names, mut addresses) = (HashSet::new(), HashSet::new());
    for (name, address) in backends {
        if let Some(address) = addresses.replace(address) {
            return Err(MemberProblem::SameAddress(address));
        }
        if let Some(name) = names.replace(name) {
            return Err(MemberProblem::SameName(name));
        }
    }
    Ok(())
}

/// Of several with one name or one address, the first: providers may name whom the pool has already.
pub fn without_twins(backends: impl Iterator<Item = Arc<Backend>>) -> Vec<Arc<Backend>> {
    let (mut names, mut addresses) = (HashSet::new(), HashSet::new());
    let mut is_first =
        |backend: &Arc<Backend>| names.insert(backend.name().to_owned()) && addresses.insert(backend.address().clone());
    backends.filter(|backend| is_first(backend)).collect()
}
