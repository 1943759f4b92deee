//! Whose turn it is among very many: each is due again after a time that is the shorter the greater its weight, and the
//! one that is due first comes (earliest deadline first, as in Envoy's round robin). Unlike Nginx's smooth round robin, a
//! turn costs no pass over all.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::sync::Arc;

use parking_lot::Mutex;

use super::select::Candidates;
use crate::pool::clock::Moment;
use crate::pool::members::backend::Backend;

/// Contended by all requests of the pool, for a few steps through a heap.
pub struct Turns(Mutex<BinaryHeap<Reverse<Turn>>>);

#[derive(Debug)]
struct Turn {
    due: f64,
    place: usize,
}

impl Turns {
    pub fn new(tier: &[Arc<Backend>]) -> Self {
        let now = Moment::now();
        let first = |(place, backend): (usize, &Arc<Backend>)| {
            let due = backend.share(now).recip();
            Reverse(Turn { due, place })
        };
        Self(Mutex::new(tier.iter().enumerate().map(first).collect()))
    }

    /// The first of those whose turn comes next that is offered and for which `joins` holds; none if none of a few does.
    /// Those before it have had their turn.
    pub fn next(&self, candidates: &Candidates<'_>, joins: impl Fn(&Backend) -> bool) -> Option<usize> {
        let mut turns = self.0.lock();
        for _ in 0..MOST_PASSED {
            let place = next(&mut turns, candidates)?;
            if candidates.offers(place) && joins(&candidates.backends[place]) {
                return Some(place);
            }
        }
        None
    }
}

fn next(turns: &mut BinaryHeap<Reverse<Turn>>, candidates: &Candidates<'_>) -> Option<usize> {
    let mut first = turns.peek_mut()?;
    let Reverse(turn) = &mut *first;
    let place = turn.place;
    turn.due += candidates.backends.get(place)?.share(candidates.now).recip();
    drop::<PeekMut<'_, _>>(first);
    Some(place)
}

/// Beyond, a pass over all is not much dearer.
const MOST_PASSED: usize = 32;

impl Ord for Turn {
    fn cmp(&self, other: &Self) -> Ordering {
        // Of equals, the first in the file.
        self.due.total_cmp(&other.due).then(self.place.cmp(&other.place))
    }
}

impl PartialOrd for Turn {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Turn {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Turn {}

#[cfg(test)]
mod tests {
    use super::super::fixture::{sequence_of, tier};
    use super::*;

    fn sequence(weights: &[u32], length: u64, offered: impl Fn(usize) -> bool) -> String {
        let tier = tier(weights);
        let turns = Turns::new(&tier);
        sequence_of(&tier, length, offered, |candidates| turns.next(candidates, |_| true))
    }

    #[test]
    fn each_comes_as_often_as_its_weight_and_not_at_once() {
        assert_eq!(sequence(&[1, 1, 1], 6, |_| true), "abcabc");
        assert_eq!(sequence(&[4, 2, 1], 14, |_| true), "aabaabcaabaabc");
    }

    #[test]
    fn who_is_not_offered_misses_a_turn_and_gains_none() {
        assert_eq!(sequence(&[1, 1, 1], 4, |place| place != 1), "acac");
        assert_eq!(sequence(&[0, 1], 3, |_| true), "bbb");
        assert_eq!(sequence(&[1, 1], 3, |_| false), "");
    }
}
