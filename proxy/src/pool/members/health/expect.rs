//! What a good answer to a check looks like: its status, its headers, and conditions on its JSON body.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use http::HeaderMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, Deserializer};
use serde_json::Value;

use super::statuses::Statuses;
use super::wanted::{Wanted, of_headers};

/// `expect: { status: 200, headers: { content-type: application/json }, json: { status: healthy, queue_depth: "< 8" } }`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct ExpectConfig {
    pub status: Statuses,
    /// Headers and the values they have to have.
    #[serde(deserialize_with = "of_headers")]
    pub headers: BTreeMap<String, Wanted>,
    /// What the body has to have in it.
    pub body: Option<Wanted>,
    /// Fields of the JSON body and what has to hold for them; a dot leads into an object: `disk.free_bytes`.
    pub json: BTreeMap<String, Condition>,
}

impl ExpectConfig {
    /// What a blur worker says once its models are loaded.
    pub fn of_a_blur_worker() -> Self {
        let json = [("status", "healthy".into()), ("model_loaded", true.into())];
        Self {
            json: json
                .map(|(field, value)| (field.to_owned(), Condition::Is(value)))
                .into(),
            ..Self::default()
        }
    }

    /// Any answer will do: whoever gives one does not hang.
    pub fn anything() -> Self {
        Self {
            status: Statuses::Any,
            ..Self::default()
        }
    }

    pub fn wants_body(&self) -> bool {
        self.body.is_some() || !self.json.is_empty()
    }

    /// `json` is the body, and none where it is not JSON.
    pub fn matches(
        &self,
        status: u16,
        headers: &HeaderMap,
        body: &[u8],
        json: Option<&Value>,
    ) -> Result<(), Unexpected> {
        if !self.status.has(status) {
            return Err(Unexpected::Status {
                found: status,
                wanted: self.status.clone(),
            });
        }
        for (name, wanted) in &self.headers {
            let found: Vec<_> = headers
                .get_all(name)
                .iter()
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
                .collect();
            if !wanted.is_one_of(&found) {
                return Err(Unexpected::Header {
                    name: name.clone(),
                    found: found.into_iter().next(),
                    wanted: wanted.clone(),
                });
            }
        }
        if let Some(wanted) = &self.body
            && !wanted.is_in(&String::from_utf8_lossy(body))
        {
            return Err(Unexpected::Body { wanted: wanted.clone() });
        }
        if self.json.is_empty() {
            return Ok(());
        }
        let json = json.ok_or(Unexpected::NotJson)?;
        for (field, wanted) in &self.json {
            let found = field.split('.').try_fold(json, |value, step| value.get(step));
            if !found.is_some_and(|found| wanted.holds(found)) {
                return Err(Unexpected::Json {
                    field: field.clone(),
                    found: found.cloned(),
                    wanted: wanted.clone(),
                });
            }
        }
        Ok(())
    }
}

/// `healthy`, `true`, `3`: exactly that; `"< 8"`, `"!= failed"`: compared.
#[derive(Clone, Debug, PartialEq, JsonSchema)]
#[schemars(with = "Value", extend("type" = ["string", "number", "boolean", "null"]))]
pub enum Condition {
    Is(Value),
    IsNot(Value),
    Compares(Relation, f64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    Less,
    AtMost,
    More,
    AtLeast,
}

impl Condition {
    fn holds(&self, found: &Value) -> bool {
        match self {
            Self::Is(wanted) => same(wanted, found),
            Self::IsNot(unwanted) => !same(unwanted, found),
            Self::Compares(relation, bound) => found.as_f64().is_some_and(|found| relation.holds(found, *bound)),
        }
    }
}

/// Equality under which 1 is 1.0.
fn same(wanted: &Value, found: &Value) -> bool {
    match (wanted.as_f64(), found.as_f64()) {
        (Some(wanted), Some(found)) => wanted == found,
        _ => wanted == found,
    }
}

impl Relation {
    fn holds(self, found: f64, bound: f64) -> bool {
        match self {
            Self::Less => found < bound,
            Self::AtMost => found <= bound,
            Self::More => found > bound,
            Self::AtLeast => found >= bound,
        }
    }
}

impl FromStr for Condition {
    type Err = ConditionError;

