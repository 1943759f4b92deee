//! Rendezvous hashing (Thaler and Ravishankar, 1998) with weights (Schindler's logarithm method, 2005): every backend
//! scores every key, and the highest score wins. Backends hash by name, so a changed address moves nobody.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::bounded::Bounded;
use super::select::{Candidates, Select};
use super::settings::ByKey;
use crate::pool::choose::key::Key;
use crate::pool::members::backend::Backend;
use crate::pool::random::mix;

pub struct Rendezvous {
    /// Those of the same weight, whose scores can be compared before the logarithm.
    groups: Vec<Group>,
    bounded: Bounded,
}

struct Group {
    weight: f64,
    nodes: Vec<Node>,
}

struct Node {
    seed: u64,
    place: usize,
}

impl ByKey for Rendezvous {
    fn new(bounded: Bounded, tier: &[Arc<Backend>]) -> Self {
        let mut groups: BTreeMap<u32, Vec<Node>> = BTreeMap::new();
        for (place, backend) in tier.iter().enumerate() {
            let seed = hash64(backend.name().as_bytes(), 0);
            groups.entry(backend.weight()).or_default().push(Node { seed, place });
        }
        let group = |(weight, nodes)| Group {
            weight: f64::from(weight),
            nodes,
        };
        Self {
            groups: groups.into_iter().map(group).collect(),
            bounded,
        }
    }
}

impl Select for Rendezvous {
    fn pick(&self, key: &Key, candidates: &Candidates<'_>) -> Option<usize> {
        let bound = self.bounded.with(key, candidates);
        let hash = hash64(key.bytes(), 0);
        let takes = |place: usize| candidates.offers(place) && bound.admits(&candidates.backends[place]);
        self.groups
            .iter()
            .filter_map(|group| group.highest(hash, takes))
            .max_by(|(_, a), (_, b)| a.total_cmp(b))
            .map(|(place, _)| place)
    }
}

impl Group {
    /// Who of those that take it scores highest for this key, and how high. Only who would be the highest so far is asked
    /// whether it takes it, which is a handful of thousands.
    fn highest(&self, key: u64, takes: impl Fn(usize) -> bool) -> Option<(usize, f64)> {
        let mut highest: Option<(u64, usize)> = None;
        for node in &self.nodes {
            let drawn = mix(node.seed ^ key) >> 11;
            if highest.is_none_or(|(most, _)| drawn > most) && takes(node.place) {
                highest = Some((drawn, node.place));
            }
        }
        highest.map(|(drawn, place)| (place, self.score(drawn)))
    }

    fn score(&self, drawn: u64) -> f64 {
        // 53 bits make a fraction; the half keeps it off 0 and 1, where the logarithm has no use.
        let fraction = (drawn as f64 + 0.5) / (1_u64 << 53) as f64;
        -self.weight / fraction.ln()
    }
}

/// A hash that stays the same from build to build, unlike the standard library's: FNV-1a, then SplitMix64's finaliser
/// because FNV alone mixes its last bytes poorly.
fn hash64(bytes: &[u8], seed: u64) -> u64 {
    let fnv = bytes.iter().fold(0xcbf2_9ce4_8422_2325 ^ seed, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    mix(fnv)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixture::{self, pick_all, tier};
    use super::*;

    fn strict(tier: &[Arc<Backend>]) -> Rendezvous {
        Rendezvous::new(fixture::strict(), tier)
    }

    proptest! {
        #[test]
        fn keys_of_living_backends_do_not_move_when_another_dies(dead in 0_usize..5, seed: u64) {
            fixture::assert_a_death_moves_no_other_keys(strict, dead, seed);
        }

        #[test]
        fn keys_move_only_to_the_backend_that_gains_weight(weight in 2_u32..5, seed: u64) {
            let light = tier(&[1, 3, 1]);
            let heavy = tier(&[1, 3, weight]);
            let before = pick_all(&strict(&light), &light, seed, |_| true);
            let after = pick_all(&strict(&heavy), &heavy, seed, |_| true);
            fixture::assert_only_keys_of(2, &after, &before);
        }

        #[test]
        fn load_never_exceeds_its_bound(weights in prop::collection::vec(1_u32..4, 2..6), seed: u64) {
            fixture::assert_bounded(Rendezvous::new, &weights, seed);
        }
    }

    #[test]
    fn keys_spread_by_weight() {
        let tier = tier(&[1, 3]);
        let picks = pick_all(&strict(&tier), &tier, 11, |_| true);
        let heavy = picks.iter().filter(|place| **place == Some(1)).count() as f64 / picks.len() as f64;
        assert!((0.70..0.80).contains(&heavy), "{heavy}");
    }
}
