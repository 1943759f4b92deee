//! Nginx's smooth weighted round robin: each turn every backend gains its weight, and the richest one pays the total.
//! Weights 5, 1, 1 give a a b a c a a, not a a a a a b c. A large tier goes by deadlines instead, which for equal weights
//! is the same.

use std::sync::Arc;

use parking_lot::Mutex;

use super::select::{Algorithm, Candidates, SMALL_TIER, Select};
use super::settings::NoSettings;
use super::turns::Turns;
use crate::pool::choose::key::Key;
use crate::pool::members::backend::Backend;

pub struct RoundRobin {
    /// Each backend's credit. Contended by all requests of the pool, for the length of one pass over its backends;
    /// an order that depends on every earlier pick cannot do with less.
    credits: Mutex<Vec<f64>>,
    /// Of a large tier.
    turns: Option<Turns>,
}

impl RoundRobin {
    pub fn new(tier: &[Arc<Backend>]) -> Self {
        Self {
            credits: Mutex::new(vec![0.0; tier.len()]),
            turns: (tier.len() > SMALL_TIER).then(|| Turns::new(tier)),
        }
    }

    /// The next in turn of the candidates for which `joins` holds.
    pub fn next(&self, candidates: &Candidates<'_>, joins: impl Fn(&Backend) -> bool) -> Option<usize> {
        self.soon(candidates, &joins)
            .or_else(|| self.richest(candidates, joins))
    }

    /// As [`RoundRobin::next`], but only without a look at all: none in a small tier, or where few join.
    pub fn soon(&self, candidates: &Candidates<'_>, joins: impl Fn(&Backend) -> bool) -> Option<usize> {
        self.turns.as_ref()?.next(candidates, joins)
    }

    fn richest(&self, candidates: &Candidates<'_>, joins: impl Fn(&Backend) -> bool) -> Option<usize> {
        let mut credits = self.credits.lock();
        let mut total = 0.0;
        let mut richest: Option<usize> = None;
        for (place, backend) in candidates.iter().filter(|(_, backend)| joins(backend)) {
            let share = backend.share(candidates.now);
            total += share;
            credits[place] += share;
            // Strictly greater, as in Nginx: of equals, the first in the file.
            if richest.is_none_or(|best| credits[place] > credits[best]) {
                richest = Some(place);
            }
        }
        if let Some(place) = richest {
            credits[place] -= total;
        }
        richest
    }
}

impl Algorithm for RoundRobin {
    type Settings = NoSettings;

    fn build(_: &NoSettings, tier: &[Arc<Backend>]) -> Self {
        Self::new(tier)
    }
}

impl Select for RoundRobin {
    fn pick(&self, _: &Key, candidates: &Candidates<'_>) -> Option<usize> {
        self.next(candidates, |_| true)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{pick_all, sequence, tier};
    use super::*;

    /// The sequence of real Nginx 1.22 with these weights.
    #[test]
    fn goes_round_as_nginx_does() {
        let tier = tier(&[5, 1, 1]);
        assert_eq!(sequence(&RoundRobin::new(&tier), &tier, 14, |_| true), "aabacaaaabacaa");
        let tier = super::super::fixture::tier(&[4, 3, 2]);
        assert_eq!(sequence(&RoundRobin::new(&tier), &tier, 14, |_| true), "abcabacbaabcab");
    }

    #[test]
    fn many_take_turns_as_few_do() {
        let many = tier(&[1; 500]);
        let select = RoundRobin::new(&many);
        let picks = |offered: fn(usize) -> bool| pick_all(&select, &many, 0, offered);
        assert_eq!(picks(|_| true), (0..500).map(Some).collect::<Vec<_>>());
        assert!(picks(|place| place == 499).iter().all(|place| *place == Some(499)));
        assert!(picks(|_| false).iter().all(Option::is_none));
    }

    #[test]
    fn passes_over_those_not_offered() {
        let tier = tier(&[1, 1, 1]);
        assert_eq!(sequence(&RoundRobin::new(&tier), &tier, 4, |place| place != 1), "acac");
    }
}
