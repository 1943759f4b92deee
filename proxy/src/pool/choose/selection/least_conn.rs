//! Nginx's `least_conn`: the fewest requests in flight for its weight; equals take turns by smooth round robin.

use std::sync::Arc;

use parking_lot::Mutex;

use super::load::{Load, LoadConfig};
use super::round_robin::RoundRobin;
use super::select::{Algorithm, Candidates, Select};
use crate::pool::choose::key::Key;
use crate::pool::clock::Moment;
use crate::pool::members::backend::Backend;

pub struct LeastConn {
    load: Load,
    turns: RoundRobin,
    /// How busy the least busy one was when all were last looked at.
    last: Mutex<Option<(Moment, f64)>>,
}

impl LeastConn {
    pub fn new(load: Load, tier: &[Arc<Backend>]) -> Self {
        Self {
            load,
            turns: RoundRobin::new(tier),
            last: Mutex::new(None),
        }
    }

    /// Of a large tier, one whose turn comes soon and that is idle, or as little busy as anybody was within this millisecond.
    fn soon(&self, candidates: &Candidates<'_>) -> Option<usize> {
        let least = match *self.last.lock() {
            Some((then, least)) if then == candidates.now => least,
            _ => 0.0,
        };
        self.turns
            .soon(candidates, |backend| self.load.per_share(backend, candidates) <= least)
    }

    fn least(&self, candidates: &Candidates<'_>) -> Option<f64> {
        let busy = candidates
            .iter()
            .map(|(_, backend)| self.load.per_share(backend, candidates));
        let least = busy.min_by(f64::total_cmp)?;
        *self.last.lock() = Some((candidates.now, least));
        Some(least)
    }

    fn pick_of_all(&self, candidates: &Candidates<'_>) -> Option<usize> {
        let least = self.least(candidates)?;
        let joins = |backend: &Backend| self.load.per_share(backend, candidates) <= least;
        // A request that ends in between may leave nobody at exactly `least`; then anybody at or under it is right.
        let equals = self.turns.next(candidates, joins);
        equals.or_else(|| self.turns.next(candidates, |_| true))
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
        self.soon(candidates).or_else(|| self.pick_of_all(candidates))
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{client, hold, hold_bytes, pick, pick_all, sequence, tier};
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
    fn the_only_idle_one_of_many_is_found() {
        let many = tier(&[1; 300]);
        let _held: Vec<_> = many.iter().take(299).map(|backend| hold(backend, 2)).collect();
        let picks = pick_all(&LeastConn::new(Load::Requests, &many), &many, 0, |_| true);
        assert!(picks.iter().all(|place| *place == Some(299)));
    }

    #[test]
    fn many_that_are_all_busy_share_what_comes() {
        let many = tier(&[1; 300]);
        let select = LeastConn::new(Load::Requests, &many);
        let held: Vec<_> = (0..900)
            .filter_map(|number| pick(&select, &many, &client(number), |_| true))
            .map(|place| hold(&many[place], 1))
            .collect();
        assert_eq!(held.len(), 900);
        assert!(many.iter().all(|backend| backend.in_flight() == 3));
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
