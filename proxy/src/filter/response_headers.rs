//! Sets, adds and removes header fields on the way to the client. Nginx: `add_header`, `proxy_hide_header`.

use std::sync::Arc;

use pingora::http::{RequestHeader, ResponseHeader};
use schemars::JsonSchema;
use serde::Deserialize;

use super::answer::BodyChange;
use super::headers::{Change, Changes};
use super::{Filter, FilterError, Settings, Workshop};
use crate::request::RequestCtx;

/// `response_headers: { set: { X-Content-Type-Options: nosniff }, remove: [Server] }`: what clients get.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(transparent)]
pub struct ResponseHeaders(Changes);

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
        for change in self.0.of(&response.headers, request, ctx) {
            match change {
                Change::Remove(name) => drop(response.remove_header(&name)),
                Change::Set(name, value) => {
                    response.remove_header(&name);
                    response.insert_header(name, value).expect("name and value are parsed already");
                }
                Change::Add(name, value) => {
                    response.append_header(name, value).expect("name and value are parsed already");
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
    fn clients_get_what_was_set_and_not_what_was_removed() {
        let headers: ResponseHeaders = filter("{ set: { X-Content-Type-Options: nosniff }, remove: [Server] }");
        let mut response = ok();
        response.insert_header("server", "x").unwrap();
        headers.on_response(&mut response, &request("GET", "/", &[]), &ctx("192.0.2.1"));
        assert_eq!(response.headers["x-content-type-options"], "nosniff");
        assert!(!response.headers.contains_key("server"));
    }
}
