//! What may be done to the header fields of a head, on the way to the backend and on the way back.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use crate::request::RequestCtx;
use crate::request::syntax::is_framing;
use crate::request::variables::Template;

/// What is done to a head, in this order.
#[derive(Clone, Debug, Default, serde::Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Changes {
    pub(super) remove: Vec<ChangedName>,
    /// A field is set once, whatever it was before.
    pub(super) set: Fields,
    /// A further field of that name, beside those there are, unless its value is empty. Nginx: `add_header`.
    pub(super) add: Fields,
    /// A further element of a field that is a list: `Vary: Accept, Origin`.
    pub(super) append: Fields,
    /// Set where there is none yet.
    pub(super) default: Fields,
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
        let there = self.remove.iter().filter(|ChangedName(name)| head.contains_key(name));
        let mut changes: Vec<Change> = there.map(|ChangedName(name)| Change::Remove(name.clone())).collect();
        for (written, value) in self.set.iter() {
            changes.push(match value.of(request, ctx) {
                Some(value) => Change::Set(written.clone(), value),
                None => Change::Remove(written.name.clone()),
            });
        }
        let added = self.add.iter().filter_map(|(written, value)| {
            let value = value.of(request, ctx).filter(|value| !value.is_empty())?;
            Some(Change::Add(written.clone(), value))
        });
        changes.extend(added);
        for (written, value) in self.append.iter() {
            let Some(value) = value.of(request, ctx) else {
                continue;
            };
            let list = self
                .elements(head, &written.name)
                .chain([value.as_bytes()])
                .collect::<Vec<_>>()
                .join(&b", "[..]);
            changes.extend(HeaderValue::try_from(list).map(|list| Change::Set(written.clone(), list)));
        }
        for (written, value) in self.default.iter() {
            let name = &written.name;
            let is_there = head.contains_key(name) && !self.removes(name) || self.gives(name);
            if let (false, Some(value)) = (is_there, value.of(request, ctx)) {
                changes.push(Change::Set(written.clone(), value));
            }
        }
        changes
    }

    /// Fields that are only set, to the same for every request; nothing where there is more to do.
    pub fn constants(&self) -> Option<impl Iterator<Item = (&WrittenName, &HeaderValue)>> {
        let is_more = !self.remove.is_empty()
            || [&self.add, &self.append, &self.default]
                .iter()
                .any(|of| !of.0.is_empty());
        let is_constant = self.set.iter().all(|(_, value)| value.constant.is_some());
        let constants = self
            .set
            .iter()
            .filter_map(|(name, value)| Some((name, value.constant.as_ref()?)));
        (is_constant && !is_more).then_some(constants)
    }

    /// What a list holds before something is appended to it.
    fn elements<'a>(&self, head: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
        let removes = self.removes(name);
        let there = head.get_all(name).iter().map(HeaderValue::as_bytes);
        there.filter(move |value| !removes && !value.is_empty())
    }

    fn removes(&self, name: &HeaderName) -> bool {
        self.remove.iter().any(|ChangedName(removed)| removed == name)
    }

    fn gives(&self, name: &HeaderName) -> bool {
        [&self.set, &self.add, &self.append]
            .iter()
            .any(|fields| fields.iter().any(|(given, _)| given.name == *name))
    }
}

/// Fields and their values, in the order in which they are written.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema)]
#[schemars(inline, with = "BTreeMap<WrittenName, Template>")]
pub struct Fields(Vec<(WrittenName, Value)>);

/// What a field is given.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    template: Template,
    /// The same for every request.
    constant: Option<HeaderValue>,
}

impl Value {
    /// None where a client's part in it makes it unfit for a header.
    pub fn of(&self, request: &RequestHeader, ctx: &RequestCtx) -> Option<HeaderValue> {
        self.constant.clone().or_else(|| self.template.render(request, ctx))
    }
}

impl From<Template> for Value {
    fn from(template: Template) -> Self {
        let constant = template.constant().and_then(|text| HeaderValue::try_from(text).ok());
        Self { template, constant }
    }
}

impl Fields {
    pub fn iter(&self) -> impl Iterator<Item = &(WrittenName, Value)> {
        self.0.iter()
    }

    /// The last one of a name is meant.
    fn put(&mut self, name: WrittenName, value: Value) {
        self.0.retain(|(known, _)| *known != name);
        self.0.push((name, value));
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries)
    }
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Fields::default();
        while let Some((name, value)) = map.next_entry::<_, Template>()? {
            fields.put(name, value.into());
        }
        Ok(fields)
    }
}

/// The name of a field that may be changed.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("examples" = ["X-Tenant"]))]
pub struct ChangedName(pub HeaderName);

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

impl<'de> Deserialize<'de> for WrittenName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spelling = String::deserialize(deserializer)?;
        let ChangedName(name) = ChangedName::read(&spelling).map_err(de::Error::custom)?;
        Ok(Self {
            name,
            spelling: spelling.into(),
        })
    }
}

impl ChangedName {
    fn read(text: &str) -> Result<Self, String> {
        let name = HeaderName::try_from(text)
            .map_err(|_| format!("{text:?} is not a header's name; write letters, digits and -"))?;
        match is_framing(&name) {
            true => Err(format!("{text:?} belongs to the connection and cannot be changed")),
            false => Ok(Self(name)),
        }
    }
}

impl PartialOrd for ChangedName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ChangedName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.as_str().cmp(other.0.as_str())
    }
}

impl<'de> Deserialize<'de> for ChangedName {
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
