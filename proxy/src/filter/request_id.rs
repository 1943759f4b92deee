//! Where a request's id comes from, and which trace it belongs to.

use std::sync::Arc;

use http::HeaderValue;
use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::Deserialize;

use super::headers::ChangedName;
use super::{Filter, FilterError, Settings, Verdict, Workshop};
use crate::request::trace::{TRACEPARENT, Trace};
use crate::request::{self, RequestCtx};

/// `request_id: { traceparent: true }`. Without this filter, a sane `X-Request-Id` of the client's is kept, another one is made
/// where there is none, and `traceparent` passes as it came.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct RequestId {
    /// A field whose value is the id, in the place of `X-Request-Id`.
    header: Option<ChangedName>,
    /// Whether a client's own id is kept.
    #[serde(default = "yes")]
    keep: bool,
    /// Goes on with the client's trace, or begins one (W3C Trace Context): backends get Veil's own span as their parent, the
    /// access line and templates the `trace_id`. One that is not to be kept is begun anew.
    #[serde(default)]
    traceparent: bool,
}

fn yes() -> bool {
    true
}

impl Settings for RequestId {
    fn build(&self, _: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError> {
        Ok(Arc::new(self.clone()))
    }
}

impl Filter for RequestId {
    fn on_request(&self, request: &mut RequestHeader, ctx: &mut RequestCtx) -> Verdict {
        if !self.keep {
            ctx.id = request::RequestId::random();
        } else if let Some(ChangedName(name)) = &self.header {
            let given = request.headers.get(name).map(HeaderValue::as_bytes);
            ctx.id = given.and_then(request::RequestId::parse).unwrap_or_else(request::RequestId::random);
        }
        if self.traceparent {
            let parent = request.headers.get(TRACEPARENT).map(HeaderValue::as_bytes);
            let trace = Trace::under(parent.filter(|_| self.keep));
            ctx.notes.trace = Some(match ctx.notes.trace {
                None => trace,
                Some(told) if self.keep => told,
                Some(told) => trace.told(told.is_sampled()),
            });
        }
        Verdict::Continue
    }

    fn on_upstream_request(&self, request: &mut RequestHeader, ctx: &RequestCtx) {
        if let Some(ChangedName(name)) = &self.header {
            let _ = request.insert_header(name.clone(), ctx.id.as_str());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::filter::testing::{ctx, filter, request};

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    /// Its id, and how its trace goes on.
    fn told(yaml: &str) -> (String, Option<String>) {
        let (mut request, mut ctx) = (request("GET", "/", &[("traceparent", PARENT), ("x-amzn-id", "theirs")]), ctx("192.0.2.1"));
        let filter: RequestId = filter(yaml);
        assert!(matches!(filter.on_request(&mut request, &mut ctx), Verdict::Continue));
        (ctx.id.to_string(), ctx.notes.trace.map(|trace| trace.to_string()))
    }

    #[test]
    fn a_trace_goes_on_under_a_span_of_its_own() {
        assert_eq!(told("{}"), ("some-id".to_owned(), None));
        let (id, parent) = told("{ traceparent: true, header: X-Amzn-Id }");
        assert_eq!(id, "theirs");
        assert!(parent.unwrap().starts_with("00-0af7651916cd43dd8448eb211c80319c-"));
        let (id, parent) = told("{ traceparent: true, keep: false }");
        assert_eq!(id.len(), 32);
        assert!(!parent.unwrap().contains("0af7651916cd43dd8448eb211c80319c"));
    }
}
