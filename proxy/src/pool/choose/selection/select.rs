//! What an algorithm is: it sees a tier's backends and which of them are offered, and never decides who is fit to serve.

use std::sync::Arc;

use crate::pool::choose::key::Key;
use crate::pool::choose::key_config::KeyConfig;
use crate::pool::clock::Moment;
use crate::pool::members::backend::Backend;

/// Chooses among the backends of one tier.
pub trait Select: Send + Sync {
    /// The index, in the tier, of the backend for this key; none only if none is offered.
    fn pick(&self, key: &Key, candidates: &Candidates<'_>) -> Option<usize>;
}

/// How an algorithm is made from what YAML says of it.
pub trait Algorithm: Select + Sized {
    type Settings;

    /// Prepares it for the backends of one tier, with the weights they have now.
    fn build(settings: &Self::Settings, tier: &[Arc<Backend>]) -> Self;

    /// What requests are told apart by.
    fn key(_: &Self::Settings) -> &KeyConfig {
        &KeyConfig::ClientAddress
    }

    /// The settings under which the key alone decides, whatever the load; none where it has no say.
    fn strict(_: &Self::Settings) -> Option<Self::Settings> {
        None
    }
}

/// The most backends of which each pick sees all. Of thousands that would cost more than all the rest of a request.
pub const SMALL_TIER: usize = 64;

/// A tier's backends, and which of them a request may go to.
pub struct Candidates<'a> {
    pub backends: &'a [Arc<Backend>],
    pub now: Moment,
    pub offers: &'a dyn Fn(&Backend) -> bool,
}

impl Candidates<'_> {
    pub fn offers(&self, index: usize) -> bool {
        self.backends.get(index).is_some_and(|backend| (self.offers)(backend))
    }

    /// The offered backends with their index in the tier.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Backend)> {
        self.backends
            .iter()
            .enumerate()
            .filter(|(_, backend)| (self.offers)(backend))
            .map(|(i, backend)| (i, &**backend))
    }
}
