//! What operators have commanded of a pool's backends, so that it outlives a reload that starts other workers, and an
//! upgrade.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Pool;
use super::backend::Backend;

/// By the backend's name; of those of whom something was commanded.
pub type Orders = BTreeMap<String, Order>;

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default)]
pub struct Order {
    pub drained: bool,
    /// None where the configured one holds.
    pub weight: Option<u32>,
}

impl Order {
    fn of(backend: &Backend) -> Self {
        let weight = backend.weight();
        Self {
            drained: backend.is_drained(),
            weight: (weight != backend.configured_weight()).then_some(weight),
        }
    }
}

/// Has a backend follow what was commanded of the one that had its name.
pub(super) fn follow(orders: &Orders, backend: &Backend) {
    if let Some(order) = orders.get(backend.name()) {
        backend.set_drained(order.drained);
        backend.set_weight(order.weight.unwrap_or(backend.configured_weight()));
    }
}

impl Pool {
    /// Drains a backend or takes it back; says whether there is one of that name.
    pub fn set_drained(self: &Arc<Self>, name: &str, drained: bool) -> bool {
        let Some(backend) = self.backend(name) else {
            return false;
        };
        backend.set_drained(drained);
        tracing::info!(
            pool = self.name,
            backend = name,
            "{}",
            if drained { "drained" } else { "no longer drained" }
        );
        self.released();
        true
    }

    /// Gives a backend another weight, 0 to drain it; says whether there is one of that name.
    pub fn set_weight(self: &Arc<Self>, name: &str, weight: u32) -> bool {
        let Some(backend) = self.backend(name) else {
            return false;
        };
        backend.set_weight(weight);
        self.regroup();
        tracing::info!(pool = self.name, backend = name, weight, "weight changed");
        true
    }

    pub fn orders(&self) -> Orders {
        let backends = self.backends();
        let all = backends
            .iter()
            .map(|backend| (backend.name().to_owned(), Order::of(backend)));
        all.filter(|(_, order)| *order != Order::default()).collect()
    }

    /// Does as was commanded of backends of these names; there may be none of a name any more.
    pub fn obey(self: &Arc<Self>, orders: &Orders) {
        for (name, order) in orders {
            if order.drained {
                self.set_drained(name, true);
            }
            if let Some(weight) = order.weight {
                self.set_weight(name, weight);
            }
        }
    }
}
