//! Sets, adds and removes header fields on the way to the backend. Nginx: `proxy_set_header`.

use std::sync::Arc;

use http::HeaderValue;
use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::Deserialize;

use super::headers::{Change, Changes, WrittenName};
use super::{Filter, FilterError, Settings, Workshop};
use crate::request::RequestCtx;

/// `request_headers: { set: { X-Tenant: acme }, remove: [Cookie] }`: what backends get. A field that is set to nothing is not there,
/// as with Nginx.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(transparent)]
pub struct RequestHeaders(Changes);

impl Settings for RequestHeaders {
    fn build(&self, _: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError> {
        Ok(Arc::new(self.clone()))
    }
}

impl Filter for RequestHeaders {
    fn on_upstream_request(&self, request: &mut RequestHeader, ctx: &RequestCtx) {
        if let Some(fields) = self.0.constants() {
            for (name, value) in fields {
                set(request, name, value.clone());
            }
            return;
        }
        for change in self.0.of(&request.headers, request, ctx) {
            match change {
                Change::Remove(name) => drop(request.remove_header(&name)),
                Change::Set(name, value) => set(request, &name, value),
                Change::Add(name, value) => {
                    request.append_header(name.spelling(), value).expect("name and value are parsed already");
                }
            }
        }
    }
}

fn set(request: &mut RequestHeader, name: &WrittenName, value: HeaderValue) {
    match value.is_empty() {
        true => drop(request.remove_header(&name.name)),
        false => request.insert_header(name.spelling(), value).expect("name and value are parsed already"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use bytes::Bytes;

    use super::*;
    use crate::filter::testing::{ctx, filter, request};

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
    fn a_field_that_is_set_to_nothing_is_not_there() {
        for yaml in ["{ set: { X-A: $header_x_b, X-C: c } }", "{ set: { X-A: '' } }"] {
            let headers: RequestHeaders = filter(yaml);
            let mut request = request("GET", "/", &[("x-a", "forged")]);
            headers.on_upstream_request(&mut request, &ctx("192.0.2.1"));
            assert!(!request.headers.contains_key("x-a"), "{yaml}");
        }
    }

    #[test]
    fn fields_are_added_and_lists_grow() {
        let headers: RequestHeaders = filter(
            "{ add: { X-Via: veil }, append: { X-List: c, X-New: a }, default: { X-There: no, X-Absent: yes }, remove: [X-Gone] }",
        );
        let fields = [("x-via", "other"), ("x-list", "a"), ("x-list", "b"), ("x-there", "kept"), ("x-gone", "1")];
        let mut request = request("GET", "/", &fields);
        headers.on_upstream_request(&mut request, &ctx("192.0.2.1"));
        let all = |name: &str| {
            let values = request.headers.get_all(name).iter();
            values.map(|value| value.to_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(all("x-via"), ["other", "veil"]);
        assert_eq!(all("x-list"), ["a, b, c"]);
        assert_eq!(all("x-new"), ["a"]);
        assert_eq!(all("x-there"), ["kept"]);
        assert_eq!(all("x-absent"), ["yes"]);
        assert!(all("x-gone").is_empty());
    }

    #[test]
    fn a_field_whose_value_is_unfit_is_not_there_at_all() {
        let headers: RequestHeaders = filter("{ set: { X-Path: $path } }");
        let field = |path: &str| {
            let mut request = request("GET", "/", &[("x-path", "/forged")]);
            let ctx = RequestCtx {
                path: Some(path.into()),
                ..ctx("192.0.2.1")
            };
            headers.on_upstream_request(&mut request, &ctx);
            request.headers.get("x-path").cloned()
        };
        assert_eq!(field("/a b").unwrap(), "/a b");
        assert_eq!(field("/a\nb"), None);
    }

    #[test]
    fn what_a_client_forged_never_stands() {
        let headers: RequestHeaders = filter("{ set: { X-Original-Uri: $request_uri, X-Kept: $request_uri } }");
        let field = |target: &[u8]| {
            let mut request = request("GET", "/", &[]);
            request.set_uri(http::Uri::from_maybe_shared(Bytes::copy_from_slice(target)).unwrap());
            request.append_header("x-original-uri", "/forged").unwrap();
            headers.on_upstream_request(&mut request, &ctx("192.0.2.1"));
            let value = request.headers.get("x-original-uri");
            value.map(|value| value.as_bytes().to_vec())
        };
        assert_eq!(field(b"/a?b"), Some(b"/a?b".to_vec()));
        assert_eq!(field("/a?é".as_bytes()), Some("/a?é".as_bytes().to_vec()));
    }
}
