//! What a route wants of a header field, of an argument of the query or of a cookie.

use std::cmp::Ordering;

use http::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};
use serde_yaml::Value;

use crate::request::expression::Expression;

/// `"1"`, `{ regex: "^a" }`, or `{ present: true }`.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "Written")]
pub enum Values {
    Exact(String),
    Regex(Expression),
    Present(bool),
}

impl Values {
    /// Whether one of those that a request has will do.
    pub fn take<'a>(&self, there: impl IntoIterator<Item = &'a [u8]>) -> bool {
        let mut there = there.into_iter();
        match self {
            Self::Exact(text) => there.any(|value| value == text.as_bytes()),
            Self::Regex(expression) => {
                there.any(|value| std::str::from_utf8(value).is_ok_and(|value| expression.matches(value)))
            }
            Self::Present(present) => there.next().is_some() == *present,
        }
    }
}

/// As the schema knows it.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "it is for the schema alone")]
enum Written {
    Exact(String),
    Regex { regex: Expression },
    Present { present: bool },
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let help = "write its value, { regex: … } or { present: true }";
        match value {
            Value::String(text) => Ok(Self::Exact(text)),
            Value::Number(_) | Value::Bool(_) => Err(de::Error::custom("is no text; write the value in quotes")),
            Value::Mapping(map) if map.len() == 1 => {
                let (key, value) = map.into_iter().next().unwrap_or_default();
                let wrong = |error: serde_yaml::Error| de::Error::custom(error.to_string());
                match key.as_str() {
                    Some("regex") => serde_yaml::from_value(value).map(Self::Regex).map_err(wrong),
                    Some("present") => serde_yaml::from_value(value).map(Self::Present).map_err(wrong),
                    _ => Err(de::Error::custom(help)),
                }
            }
            _ => Err(de::Error::custom(help)),
        }
    }
}

/// The name of a request header.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("examples" = ["X-Canary"]))]
pub struct FieldName(pub HeaderName);

impl PartialOrd for FieldName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for FieldName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.as_str().cmp(other.0.as_str())
    }
}

impl<'de> Deserialize<'de> for FieldName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let name = HeaderName::try_from(&text);
        name.map(Self)
            .map_err(|_| de::Error::custom(format!("{text:?} is not a header's name; write letters, digits and -")))
    }
}
