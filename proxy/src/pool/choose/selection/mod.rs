//! Which backend of a tier a request goes to: one file an algorithm, and its line here.

pub mod bounded;
#[cfg(test)]
pub mod fixture;
pub mod load;
pub mod select;
pub mod settings;
mod turns;

use std::fmt;
use std::sync::Arc;

use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_yaml::with::singleton_map_recursive;
use serde_yaml::{Mapping, Value};

use self::select::{Algorithm, Select};
use self::settings::HashConfig;
use crate::pool::choose::key_config::KeyConfig;
use crate::pool::members::backend::Backend;

/// Declares each algorithm's file, which bears its name in YAML, and its place in [`SelectConfig`].
macro_rules! algorithms {
    ($($(#[$about:meta])* $module:ident::$algorithm:ident,)*) => {
        $(pub mod $module;)*

        /// `select: { ketama: { key: client_address } }`, `select: least_conn`
        #[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
        #[serde(rename_all = "snake_case")]
        #[schemars(transform = or_a_name_alone)]
        pub enum SelectConfig {
            $($(#[$about])* $algorithm(<$module::$algorithm as Algorithm>::Settings),)*
        }

        impl SelectConfig {
            /// Prepares the algorithm for the backends of one tier, with the weights they have now.
            pub fn build(&self, tier: &[Arc<Backend>]) -> Box<dyn Select> {
                match self {
                    $(Self::$algorithm(settings) => Box::new($module::$algorithm::build(settings, tier)),)*
                }
            }

            /// What it is called in YAML.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$algorithm(_) => stringify!($module),)*
                }
            }

            /// The same, but by the key alone, whatever the load; none where the key has no say.
            pub fn strict(&self) -> Option<Self> {
                match self {
                    $(Self::$algorithm(settings) => $module::$algorithm::strict(settings).map(Self::$algorithm),)*
                }
            }

            /// What requests are told apart by.
            pub fn key(&self) -> &KeyConfig {
                match self {
                    $(Self::$algorithm(settings) => $module::$algorithm::key(settings),)*
                }
            }
        }
    };
}

algorithms! {
    /// Consistent hashing on Nginx's ring (`hash … consistent`).
    ketama::Ketama,
    /// Consistent hashing by highest score: the most even, at a cost that grows with the number of backends.
    rendezvous::Rendezvous,
    /// Nginx's `ip_hash`, the same backend for the same address.
    nginx_ip_hash::NginxIpHash,
    /// Nginx's smooth weighted round robin.
    round_robin::RoundRobin,
    /// Nginx's `least_conn`: fewest requests in flight for its weight.
    least_conn::LeastConn,
    /// Nginx's `random two least_conn`: the less busy of two drawn by weight.
    random_two::RandomTwo,
}

impl Default for SelectConfig {
    fn default() -> Self {
        Self::Ketama(HashConfig::default())
    }
}

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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::load::{Load, LoadConfig};
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
