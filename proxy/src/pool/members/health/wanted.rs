//! What a text in a good answer to a check looks like.

use std::collections::BTreeMap;
use std::fmt;

use http::HeaderName;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, Deserializer};
use serde_yaml::Value;

use crate::request::expression::Expression;

/// `ready`, `{ regex: "^2" }`, `{ present: true }`, or `{ not: … }` of one of these.
#[derive(Clone, Debug, PartialEq, JsonSchema)]
#[schemars(with = "Written")]
pub enum Wanted {
    Text(String),
    Regex(Expression),
    Present(bool),
    Not(Box<Wanted>),
}

impl Wanted {
    /// Of a field's values: the text is a whole one.
    pub fn is_one_of(&self, values: &[String]) -> bool {
        match self {
            Self::Text(text) => values.contains(text),
            Self::Regex(expression) => values.iter().any(|value| expression.matches(value)),
            Self::Present(present) => *present != values.is_empty(),
            Self::Not(other) => !other.is_one_of(values),
        }
    }

    /// Of a body: the text is somewhere in it.
    pub fn is_in(&self, body: &str) -> bool {
        match self {
            Self::Text(text) => body.contains(text),
            Self::Regex(expression) => expression.matches(body),
            Self::Present(present) => *present != body.is_empty(),
            Self::Not(other) => !other.is_in(body),
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Regex(expression) => write!(f, "what matches {:?}", expression.as_str()),
            Self::Present(true) => f.write_str("any"),
            Self::Present(false) => f.write_str("none"),
            Self::Not(other) => write!(f, "not {other}"),
        }
    }
}

/// As the schema knows it.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "it is for the schema alone")]
enum Written {
    Text(String),
    Regex { regex: Expression },
    Present { present: bool },
    Not { not: Box<Written> },
}

impl<'de> Deserialize<'de> for Wanted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = |error: serde_yaml::Error| de::Error::custom(error.to_string());
        let help = || de::Error::custom("write a text, { regex: … }, { present: true } or { not: … }");
        let value = match Value::deserialize(deserializer)? {
            Value::String(text) => return Ok(Self::Text(text)),
            Value::Mapping(map) if map.len() == 1 => map.into_iter().next(),
            _ => return Err(help()),
        };
        let (key, value) = value.unwrap_or_default();
        match key.as_str() {
            Some("regex") => serde_yaml::from_value(value).map(Self::Regex).map_err(wrong),
            Some("present") => serde_yaml::from_value(value).map(Self::Present).map_err(wrong),
            Some("not") => serde_yaml::from_value(value).map(Self::Not).map_err(wrong),
            _ => Err(help()),
        }
    }
}

/// Reads names of fields, and what is wanted of each.
pub fn of_headers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Wanted>, D::Error> {
    let headers = BTreeMap::<String, Wanted>::deserialize(deserializer)?;
    match headers.keys().find(|name| HeaderName::try_from(*name).is_err()) {
        Some(name) => Err(de::Error::custom(format!("{name:?} is not a header's name"))),
        None => Ok(headers),
    }
}
