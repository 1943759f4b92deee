//! Which backend of a tier a request goes to: one file an algorithm.
//!
//! An algorithm sees the tier's backends and which of them are offered; it never decides who is fit to serve.

mod bounded;
mod ip_hash;
mod ketama;
mod least_conn;
mod random_two;
mod rendezvous;
mod round_robin;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

pub use self::bounded::LoadFactor;
use super::backend::Backend;
use super::clock::Moment;
use super::key::{Key, KeyConfig};
use super::random::{Random, mix};

/// Chooses among the backends of one tier.
pub trait Select: Send + Sync {
    /// The index, in the tier, of the backend for this key; none only if none is offered.
    fn pick(&self, key: &Key, candidates: &Candidates<'_>) -> Option<usize>;
}

/// `select: { ketama: { key: client_address } }`, `select: { least_conn: {} }`
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum SelectConfig {
    /// Consistent hashing on Nginx's ring (`hash … consistent`).
    Ketama(HashConfig),
    /// Consistent hashing by highest score: the most even, at a cost that grows with the number of backends.
    Rendezvous(HashConfig),
    /// Nginx's `ip_hash`, the same backend for the same address.
    NginxIpHash(NoSettings),
    /// Nginx's smooth weighted round robin.
    RoundRobin(NoSettings),
    /// Nginx's `least_conn`: fewest requests in flight for its weight.
    LeastConn(NoSettings),
    /// Nginx's `random two least_conn`: the less busy of two drawn by weight.
    RandomTwo(NoSettings),
}

impl Default for SelectConfig {
    fn default() -> Self {
        Self::Ketama(HashConfig::default())
    }
}

impl SelectConfig {
    /// Prepares the algorithm for the backends of one tier, with the weights they have now.
    pub fn build(&self, tier: &[Arc<Backend>]) -> Box<dyn Select> {
        match self {
            Self::Ketama(config) => Box::new(ketama::Ketama::new(config.load_factor, tier)),
            Self::Rendezvous(config) => Box::new(rendezvous::Rendezvous::new(config.load_factor, tier)),
            Self::NginxIpHash(_) => Box::new(ip_hash::NginxIpHash::new(tier)),
            Self::RoundRobin(_) => Box::new(round_robin::RoundRobin::new(tier)),
            Self::LeastConn(_) => Box::new(least_conn::LeastConn::new(tier)),
            Self::RandomTwo(_) => Box::new(random_two::RandomTwo::new(Random::default())),
        }
    }

    /// What it is called in YAML.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ketama(_) => "ketama",
            Self::Rendezvous(_) => "rendezvous",
            Self::NginxIpHash(_) => "nginx_ip_hash",
            Self::RoundRobin(_) => "round_robin",
            Self::LeastConn(_) => "least_conn",
            Self::RandomTwo(_) => "random_two",
        }
    }

    /// The same, but by the key alone, whatever the load; none where the key has no say.
    pub fn strict(&self) -> Option<Self> {
        let strict = |config: &HashConfig| HashConfig {
            load_factor: LoadFactor::Off,
            ..config.clone()
        };
        match self {
            Self::Ketama(config) => Some(Self::Ketama(strict(config))),
            Self::Rendezvous(config) => Some(Self::Rendezvous(strict(config))),
            Self::NginxIpHash(_) => Some(self.clone()),
            Self::RoundRobin(_) | Self::LeastConn(_) | Self::RandomTwo(_) => None,
        }
    }

    /// What requests are told apart by.
    pub fn key(&self) -> &KeyConfig {
        match self {
            Self::Ketama(config) | Self::Rendezvous(config) => &config.key,
            Self::NginxIpHash(_) | Self::RoundRobin(_) | Self::LeastConn(_) | Self::RandomTwo(_) => {
                &KeyConfig::ClientAddress
            }
        }
    }
}

/// `{ key: client_address, load_factor: 1.25 }`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct HashConfig {
    pub key: KeyConfig,
    pub load_factor: LoadFactor,
}

/// `{}`
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}

/// A tier's backends, and which of them a request may go to.
pub struct Candidates<'a> {
    pub backends: &'a [Arc<Backend>],
    pub now: Moment,
    pub offers: &'a dyn Fn(&Backend) -> bool,
}

impl Candidates<'_> {
    pub fn offers(&self, index: usize) -> bool {
        self.backends.get(index).is_some_and(|backend| (self.offers)(backend))
    }

    /// The offered backends with their index in the tier.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Backend)> {
        self.backends
            .iter()
            .enumerate()
            .filter(|(_, backend)| (self.offers)(backend))
            .map(|(i, backend)| (i, &**backend))
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
pub mod fixture;
