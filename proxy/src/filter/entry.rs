//! One entry of a route's `filters`: a map with the filter's name as its key, and `when` beside it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

use super::conditional::Conditional;
use super::own::OWN;
use super::{Filter, FilterError, Kind, Workshop};
use crate::script::Condition;

/// `{ rate_limit: { rate: 5/s }, when: 'header("x-tier") != "gold"' }`
#[derive(Clone, Debug, PartialEq)]
pub struct FilterConfig {
    /// Requests that it is for; all of them unless given.
    pub when: Option<Condition>,
    kind: Kind,
}

impl FilterConfig {
    /// What it is called in YAML.
    pub fn name(&self) -> &'static str {
        self.kind.name()
    }

    /// Reads what it names.
    pub fn build(&self, workshop: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError> {
        let filter = self.kind.settings().build(workshop)?;
        Ok(match &self.when {
            Some(when) => Arc::new(Conditional::new(when.clone(), self.name(), filter)),
            None => filter,
        })
    }

    /// Whether no request gets past it, so that its route needs no pool.
    pub fn always_answers(&self) -> bool {
        self.when.is_none() && self.kind.settings().always_answers()
    }

    /// Whether a route may need no pool beside it.
    pub fn may_answer_all(&self) -> bool {
        self.always_answers() || matches!(self.kind, Kind::Script(_))
    }

    /// The files that it names, by their keys.
    pub fn files(&mut self) -> Vec<(&'static str, &mut PathBuf)> {
        self.kind
            .settings_mut()
            .map(|settings| settings.files())
            .unwrap_or_default()
    }

    /// The pools that it asks, by their keys.
    pub fn pools(&self) -> Vec<(&'static str, &str)> {
        self.kind.settings().pools()
    }

    /// The routes that it sends requests to, by their keys.
    pub fn routes(&self) -> Vec<(&'static str, &str)> {
        self.kind.settings().routes()
    }

    /// Whether it keeps some requests, or all, from the backends.
    pub fn guards(&self) -> bool {
        self.kind.settings().guards()
    }

    /// Whether it sends clients to a host that they name themselves.
    pub fn redirects_to_host(&self) -> bool {
        self.kind.settings().redirects_to_host()
    }

    /// What it would be asked for in vain on a route whose bodies pass as they come.
    pub fn needs_whole_body(&self) -> bool {
        self.kind.settings().needs_whole_body()
    }

    /// Whether a reload that changes nothing in its YAML leaves it as it is.
    pub fn may_be_kept(&self) -> bool {
        self.kind.settings().may_be_kept()
    }
}

impl<'de> Deserialize<'de> for FilterConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Entry)
    }
}

struct Entry;

impl<'de> Visitor<'de> for Entry {
    type Value = FilterConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<FilterConfig, E> {
        match names().contains(&name) {
            true => Err(E::custom("expected newtype variant")),
            false => Err(E::unknown_variant(name, names())),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FilterConfig, A::Error> {
        let (mut when, mut kind) = (None, None);
        while let Some(key) = map.next_key::<String>()? {
            if key == "when" {
                when = Some(map.next_value()?);
            } else if kind.is_some() {
                return Err(A::Error::custom("expected map with a single key"));
            } else {
                kind = Some(read(&key, &mut map)?);
            }
        }
        let kind =
            kind.ok_or_else(|| A::Error::custom("names no filter; write one, such as respond: { status: 404 }"))?;
        Ok(FilterConfig { when, kind })
    }
}

fn read<'de, A: MapAccess<'de>>(name: &str, map: &mut A) -> Result<Kind, A::Error> {
    match (Kind::read(name, map)?, OWN.named(name)) {
        (Some(kind), _) => Ok(kind),
        (None, Some(own)) => map.next_value_seed(own).map(Kind::Own),
        (None, None) => map.next_value_seed(Unknown(name)),
    }
}

/// Fails where the name stands.
struct Unknown<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Unknown<'_> {
    type Value = Kind;

    fn deserialize<D: Deserializer<'de>>(self, _: D) -> Result<Kind, D::Error> {
        Err(D::Error::unknown_variant(self.0, names()))
    }
}

/// Of all filters; those from outside are known before a configuration is read.
fn names() -> &'static [&'static str] {
    use std::sync::OnceLock;
    static NAMES: OnceLock<Vec<&'static str>> = OnceLock::new();
    NAMES.get_or_init(|| [Kind::NAMES, OWN.names().as_slice()].concat())
}

impl JsonSchema for FilterConfig {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "FilterConfig".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let when = generator.subschema_for::<Option<Condition>>();
        let mut schema = Kind::json_schema(generator);
        let alternatives = schema
            .as_object_mut()
            .and_then(|object| object.get_mut("oneOf"))
            .and_then(|all| all.as_array_mut());
        if let Some(alternatives) = alternatives {
            for (name, settings) in OWN.schemas(generator) {
                let alone = json_schema!({
                    "type": "object", "properties": { name: settings }, "required": [name], "additionalProperties": false
                });
                alternatives.push(alone.to_value());
            }
            for properties in alternatives
                .iter_mut()
                .filter_map(|alternative| alternative.get_mut("properties"))
            {
                properties["when"] = when.clone().to_value();
            }
        }
        schema.insert(
            "description".to_owned(),
            "One entry of a route's `filters`: a map with the filter's name as its key, and `when` beside it.".into(),
        );
        schema
    }
}
