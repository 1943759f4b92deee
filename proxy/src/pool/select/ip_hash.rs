//! Nginx's `ip_hash`, bit for bit: the first three octets of an IPv4 address, or all of an IPv6 one, modulo the total
//! weight; up to 20 rehashes past backends that are not offered, then round robin.
//! Source of the rules: `ngx_http_upstream_ip_hash_module.c`.

use std::net::IpAddr;
use std::sync::Arc;

use super::round_robin::RoundRobin;
use super::{Backend, Candidates, Key, Select};

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
