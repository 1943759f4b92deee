//! Sets and removes header fields, on the way to the backend and on the way back. Nginx: `proxy_set_header`,
//! `add_header`, `proxy_hide_header`.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue, header};
use pingora::http::{RequestHeader, ResponseHeader};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use super::Filter;
use super::variables::Template;
use crate::request::RequestCtx;

/// `request_headers: { set: { X-Tenant: acme }, remove: [Cookie] }`: what backends get.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(transparent)]
pub struct RequestHeaders(Changes);

impl Filter for RequestHeaders {
    fn on_upstream_request(&self, request: &mut RequestHeader, ctx: &RequestCtx) {
        let values = self.0.values(request, ctx);
        for name in self.0.removed() {
            request.remove_header(name);
        }
        for (name, value) in values {
            request.insert_header(name, value).expect(VALID);
        }
    }
}

/// `response_headers: { set: { X-Content-Type-Options: nosniff }, remove: [Server] }`: what clients get.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(transparent)]
pub struct ResponseHeaders(Changes);

impl Filter for ResponseHeaders {
    fn on_response(&self, response: &mut ResponseHeader, request: &RequestHeader, ctx: &RequestCtx) {
        for name in self.0.removed() {
            response.remove_header(name);
        }
        for (name, value) in self.0.values(request, ctx) {
            response.insert_header(name, value).expect(VALID);
        }
    }
}

const VALID: &str = "name and value were checked when they were parsed";

/// What is done to a head. A field is set once, whatever it was before.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
struct Changes {
    set: BTreeMap<FieldName, Template>,
    remove: Vec<FieldName>,
}

impl Changes {
    fn removed(&self) -> impl Iterator<Item = &HeaderName> {
        self.remove.iter().map(|FieldName(name)| name)
    }

    /// The fields to set. A value that a client's part in it makes unfit for a header is left out.
    fn values(&self, request: &RequestHeader, ctx: &RequestCtx) -> Vec<(HeaderName, HeaderValue)> {
        let values = self
            .set
            .iter()
            .map(|(FieldName(name), value)| (name, value.render(request, ctx)));
        values
            .filter_map(|(name, value)| Some((name.clone(), HeaderValue::try_from(value).ok()?)))
            .collect()
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
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::filter::testing::{ctx, filter, ok, request};

    #[test]
    fn backends_get_what_was_set_and_not_what_was_removed() {
        let headers: RequestHeaders =
            filter("{ set: { X-Client: $client_address, x-tenant: acme }, remove: [Cookie] }");
        let mut request = request(
            "GET",
            "/",
            &[("cookie", "a=b"), ("x-tenant", "forged"), ("x-tenant", "twice")],
        );
        headers.on_upstream_request(&mut request, &ctx("192.0.2.1"));
        assert_eq!(request.headers["x-client"], "192.0.2.1");
        assert_eq!(request.headers.get_all("x-tenant").iter().collect::<Vec<_>>(), ["acme"]);
        assert!(!request.headers.contains_key("cookie"));
    }

    #[test]
    fn clients_get_what_was_set_and_not_what_was_removed() {
        let headers: ResponseHeaders = filter("{ set: { X-Content-Type-Options: nosniff }, remove: [Server] }");
        let mut response = ok();
        response.insert_header("server", "x").unwrap();
        headers.on_response(&mut response, &request("GET", "/", &[]), &ctx("192.0.2.1"));
        assert_eq!(response.headers["x-content-type-options"], "nosniff");
        assert!(!response.headers.contains_key("server"));
    }

    #[test]
    fn leaves_framing_alone() {
        for text in [
            "{ set: { Content-Length: '1' } }",
            "{ remove: [transfer-encoding] }",
            "{ set: { 'a b': c } }",
        ] {
            assert!(serde_yaml::from_str::<RequestHeaders>(text).is_err(), "{text}");
        }
    }
}
