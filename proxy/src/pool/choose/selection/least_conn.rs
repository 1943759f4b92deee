//! Nginx's `least_conn`: the fewest requests in flight for its weight; equals take turns by smooth round robin.

use std::sync::Arc;

use super::load::{Load, LoadConfig};
use super::round_robin::RoundRobin;
use super::select::{Algorithm, Candidates, Select};
use crate::pool::choose::key::Key;
use crate::pool::members::backend::Backend;

pub struct LeastConn {
    load: Load,
    turns: RoundRobin,
}

impl LeastConn {
    pub fn new(load: Load, tier: &[Arc<Backend>]) -> Self {
        Self {
            load,
            turns: RoundRobin::new(tier),
        }
    }
}

impl Algorithm for LeastConn {
    type Settings = LoadConfig;

    fn build(settings: &LoadConfig, tier: &[Arc<Backend>]) -> Self {
        Self::new(settings.load, tier)
    }
}

impl Select for LeastConn {
    fn pick(&self, _: &Key, candidates: &Candidates<'_>) -> Option<usize> {
        let busy = |backend: &Backend| self.load.per_share(backend, candidates);
        let least = candidates
            .iter()
            .map(|(_, backend)| busy(backend))
            .min_by(f64::total_cmp)?;
        // A request that ends in between may leave nobody at exactly `least`; then anybody at or under it is right.
        let equals = self.turns.next(candidates, |backend| busy(backend) <= least);
        equals.or_else(|| self.turns.next(candidates, |_| true))
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{hold, hold_bytes, sequence, tier};
    use super::*;

    #[test]
    fn prefers_the_least_busy_for_its_weight() {
        let tier = tier(&[1, 1, 4]);
        let _held = [hold(&tier[0], 1), hold(&tier[1], 2), hold(&tier[2], 3)];
        assert_eq!(
            sequence(&LeastConn::new(Load::Requests, &tier), &tier, 3, |_| true),
            "ccc"
        );
        assert_eq!(
            sequence(&LeastConn::new(Load::Requests, &tier), &tier, 1, |place| place != 2),
            "a"
        );
    }

    #[test]
    fn a_large_upload_is_more_than_many_small_ones() {
        let tier = tier(&[1, 1]);
        let _held = (hold(&tier[0], 3), hold_bytes(&tier[1], 5_000_000));
        assert_eq!(
            sequence(&LeastConn::new(Load::Requests, &tier), &tier, 1, |_| true),
            "b"
        );
        assert_eq!(sequence(&LeastConn::new(Load::Bytes, &tier), &tier, 1, |_| true), "a");
    }

    #[test]
    fn equals_take_turns() {
        let tier = tier(&[1, 1, 1]);
        assert_eq!(
            sequence(&LeastConn::new(Load::Requests, &tier), &tier, 6, |_| true),
            "abcabc"
        );
    }
}
