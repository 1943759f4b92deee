//! A pool's backends in two tiers, each with its algorithm.
//!
//! Requests go to the primaries; to the backups when no primary is eligible; and when nobody at all is, to any that is
//! merely believed to be down (the panic tier): the checks may be wrong, and an attempt may succeed where giving up
//! cannot. Those an operator drained, that drain themselves or whose process is known not to run are not offered even
//! then.

use std::sync::Arc;

use super::key::Key;
use super::selection::SelectConfig;
use super::selection::select::{Candidates, Select};
use crate::pool::clock::Moment;
use crate::pool::members::backend::Backend;

pub struct Tiers {
    pub primaries: Tier,
    pub backups: Tier,
    /// Whether any takes a bounded number of requests.
    pub is_bounded: bool,
    /// Whether any says how many requests it works on at a time.
    pub counts_hands: bool,
}

/// Backends that are asked before those of the next tier.
pub struct Tier {
    backends: Vec<Arc<Backend>>,
    select: Box<dyn Select>,
}

impl Tiers {
    pub fn new(select: &SelectConfig, backends: &[Arc<Backend>]) -> Self {
        let (backups, primaries) = backends.iter().cloned().partition(|backend| backend.is_backup());
        Self {
            is_bounded: backends.iter().any(|backend| backend.max_conns().is_some()),
            counts_hands: backends.iter().any(|backend| backend.counts_hands()),
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
