//! Nginx's `least_conn`: the fewest requests in flight for its weight; equals take turns by smooth round robin.

use std::sync::Arc;

use super::round_robin::RoundRobin;
use super::{Backend, Candidates, Key, Select};

pub struct LeastConn {
    turns: RoundRobin,
}

impl LeastConn {
    pub fn new(tier: &[Arc<Backend>]) -> Self {
        Self {
            turns: RoundRobin::new(tier),
        }
    }
}

impl Select for LeastConn {
    fn pick(&self, _: &Key, candidates: &Candidates<'_>) -> Option<usize> {
        let least = candidates
            .iter()
            .map(|(_, backend)| load(backend, candidates))
            .min_by(f64::total_cmp)?;
        // A request that ends in between may leave nobody at exactly `least`; then anybody at or under it is right.
        let equals = self
            .turns
            .next(candidates, |backend| load(backend, candidates) <= least);
        equals.or_else(|| self.turns.next(candidates, |_| true))
    }
}

/// Requests in flight for each unit of share.
pub fn load(backend: &Backend, candidates: &Candidates<'_>) -> f64 {
    f64::from(backend.in_flight()) / backend.share(candidates.now)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{hold, sequence, tier};
    use super::*;

    #[test]
    fn prefers_the_least_busy_for_its_weight() {
        let tier = tier(&[1, 1, 4]);
        let _held = [hold(&tier[0], 1), hold(&tier[1], 2), hold(&tier[2], 3)];
        assert_eq!(sequence(&LeastConn::new(&tier), &tier, 3, |_| true), "ccc");
        assert_eq!(sequence(&LeastConn::new(&tier), &tier, 1, |place| place != 2), "a");
    }

    #[test]
    fn equals_take_turns() {
        let tier = tier(&[1, 1, 1]);
        assert_eq!(sequence(&LeastConn::new(&tier), &tier, 6, |_| true), "abcabc");
    }
}
