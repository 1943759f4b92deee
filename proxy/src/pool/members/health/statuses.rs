//! Which statuses a good answer to a check may have.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, Deserializer};
use serde_json::{Value, json};

/// `200`, `200-399`, a list of those, or `any`
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "Value", extend("anyOf" = [
    json!({ "const": "any" }),
    json!({ "type": "integer", "minimum": 100, "maximum": 599 }),
    json!({ "type": "string", "pattern": RANGE }),
    json!({ "type": "array", "minItems": 1, "items": { "anyOf": [
        { "type": "integer", "minimum": 100, "maximum": 599 }, { "type": "string", "pattern": RANGE },
    ] } }),
]))]
pub enum Statuses {
    Any,
    /// From the first to the second of each.
    These(Vec<(u16, u16)>),
}

const RANGE: &str = "^[1-5][0-9]{2}-[1-5][0-9]{2}$";

impl Default for Statuses {
    fn default() -> Self {
        Self::These(vec![(200, 200)])
    }
}

impl Statuses {
    pub fn has(&self, status: u16) -> bool {
        match self {
            Self::Any => true,
            Self::These(ranges) => ranges.iter().any(|(first, last)| (*first..=*last).contains(&status)),
        }
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::These(ranges) = self else {
            return f.write_str("any");
        };
        let written = |(first, last): &(u16, u16)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        };
        f.write_str(&ranges.iter().map(written).collect::<Vec<_>>().join(" or "))
    }
}

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = match Value::deserialize(deserializer)? {
            Value::String(word) if word == "any" => return Ok(Self::Any),
            Value::Array(all) if !all.is_empty() => all.iter().map(range).collect(),
            one => range(&one).map(|range| vec![range]),
        };
        let wrong = "expected a status from 100 to 599, a range such as 200-399, a list of those, or any";
        read.map(Self::These)
            .map_err(|what: Value| de::Error::custom(format!("{what} is none; {wrong}")))
    }
}

/// What is none is given back.
fn range(value: &Value) -> Result<(u16, u16), Value> {
    let number = |number: u64| u16::try_from(number).ok().filter(|status| (100..=599).contains(status));
    let range = match value {
        Value::String(text) => text.split_once('-').and_then(|(first, last)| {
            let (first, last) = (number(first.parse().ok()?)?, number(last.parse().ok()?)?);
            (first <= last).then_some((first, last))
        }),
        value => value.as_u64().and_then(number).map(|status| (status, status)),
    };
    range.ok_or_else(|| value.clone())
}
