//! Which backend of a tier a request goes to: one file an algorithm.
//!
//! An algorithm sees the tier's backends and which of them are offered; it never decides who is fit to serve.

mod bounded;
mod ip_hash;
mod ketama;
mod least_conn;
mod load;
mod random_two;
mod rendezvous;
mod round_robin;

use std::fmt;
use std::sync::Arc;

use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_yaml::with::singleton_map_recursive;
use serde_yaml::{Mapping, Value};

use self::bounded::Bounded;
pub use self::bounded::LoadFactor;
pub use self::load::{Load, LoadConfig};
use super::backend::Backend;
use super::clock::Moment;
use super::key::{Key, KeyConfig};
use super::random::{Random, mix};

/// Chooses among the backends of one tier.
pub trait Select: Send + Sync {
    /// The index, in the tier, of the backend for this key; none only if none is offered.
    fn pick(&self, key: &Key, candidates: &Candidates<'_>) -> Option<usize>;
}

/// `select: { ketama: { key: client_address } }`, `select: least_conn`
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
#[schemars(transform = or_a_name_alone)]
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
    LeastConn(LoadConfig),
    /// Nginx's `random two least_conn`: the less busy of two drawn by weight.
    RandomTwo(LoadConfig),
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
            Self::Ketama(config) => Box::new(ketama::Ketama::new(config.bounded(), tier)),
            Self::Rendezvous(config) => Box::new(rendezvous::Rendezvous::new(config.bounded(), tier)),
            Self::NginxIpHash(_) => Box::new(ip_hash::NginxIpHash::new(tier)),
            Self::RoundRobin(_) => Box::new(round_robin::RoundRobin::new(tier)),
            Self::LeastConn(config) => Box::new(least_conn::LeastConn::new(config.load, tier)),
            Self::RandomTwo(config) => Box::new(random_two::RandomTwo::new(config.load, Random::default())),
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
    /// What `load_factor` bounds.
    pub load: Load,
}

impl HashConfig {
    fn bounded(&self) -> Bounded {
        Bounded {
            factor: self.load_factor,
            load: self.load,
        }
    }
}

/// `{}`
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}

/// Reads `{ least_conn: {} }`, or `least_conn` alone where its defaults will do.
pub fn bare_or_with_settings<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SelectConfig, D::Error> {
    struct Either;
    impl<'de> Visitor<'de> for Either {
        type Value = SelectConfig;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the name of an algorithm, or a map from it to its settings")
        }

        fn visit_str<E: de::Error>(self, name: &str) -> Result<SelectConfig, E> {
            let no_settings = Value::Mapping(Mapping::new());
            let written = Value::Mapping(Mapping::from_iter([(Value::from(name), no_settings)]));
            singleton_map_recursive::deserialize(written).map_err(E::custom)
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SelectConfig, A::Error> {
            singleton_map_recursive::deserialize(MapAccessDeserializer::new(map))
        }
    }
    deserializer.deserialize_any(Either)
}

/// What [`bare_or_with_settings`] reads besides the maps.
fn or_a_name_alone(schema: &mut Schema) {
    if let Some(maps) = schema.get_mut("oneOf").and_then(|maps| maps.as_array_mut()) {
        let names: Vec<_> = maps.iter().map(|map| map["required"][0].clone()).collect();
        maps.push(serde_json::json!({ "enum": names }));
    }
}

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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn read(yaml: &str) -> Result<SelectConfig, String> {
        bare_or_with_settings(serde_yaml::from_str::<Value>(yaml).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_name_alone_means_its_defaults() {
        for name in [
            "ketama",
            "rendezvous",
            "nginx_ip_hash",
            "round_robin",
            "least_conn",
            "random_two",
        ] {
            assert_eq!(read(name).unwrap(), read(&format!("{{ {name}: {{}} }}")).unwrap());
        }
        assert!(read("least_con").unwrap_err().contains("unknown variant `least_con`"));
        assert!(read("[least_conn]").is_err());
    }

    #[test]
    fn load_is_in_requests_unless_told_otherwise() {
        assert_eq!(
            read("least_conn").unwrap(),
            read("{ least_conn: { load: requests } }").unwrap()
        );
        let bytes = SelectConfig::RandomTwo(LoadConfig { load: Load::Bytes });
        assert_eq!(read("{ random_two: { load: bytes } }").unwrap(), bytes);
    }
}
