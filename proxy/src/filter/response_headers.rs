//! Sets, adds and removes header fields on the way to the client. Nginx: `add_header`, `proxy_hide_header`.

use std::sync::Arc;

use pingora::http::{RequestHeader, ResponseHeader};
use schemars::JsonSchema;
use serde::Deserialize;

use super::answer::BodyChange;
use super::headers::{Change, Changes, ChangedName, Fields};
use super::{Filter, FilterError, Settings, Workshop};
use crate::request::RequestCtx;

/// `response_headers: { set: { X-Content-Type-Options: nosniff }, remove: [Server] }`: what clients get.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(from = "ResponseHeadersFields")]
#[schemars(with = "ResponseHeadersFields")]
pub struct ResponseHeaders {
    changes: Changes,
    on_errors: bool,
    statuses: Vec<u16>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ResponseHeadersFields {
    remove: Vec<ChangedName>,
    /// A field is set once, whatever it was before.
    set: Fields,
    /// A further field of that name, beside those there are, unless its value is empty. Nginx: `add_header`.
    add: Fields,
    /// A further element of a field that is a list: `Vary: Accept, Origin`.
    append: Fields,
    /// Set where there is none yet.
    default: Fields,
    /// Answers with a status from 400 on too. Nginx: `always`.
    on_errors: bool,
    /// Answers with these statuses alone; all unless given.
    statuses: Vec<u16>,
}

impl Default for ResponseHeadersFields {
    fn default() -> Self {
        Self {
            remove: Vec::new(),
            set: Fields::default(),
            add: Fields::default(),
            append: Fields::default(),
            default: Fields::default(),
            on_errors: true,
            statuses: Vec::new(),
        }
    }
}

impl From<ResponseHeadersFields> for ResponseHeaders {
    fn from(fields: ResponseHeadersFields) -> Self {
        let ResponseHeadersFields {
            remove,
            set,
            add,
            append,
            default,
            on_errors,
            statuses,
        } = fields;
        let changes = Changes {
            remove,
            set,
            add,
            append,
            default,
        };
        Self {
            changes,
            on_errors,
            statuses,
        }
    }
}

impl Settings for ResponseHeaders {
    fn build(&self, _: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError> {
        Ok(Arc::new(self.clone()))
    }
}

impl Filter for ResponseHeaders {
    fn on_response(
        &self,
        response: &mut ResponseHeader,
        request: &RequestHeader,
        ctx: &RequestCtx,
    ) -> Option<BodyChange> {
        let status = response.status.as_u16();
        let is_other = !self.statuses.is_empty() && !self.statuses.contains(&status);
        if is_other || !self.on_errors && status >= 400 {
            return None;
        }
        if let Some(fields) = self.changes.constants() {
            for (name, value) in fields {
                response.insert_header(name.spelling(), value.clone()).expect("name and value are parsed already");
            }
            return None;
        }
        for change in self.changes.of(&response.headers, request, ctx) {
            match change {
                Change::Remove(name) => drop(response.remove_header(&name)),
                Change::Set(name, value) => {
                    response.insert_header(name.spelling(), value).expect("name and value are parsed already");
                }
                Change::Add(name, value) => {
                    response.append_header(name.spelling(), value).expect("name and value are parsed already");
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::filter::testing::{ctx, filter, ok, request};

    #[test]
    fn answers_may_be_told_apart_by_their_status() {
        let has_field = |yaml: &str, status: u16| {
            let headers: ResponseHeaders = filter(yaml);
            let mut response = ok();
            response.set_status(status).unwrap();
            headers.on_response(&mut response, &request("GET", "/", &[]), &ctx("192.0.2.1"));
            response.headers.contains_key("x-a")
        };
        let yaml = "{ set: { X-A: a }, statuses: [200, 301] }";
        assert_eq!([200, 206, 301, 404].map(|status| has_field(yaml, status)), [true, false, true, false]);
        let yaml = "{ set: { X-A: a }, on_errors: false }";
        assert_eq!([200, 206, 301, 404].map(|status| has_field(yaml, status)), [true, true, true, false]);
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
}