    fn from_str(text: &str) -> Result<Self, ConditionError> {
        for (sign, relation) in RELATIONS {
            if let Some(bound) = text.strip_prefix(sign) {
                let bound = bound.trim().parse().ok().filter(|bound: &f64| bound.is_finite());
                return Ok(Self::Compares(
                    relation,
                    bound.ok_or_else(|| ConditionError(text.to_owned()))?,
                ));
            }
        }
        if let Some(value) = text.strip_prefix("!=") {
            return Ok(Self::IsNot(scalar(value.trim())));
        }
        if let Some(value) = text.strip_prefix("==") {
            return Ok(Self::Is(scalar(value.trim())));
        }
        Ok(Self::Is(Value::String(text.to_owned())))
    }
}

/// The longer signs first, of which the shorter ones are the beginning.
const RELATIONS: [(&str, Relation); 4] = [
    ("<=", Relation::AtMost),
    (">=", Relation::AtLeast),
    ("<", Relation::Less),
    (">", Relation::More),
];

/// `3`, `true` and `null` as what they look like; anything else is text.
fn scalar(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Null | Value::Bool(_) | Value::Number(_))) => value,
        _ => Value::String(text.to_owned()),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0:?} compares with no number; write \"< 8\", \">= 0.5\" and the like")]
pub struct ConditionError(String);

/// How an answer differs from what was expected.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Unexpected {
    #[error("status {found}, expected {wanted}")]
    Status { found: u16, wanted: Statuses },
    #[error("header {name} {}, expected {wanted}", shown(.found.as_ref()))]
    Header {
        name: String,
        found: Option<String>,
        wanted: Wanted,
    },
    #[error("the body is not as expected: {wanted}")]
    Body { wanted: Wanted },
    #[error("the body is not JSON")]
    NotJson,
    #[error("json {field} {}, expected {wanted}", shown(.found.as_ref()))]
    Json {
        field: String,
        found: Option<Value>,
        wanted: Condition,
    },
}

