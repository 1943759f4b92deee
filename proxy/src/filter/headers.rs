//! What may be done to the header fields of a head, on the way to the backend and on the way back.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use bytes::Bytes;
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
    pub(super) remove: Vec<FieldName>,
    /// A field is set once, whatever it was before.
    pub(super) set: BTreeMap<WrittenName, Template>,
    /// A further field of that name, beside those there are, unless its value is empty. Nginx: `add_header`.
    pub(super) add: BTreeMap<WrittenName, Template>,
    /// A further element of a field that is a list: `Vary: Accept, Origin`.
    pub(super) append: BTreeMap<WrittenName, Template>,
    /// Set where there is none yet.
    pub(super) default: BTreeMap<WrittenName, Template>,
}

/// What becomes of one field.
pub enum Change {
    Remove(HeaderName),
    Set(WrittenName, HeaderValue),
    Add(WrittenName, HeaderValue),
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
        for (written, value) in &self.set {
            changes.push(match value.render(request, ctx) {
                Some(value) => Change::Set(written.clone(), value),
                None => Change::Remove(written.name.clone()),
            });
        }
        let added = self.add.iter().filter_map(|(written, value)| {
            let value = value.render(request, ctx).filter(|value| !value.is_empty())?;
            Some(Change::Add(written.clone(), value))
        });
        changes.extend(added);
        for (written, value) in &self.append {
            let Some(value) = value.render(request, ctx) else {
                continue;
            };
            let list = self
                .elements(head, &written.name)
                .chain([value.as_bytes()])
                .collect::<Vec<_>>()
                .join(&b", "[..]);
            changes.extend(HeaderValue::try_from(list).map(|list| Change::Set(written.clone(), list)));
        }
        for (written, value) in &self.default {
            let name = &written.name;
            let is_there = head.contains_key(name) && !self.removes(name) || self.gives(name);
            if let (false, Some(value)) = (is_there, value.render(request, ctx)) {
                changes.push(Change::Set(written.clone(), value));
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
            .any(|fields| fields.keys().any(|given| given.name == *name))
    }
}

/// The name of a field that may be changed.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("examples" = ["X-Tenant"]))]
pub struct FieldName(pub HeaderName);

/// The name of a field that is made, and how it is spelt over HTTP/1.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(with = "String", extend("examples" = ["X-Tenant"]))]
pub struct WrittenName {
    pub name: HeaderName,
    spelling: Bytes,
}

impl WrittenName {
    pub fn spelling(&self) -> Bytes {
        self.spelling.clone()
    }
}

impl PartialEq for WrittenName {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for WrittenName {}

impl PartialOrd for WrittenName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for WrittenName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name.as_str().cmp(other.name.as_str())
    }
}

impl<'de> Deserialize<'de> for WrittenName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spelling = String::deserialize(deserializer)?;
        let FieldName(name) = FieldName::read(&spelling).map_err(de::Error::custom)?;
        Ok(Self {
            name,
            spelling: spelling.into(),
        })
    }
}

impl FieldName {
    fn read(text: &str) -> Result<Self, String> {
        let name = HeaderName::try_from(text)
            .map_err(|_| format!("{text:?} is not a header's name; write letters, digits and -"))?;
        match is_framing(&name) {
            true => Err(format!("{text:?} belongs to the connection and cannot be changed")),
            false => Ok(Self(name)),
        }
    }
}

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
        Self::read(&text).map_err(de::Error::custom)
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
