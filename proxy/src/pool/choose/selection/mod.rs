//! Which backend of a tier a request goes to: one file an algorithm, and its line here.

pub mod bounded;
#[cfg(test)]
pub mod fixture;
pub mod load;
pub mod own;
pub mod select;
pub mod settings;
mod turns;

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::json;
use serde_yaml::with::singleton_map_recursive;
use serde_yaml::{Mapping, Value};

use self::own::{OWN, Own, SettingsOf};
use self::select::{Algorithm, Select};
use self::settings::HashConfig;
use crate::pool::choose::key_config::KeyConfig;
use crate::pool::members::backend::Backend;

/// Declares each algorithm's file, which bears its name in YAML, and its place in [`SelectConfig`].
macro_rules! algorithms {
    ($($(#[$about:meta])* $module:ident::$algorithm:ident,)*) => {
        $(pub mod $module;)*

        /// `select: { ketama: { key: client_address } }`, `select: least_conn`
        #[derive(Clone, Debug, JsonSchema, PartialEq)]
        #[schemars(rename_all = "snake_case", transform = with_all_names)]
        pub enum SelectConfig {
            $($(#[$about])* $algorithm(<$module::$algorithm as Algorithm>::Settings),)*
            Own(Own),
        }

        impl SelectConfig {
            /// Those that are built in.
            pub const NAMES: &[&str] = &[$(stringify!($module)),*];

            /// Reads the settings that stand under a name.
            fn read<'de, A: MapAccess<'de>>(name: &str, map: &mut A) -> Result<Option<Self>, A::Error> {
                match name {
                    $(stringify!($module) => map.next_value_seed(Settings(PhantomData)).map(|settings| Some(Self::$algorithm(settings))),)*
                    _ => Ok(None),
                }
            }

            /// Prepares the algorithm for the backends of one tier, with the weights they have now.
            pub fn build(&self, tier: &[Arc<Backend>]) -> Box<dyn Select> {
                match self {
                    $(Self::$algorithm(settings) => Box::new($module::$algorithm::build(settings, tier)),)*
                    Self::Own(own) => own.settings().build(tier),
                }
            }

            /// What it is called in YAML.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$algorithm(_) => stringify!($module),)*
                    Self::Own(own) => own.name(),
                }
            }

            /// The same, but by the key alone, whatever the load; none where the key has no say.
            pub fn strict(&self) -> Option<Self> {
                match self {
                    $(Self::$algorithm(settings) => $module::$algorithm::strict(settings).map(Self::$algorithm),)*
                    Self::Own(own) => own.settings().strict().map(|strict| Self::Own(own.with(strict))),
                }
            }

            /// What requests are told apart by.
            pub fn key(&self) -> &KeyConfig {
                match self {
                    $(Self::$algorithm(settings) => $module::$algorithm::key(settings),)*
                    Self::Own(own) => own.settings().key(),
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

/// Makes an algorithm from outside known under a name. To be called before a configuration is read.
///
/// # Panics
/// There is an algorithm of that name.
pub fn register<A>(name: &'static str)
where
    A: Algorithm + 'static,
    A::Settings: DeserializeOwned + JsonSchema + Send + Sync + 'static,
{
    OWN.add::<A::Settings>(name, SelectConfig::NAMES, |settings| {
        Arc::new(SettingsOf::<A>(settings))
    });
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
            written.deserialize_any(self).map_err(E::custom)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SelectConfig, A::Error> {
            let alone = || A::Error::custom("expected map with a single key");
            let name = map.next_key::<String>()?.ok_or_else(alone)?;
            let read = match (SelectConfig::read(&name, &mut map)?, OWN.named(&name)) {
                (Some(read), _) => read,
                (None, Some(own)) => SelectConfig::Own(map.next_value_seed(own)?),
                (None, None) => return map.next_value_seed(Unknown(&name)),
            };
            match map.next_key::<IgnoredAny>()? {
                None => Ok(read),
                Some(_) => Err(alone()),
            }
        }
    }
    deserializer.deserialize_any(Either)
}

/// Of one algorithm; what they name themselves is written like the algorithm: `key: { header: X-User }`.
struct Settings<S>(PhantomData<S>);

impl<'de, S: Deserialize<'de>> DeserializeSeed<'de> for Settings<S> {
    type Value = S;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S, D::Error> {
        singleton_map_recursive::deserialize(deserializer)
    }
}

/// Fails where the name stands.
struct Unknown<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Unknown<'_> {
    type Value = SelectConfig;

    fn deserialize<D: Deserializer<'de>>(self, _: D) -> Result<SelectConfig, D::Error> {
        Err(D::Error::unknown_variant(self.0, names()))
    }
}

/// Of all algorithms; those from outside are known before a configuration is read.
fn names() -> &'static [&'static str] {
    static NAMES: OnceLock<Vec<&'static str>> = OnceLock::new();
    NAMES.get_or_init(|| [SelectConfig::NAMES, OWN.names().as_slice()].concat())
}

/// What [`bare_or_with_settings`] reads besides the maps: those from outside, and each name alone.
fn with_all_names(schema: &mut Schema) {
    let Some(maps) = schema.get_mut("oneOf").and_then(|maps| maps.as_array_mut()) else {
        return;
    };
    let own = maps
        .pop()
        .and_then(|own| own["properties"]["own"]["properties"].as_object().cloned());
    maps.extend(own.into_iter().flatten().map(|(name, settings)| {
        json!({ "type": "object", "properties": { &name: settings }, "required": [&name], "additionalProperties": false })
    }));
    let names: Vec<_> = maps.iter().map(|map| map["required"][0].clone()).collect();
    maps.push(json!({ "enum": names }));
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
