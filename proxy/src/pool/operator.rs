//! What operators command of a pool's backends. Such overrides of the configuration outlive a reload that starts other
//! workers, and an upgrade.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::admission::dispatcher::Dispatcher;
use super::members::backend::{Backend, GREATEST_WEIGHT};
use super::members::roster::Roster;

/// By the backend's name; of those of whom something was commanded.
pub type Overrides = BTreeMap<String, Override>;

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default)]
pub struct Override {
    pub drained: bool,
    /// None where the configured one holds.
    pub weight: Option<u32>,
}

impl Override {
    fn of(backend: &Backend) -> Self {
        let weight = backend.weight();
        Self {
            drained: backend.is_drained(),
            weight: (weight != backend.configured_weight()).then_some(weight),
        }
    }

    /// Has a backend follow what was commanded of the one that had its name.
    pub fn apply(self, backend: &Backend) {
        backend.set_drained(self.drained);
        backend.set_weight(self.weight.unwrap_or(backend.configured_weight()));
    }
}

/// A pool as operators command it.
pub struct Operator<'a> {
    pub(super) roster: &'a Roster,
    pub(super) dispatcher: &'a Arc<Dispatcher>,
}

impl Operator<'_> {
    /// Drains a backend or takes it back; says whether there is one of that name.
    pub fn set_drained(&self, name: &str, drained: bool) -> bool {
        let Some(backend) = self.roster.member(name) else {
            return false;
        };
        backend.set_drained(drained);
        tracing::info!(
            pool = self.roster.pool(),
            backend = name,
            "{}",
            if drained { "drained" } else { "no longer drained" }
        );
        self.roster.tell_change();
        self.dispatcher.serve();
        true
    }

    /// Gives a backend another weight, 0 to drain it; says whether there is one of that name.
    pub fn set_weight(&self, name: &str, weight: u32) -> bool {
        let Some(backend) = self.roster.member(name) else {
            return false;
        };
        backend.set_weight(weight.min(GREATEST_WEIGHT));
        self.roster.regroup();
        tracing::info!(pool = self.roster.pool(), backend = name, weight, "weight changed");
        self.dispatcher.serve();
        true
    }

    /// What has been commanded and holds at this moment.
    pub fn overrides(&self) -> Overrides {
        overrides(self.roster)
    }

    /// Does as was commanded of backends of these names; there may be none of a name any more.
    pub fn obey(&self, overrides: &Overrides) {
        for (name, one) in overrides {
            if one.drained {
                self.set_drained(name, true);
            }
            if let Some(weight) = one.weight {
                self.set_weight(name, weight);
            }
        }
    }
}

/// What has been commanded of these and holds at this moment.
pub fn overrides(roster: &Roster) -> Overrides {
    let members = roster.members();
    let all = members
        .iter()
        .map(|backend| (backend.name().to_owned(), Override::of(backend)));
    all.filter(|(_, one)| *one != Override::default()).collect()
}
