//! Nginx's `ip_hash`, bit for bit: the first three octets of an IPv4 address, or all of an IPv6 one, modulo the total
//! weight; up to 20 rehashes past backends that are not offered, then round robin.
//! Source of the rules: `ngx_http_upstream_ip_hash_module.c`.

use std::net::IpAddr;
use std::sync::Arc;

use super::round_robin::RoundRobin;
use super::select::{Algorithm, Candidates, Select};
use super::settings::NoSettings;
use crate::pool::choose::key::Key;
use crate::pool::members::backend::Backend;

pub struct NginxIpHash {
    weights: Vec<u64>,
    total: u64,
    fallback: RoundRobin,
}

impl NginxIpHash {
    pub fn new(tier: &[Arc<Backend>]) -> Self {
        let weights: Vec<_> = tier.iter().map(|backend| u64::from(backend.weight())).collect();
        Self {
            total: weights.iter().sum(),
            weights,
            fallback: RoundRobin::new(tier),
        }
    }

    /// Whose stretch of the weights laid end to end the hash falls into.
    fn place(&self, hash: u64) -> Option<usize> {
        let mut left = hash % self.total;
        self.weights.iter().position(|weight| {
            let here = left < *weight;
            left = left.saturating_sub(*weight);
            here
        })
    }
}

impl Algorithm for NginxIpHash {
    type Settings = NoSettings;

    fn build(_: &NoSettings, tier: &[Arc<Backend>]) -> Self {
        Self::new(tier)
    }

    fn strict(settings: &NoSettings) -> Option<NoSettings> {
        Some(*settings)
    }
}

impl Select for NginxIpHash {
    fn pick(&self, key: &Key, candidates: &Candidates<'_>) -> Option<usize> {
        // With one backend Nginx does not hash either.
        if self.weights.len() > 1 && self.total > 0 {
            let mut hash = SEED;
            for _ in 0..=REHASHES {
                hash = rehash(hash, key.client());
                if let Some(place) = self.place(hash).filter(|place| candidates.offers(*place)) {
                    return Some(place);
                }
            }
        }
        self.fallback.next(candidates, |_| true)
    }
}

const SEED: u64 = 89;
const REHASHES: usize = 20;

fn rehash(hash: u64, client: IpAddr) -> u64 {
    let step = |hash, octet: &u8| (hash * 113 + u64::from(*octet)) % 6271;
    match client {
        IpAddr::V4(address) => address.octets()[..3].iter().fold(hash, step),
        IpAddr::V6(address) => address.octets().iter().fold(hash, step),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::super::fixture::{assert_only_keys_of, letter, pick, pick_all, tier};
    use super::*;

    proptest! {
        /// All that it promises: when a server joins or changes its weight, anybody may move.
        #[test]
        fn keys_of_living_backends_do_not_move_when_another_dies(dead in 0_usize..5, seed: u64) {
            let tier = tier(&[1, 3, 1, 2, 1]);
            let before = pick_all(&NginxIpHash::new(&tier), &tier, seed, |_| true);
            let after = pick_all(&NginxIpHash::new(&tier), &tier, seed, |place| place != dead);
            assert_only_keys_of(dead, &before, &after);
        }
    }

    /// What Nginx 1.22 chose for these clients with weights 3, 3 and 1; then with the second server `down`.
    const NGINX: [(&str, char, char); 10] = [
        ("192.0.2.7", 'b', 'a'),
        ("198.51.100.23", 'b', 'c'),
        ("203.0.113.99", 'a', 'a'),
        ("10.1.2.3", 'c', 'c'),
        ("172.16.254.1", 'a', 'a'),
        ("8.8.8.8", 'c', 'c'),
        ("1.1.1.1", 'c', 'c'),
        ("2001:db8::1", 'b', 'a'),
        ("2001:db8:7:8::42", 'b', 'c'),
        ("fe80::1", 'b', 'a'),
    ];

    #[test]
    fn chooses_as_nginx_does() {
        let tier = tier(&[3, 3, 1]);
        let select = NginxIpHash::new(&tier);
        for (client, all_up, second_down) in NGINX {
            let key = Key::of_client(client.parse().unwrap());
            assert_eq!(
                pick(&select, &tier, &key, |_| true).map(letter),
                Some(all_up),
                "{client}"
            );
            assert_eq!(
                pick(&select, &tier, &key, |place| place != 1).map(letter),
                Some(second_down),
                "{client}"
            );
        }
    }

    #[test]
    fn falls_back_to_round_robin_when_no_rehash_helps() {
        // The light one is hit by about one hash in a thousand, so hardly within 20.
        let tier = tier(&[1000, 1]);
        let select = NginxIpHash::new(&tier);
        let picks = super::super::fixture::pick_all(&select, &tier, 5, |place| place == 1);
        assert!(picks.iter().all(|place| *place == Some(1)));
    }
}
