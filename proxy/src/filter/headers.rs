//! What may be done to the header fields of a head, on the way to the backend and on the way back.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue, header};
use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use super::variables::Template;
use crate::request::RequestCtx;

/// What is done to a head. A field is set once, whatever it was before.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Changes {
    set: BTreeMap<FieldName, Template>,
    remove: Vec<FieldName>,
}

impl Changes {
    /// What is to become of each field that they name, in this order: the value that it gets, or none. One that is set has
    /// none where a client's part in it makes it unfit for a header: then there is to be no such field at all, least of
    /// all the client's own.
    pub fn fields(&self, request: &RequestHeader, ctx: &RequestCtx) -> Vec<(HeaderName, Option<HeaderValue>)> {
        let removed = self.remove.iter().map(|FieldName(name)| (name.clone(), None));
        let set = |(FieldName(name), value): (&FieldName, &Template)| (name.clone(), value.render(request, ctx));
        removed.chain(self.set.iter().map(set)).collect()
    }
}

/// The name of a field that may be changed.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("examples" = ["X-Tenant"]))]
struct FieldName(HeaderName);

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

/// These say where a message ends and what becomes of its connection.
const FRAMING: [HeaderName; 7] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

impl<'de> Deserialize<'de> for FieldName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let name = HeaderName::try_from(&text)
            .map_err(|_| de::Error::custom(format!("{text:?} is not a header's name; write letters, digits and -")))?;
        if FRAMING.contains(&name) {
            return Err(de::Error::custom(format!(
                "{text:?} belongs to the connection and cannot be changed"
            )));
        }
        Ok(Self(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_framing_alone() {
        for text in [
            "{ set: { Content-Length: '1' } }",
            "{ remove: [transfer-encoding] }",
            "{ set: { 'a b': c } }",
        ] {
            assert!(serde_yaml::from_str::<Changes>(text).is_err(), "{text}");
        }
    }
}
