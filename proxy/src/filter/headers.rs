//! What may be done to the header fields of a head, on the way to the backend and on the way back.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue};
use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use crate::request::RequestCtx;
use crate::request::syntax::is_framing;
use crate::request::variables::Template;

/// What is done to a head, in this order.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Changes {
    remove: Vec<FieldName>,
    /// A field is set once, whatever it was before.
    set: BTreeMap<FieldName, Template>,
    /// A further field of that name, beside those there are. Nginx: `add_header`.
    add: BTreeMap<FieldName, Template>,
    /// A further element of a field that is a list: `Vary: Accept, Origin`.
    append: BTreeMap<FieldName, Template>,
    /// Set where there is none yet.
    default: BTreeMap<FieldName, Template>,
}

/// What becomes of one field.
pub enum Change {
    Remove(HeaderName),
    Set(HeaderName, HeaderValue),
    Add(HeaderName, HeaderValue),
}

impl Changes {
    /// What is to be done to `head`, in this order. A field that is set has no value where a client's part in it makes it
    /// unfit for a header: then there is to be no such field at all, least of all the client's own.
    pub fn of(&self, head: &HeaderMap, request: &RequestHeader, ctx: &RequestCtx) -> Vec<Change> {
        let mut changes: Vec<Change> = self
            .remove
            .iter()
            .map(|FieldName(name)| Change::Remove(name.clone()))
            .collect();
        for (FieldName(name), value) in &self.set {
            changes.push(match value.render(request, ctx) {
                Some(value) => Change::Set(name.clone(), value),
                None => Change::Remove(name.clone()),
            });
        }
        let added = self
            .add
            .iter()
            .filter_map(|(FieldName(name), value)| Some(Change::Add(name.clone(), value.render(request, ctx)?)));
        changes.extend(added);
        for (FieldName(name), value) in &self.append {
            let Some(value) = value.render(request, ctx) else {
                continue;
            };
            let list = self
                .elements(head, name)
                .chain([value.as_bytes()])
                .collect::<Vec<_>>()
                .join(&b", "[..]);
            changes.extend(HeaderValue::try_from(list).map(|list| Change::Set(name.clone(), list)));
        }
        for (FieldName(name), value) in &self.default {
            let is_there = head.contains_key(name) && !self.removes(name) || self.gives(name);
            if let (false, Some(value)) = (is_there, value.render(request, ctx)) {
                changes.push(Change::Set(name.clone(), value));
            }
        }
        changes
    }

    /// What a list holds before something is appended to it.
    fn elements<'a>(&self, head: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
        let removes = self.removes(name);
        let there = head.get_all(name).iter().map(HeaderValue::as_bytes);
        there.filter(move |value| !removes && !value.is_empty())
    }

    fn removes(&self, name: &HeaderName) -> bool {
        self.remove.iter().any(|FieldName(removed)| removed == name)
    }

    fn gives(&self, name: &HeaderName) -> bool {
        [&self.set, &self.add, &self.append]
            .iter()
            .any(|fields| fields.keys().any(|FieldName(given)| given == name))
    }
}

/// The name of a field that may be changed.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("examples" = ["X-Tenant"]))]
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
        let name = HeaderName::try_from(&text)
            .map_err(|_| de::Error::custom(format!("{text:?} is not a header's name; write letters, digits and -")))?;
        if is_framing(&name) {
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
            "{ add: { Connection: close } }",
            "{ set: { 'a b': c } }",
        ] {
            assert!(serde_yaml::from_str::<Changes>(text).is_err(), "{text}");
        }
    }
}
