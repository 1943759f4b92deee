//! Sets and removes header fields on the way to the client. Nginx: `add_header`, `proxy_hide_header`.

use std::sync::Arc;

use pingora::http::{RequestHeader, ResponseHeader};
use schemars::JsonSchema;
use serde::Deserialize;

use super::headers::Changes;
use super::{Filter, Settings};
use crate::request::RequestCtx;

/// `response_headers: { set: { X-Content-Type-Options: nosniff }, remove: [Server] }`: what clients get.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(transparent)]
pub struct ResponseHeaders(Changes);

impl Settings for ResponseHeaders {
    fn build(&self) -> Arc<dyn Filter> {
        Arc::new(self.clone())
    }
}

impl Filter for ResponseHeaders {
    fn on_response(&self, response: &mut ResponseHeader, request: &RequestHeader, ctx: &RequestCtx) {
        for (name, value) in self.0.fields(request, ctx) {
            response.remove_header(&name);
            if let Some(value) = value {
                response.insert_header(name, value).expect("name and value are parsed already");
            }
        }
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
