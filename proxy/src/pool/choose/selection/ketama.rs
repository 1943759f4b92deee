//! Consistent hashing on Pingora's Ketama ring, the same as Nginx's `hash … consistent`: 160 points a unit of weight.
//! The walk goes over distinct backends, not over points, so it finds any that is offered.

use std::collections::BTreeSet;
use std::sync::Arc;

use pingora_load_balancing::selection::consistent::{KetamaHashing, OwnedNodeIterator};
use pingora_load_balancing::selection::{BackendIter, BackendSelection};

use super::bounded::Bounded;
use super::select::{Candidates, Select};
use super::settings::ByKey;
use crate::pool::choose::key::Key;
use crate::pool::members::backend::Backend;

pub struct Ketama {
    ring: Arc<KetamaHashing>,
    /// Backends of the tier, and those of them that are on the ring.
    places: usize,
    nodes: usize,
    bounded: Bounded,
}

/// A backend's place in its tier, carried through Pingora's ring.
#[derive(Clone, Copy)]
struct Place(usize);

impl ByKey for Ketama {
    fn new(bounded: Bounded, tier: &[Arc<Backend>]) -> Self {
        // Pingora's ring refuses weight 0 by panicking. For us it means drained: no place on the ring.
        let total: u64 = tier.iter().map(|backend| u64::from(backend.weight())).sum();
        let nodes: BTreeSet<_> = tier
            .iter()
            .enumerate()
            .filter(|(_, b)| b.weight() > 0)
            .map(|(place, backend)| node(place, backend, total))
            .collect();
        Self {
            ring: Arc::new(KetamaHashing::build(&nodes)),
            places: tier.len(),
            nodes: nodes.len(),
            bounded,
        }
    }
}

impl Ketama {
    /// The places of the backends in the order in which this key prefers them, each once.
    fn order(&self, key: &Key) -> Distinct {
        Distinct {
            points: self.ring.iter(key.bytes()),
            seen: vec![false; self.places],
            unseen: self.nodes,
        }
    }
}

impl Select for Ketama {
    fn pick(&self, key: &Key, candidates: &Candidates<'_>) -> Option<usize> {
        let bound = self.bounded.with(key, candidates);
        self.order(key)
            .find(|place| candidates.offers(*place) && bound.admits(&candidates.backends[*place]))
    }
}

fn node(place: usize, backend: &Backend, total_weight: u64) -> pingora_load_balancing::Backend {
    let mut ext = pingora_load_balancing::Extensions::new();
    ext.insert(Place(place));
    pingora_load_balancing::Backend {
        addr: pingora::protocols::l4::socket::SocketAddr::Inet(backend.address().as_inet()),
        weight: on_ring(backend.weight().into(), total_weight) as usize,
        ext,
    }
}

/// A weight as the ring has it. Where all together would take more than some 50 MB of points, they keep their ratio only.
fn on_ring(weight: u64, total: u64) -> u64 {
    match total {
        0..=LARGEST_RING => weight,
        _ => (weight * LARGEST_RING / total).max(1),
    }
}

/// In units of weight, each of 160 points.
const LARGEST_RING: u64 = 20_000;

struct Distinct {
    points: OwnedNodeIterator,
    seen: Vec<bool>,
    unseen: usize,
}

impl Iterator for Distinct {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        while self.unseen > 0 {
            let Place(place) = *self.points.next()?.ext.get()?;
            if !std::mem::replace(&mut self.seen[place], true) {
                self.unseen -= 1;
                return Some(place);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::super::fixture::{self, pick_all, tier};
    use super::*;

    fn strict(tier: &[Arc<Backend>]) -> Ketama {
        Ketama::new(fixture::strict(), tier)
    }

    proptest! {
        #[test]
        fn keys_of_living_backends_do_not_move_when_another_dies(dead in 0_usize..5, seed: u64) {
            fixture::assert_a_death_moves_no_other_keys(strict, dead, seed);
        }

        #[test]
        fn keys_move_only_to_the_backend_that_joins(weight in 1_u32..5, seed: u64) {
            let with = tier(&[1, 3, weight]);
            let without = &with[..2];
            let before = pick_all(&strict(without), without, seed, |_| true);
            let after = pick_all(&strict(&with), &with, seed, |_| true);
            fixture::assert_only_keys_of(2, &after, &before);
        }

        #[test]
        fn finds_the_only_living_backend_for_every_key(alive in 0_usize..16, seed: u64) {
            let tier = tier(&[50, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
            prop_assert!(pick_all(&strict(&tier), &tier, seed, |place| place == alive).iter().all(|p| *p == Some(alive)));
        }

        #[test]
        fn load_never_exceeds_its_bound(weights in prop::collection::vec(1_u32..4, 2..6), seed: u64) {
            fixture::assert_bounded(Ketama::new, &weights, seed);
        }
    }

    /// What Nginx 1.22 chose by `hash $remote_addr consistent` among 127.0.0.1:9101 to 9103 with weights 3, 3 and 1.
    const NGINX: [(&str, char); 10] = [
        ("192.0.2.7", 'b'),
        ("198.51.100.23", 'b'),
        ("203.0.113.99", 'b'),
        ("10.1.2.3", 'b'),
        ("172.16.254.1", 'b'),
        ("8.8.8.8", 'b'),
        ("1.1.1.1", 'a'),
        ("2001:db8::1", 'a'),
        ("2001:db8:7:8::42", 'c'),
        ("fe80::1", 'b'),
    ];

    #[test]
    fn chooses_as_nginx_does() {
        let tier = tier(&[3, 3, 1]);
        for (client, choice) in NGINX {
            let key = Key::of_client(client.parse().unwrap());
            assert_eq!(
                fixture::pick(&strict(&tier), &tier, &key, |_| true).map(fixture::letter),
                Some(choice),
                "{client}"
            );
        }
    }

    #[test]
    fn a_drained_backend_has_no_points() {
        let tier = tier(&[0, 1, 0, 1]);
        assert!(
            pick_all(&strict(&tier), &tier, 7, |_| true)
                .iter()
                .all(|place| matches!(place, Some(1 | 3)))
        );
        let none: Vec<_> = fixture::tier(&[0, 0]);
        assert!(pick_all(&strict(&none), &none, 7, |_| true).iter().all(Option::is_none));
    }
}