/// Shortened, because a backend decides how long it is and a log has to stay readable.
fn shown(found: Option<&(impl fmt::Debug + ?Sized)>) -> String {
    let Some(found) = found else {
        return "is absent".to_owned();
    };
    format!("is {:.60}", format!("{found:?}"))
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(wanted) => write!(f, "{wanted}"),
            Self::IsNot(unwanted) => write!(f, "anything but {unwanted}"),
            Self::Compares(relation, bound) => {
                let sign = RELATIONS
                    .iter()
                    .find(|(_, known)| known == relation)
                    .map_or("", |(sign, _)| sign);
                write!(f, "{sign} {bound}")
            }
        }
    }
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => text.parse().map_err(de::Error::custom),
            value @ (Value::Null | Value::Bool(_) | Value::Number(_)) => Ok(Self::Is(value)),
            Value::Array(_) | Value::Object(_) => Err(de::Error::custom(
                "a condition is one value; a dot in its name leads into an object: disk.free",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn expect(yaml: &str, body: Value) -> Result<(), String> {
        let config: ExpectConfig = serde_yaml::from_str(yaml).unwrap();
        let headers = HeaderMap::from_iter([("content-type".parse().unwrap(), "application/json".parse().unwrap())]);
        config
            .matches(200, &headers, body.to_string().as_bytes(), Some(&body))
            .map_err(|unexpected| unexpected.to_string())
    }

    #[test]
    fn all_conditions_have_to_hold() {
        let yaml = r#"{ json: { status: healthy, model_loaded: true, queue_depth: "< 8", disk.free: ">= 0.5" } }"#;
        let body = json!({"status": "healthy", "model_loaded": true, "queue_depth": 7, "disk": {"free": 0.5}});
        assert_eq!(expect(yaml, body), Ok(()));
        let body = json!({"status": "healthy", "model_loaded": true, "queue_depth": 8, "disk": {"free": 0.5}});
        assert_eq!(
            expect(yaml, body).unwrap_err(),
            "json queue_depth is Number(8), expected < 8"
        );
        let body = json!({"status": "healthy", "model_loaded": true, "queue_depth": 0});
        assert_eq!(
            expect(yaml, body).unwrap_err(),
            "json disk.free is absent, expected >= 0.5"
        );
    }

    #[test]
    fn compares_numbers_and_values() {
        for (condition, value, holds) in [
            ("3", json!(3.0), true),
            ("'3'", json!(3), false),
            ("'> 3'", json!("4"), false),
            ("'!= failed'", json!("ok"), true),
            ("'!= failed'", json!("failed"), false),
            ("'== true'", json!(true), true),
            ("'<=3'", json!(3), true),
            ("null", json!(null), true),
        ] {
            let yaml = format!("{{ json: {{ field: {condition} }} }}");
            assert_eq!(
                expect(&yaml, json!({"field": value})).is_ok(),
                holds,
                "{condition} {value}"
            );
        }
    }

    #[test]
    fn looks_for_texts_by_expressions_and_for_what_is_not_to_be_there() {
        for (yaml, holds) in [
            ("{ headers: { Content-Type: { regex: json$ } } }", true),
            ("{ headers: { Content-Type: { regex: ^json } } }", false),
            ("{ headers: { Content-Type: { not: { regex: ^json } } } }", true),
            ("{ headers: { Content-Type: { not: text/html } } }", true),
            (
                "{ headers: { Content-Type: { present: true }, X-Gone: { present: false } } }",
                true,
            ),
            ("{ headers: { Content-Type: { not: { present: true } } } }", false),
            ("{ headers: { X-Gone: { not: a } } }", true),
            ("{ body: ready }", true),
            ("{ body: { regex: '\"rea.y\"' } }", true),
            ("{ body: { not: error } }", true),
            ("{ body: { not: { regex: r.ady } } }", false),
        ] {
            assert_eq!(expect(yaml, json!({ "is": "ready" })).is_ok(), holds, "{yaml}");
        }
    }

    #[test]
    fn refuses_conditions_that_mean_nothing() {
        for yaml in [
            "{ json: { a: '< many' } }",
            "{ json: { a: '> nan' } }",
            "{ json: { a: [1] } }",
            "{ status: 99 }",
            "{ status: all }",
            "{ status: [any] }",
            "{ status: 399-200 }",
            "{ status: 99-200 }",
            "{ status: 200- }",
            "{ headers: { A: { regex: '(' } } }",
            "{ headers: { A: { like: b } } }",
            "{ headers: { 'a b': c } }",
            "{ headers: { A: 1 } }",
        ] {
            assert!(serde_yaml::from_str::<ExpectConfig>(yaml).is_err(), "{yaml}");
        }
    }

    #[test]
    fn looks_at_headers_and_at_several_statuses() {
        assert_eq!(
            expect(
                "{ status: [200, 204], headers: { Content-Type: application/json } }",
                json!(null)
            ),
            Ok(())
        );
        assert_eq!(expect("{ status: any }", json!(null)), Ok(()));
        assert_eq!(expect("{ status: 200-399 }", json!(null)), Ok(()));
        let error = expect("{ status: [204, 400-599] }", json!(null)).unwrap_err();
        assert_eq!(error, "status 200, expected 204 or 400-599");
        let error = expect("{ status: [204, 206] }", json!(null)).unwrap_err();
        assert_eq!(error, "status 200, expected 204 or 206");
        let error = expect("{ headers: { X-Ready: 'yes' } }", json!(null)).unwrap_err();
        assert_eq!(error, r#"header X-Ready is absent, expected "yes""#);
    }
}
