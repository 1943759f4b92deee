//! Filters: small policies on a request's and a response's head, in the order in which a route lists them.
//!
//! A filter is one file: the struct that YAML fills, what it does, its tests. Its name is a variant of
//! [`FilterConfig`]; nothing else knows it.

mod access;
mod cors;
mod headers;
mod https_only;
mod rate_limit;
mod redirect;
mod respond;
mod variables;

use bytes::Bytes;
use pingora::http::{RequestHeader, ResponseHeader};
use schemars::JsonSchema;
use serde::Deserialize;

pub use self::access::Access;
pub use self::cors::CorsConfig;
pub use self::headers::{RequestHeaders, ResponseHeaders};
pub use self::https_only::HttpsOnly;
pub use self::rate_limit::RateLimitConfig;
pub use self::redirect::Redirect;
pub use self::respond::Respond;
use crate::request::RequestCtx;
use crate::request::problem::Problem;

/// What is done to the requests and responses of a route. Each step goes on unless a filter says otherwise.
pub trait Filter: Send + Sync {
    /// When the head has come from the client, before a byte of the body is read.
    fn on_request(&self, _request: &mut RequestHeader, _ctx: &RequestCtx) -> Verdict {
        Verdict::Continue
    }

    /// Before the head goes to a backend, once for each that is tried.
    fn on_upstream_request(&self, _request: &mut RequestHeader, _ctx: &RequestCtx) {}

    /// Before the answer's head goes to the client, in reverse order; also where Veil itself is who answers.
    fn on_response(&self, _response: &mut ResponseHeader, _request: &RequestHeader, _ctx: &RequestCtx) {}
}

/// What becomes of a request after a filter has seen it.
#[derive(Debug)]
pub enum Verdict {
    Continue,
    /// Ends here, with this answer.
    Answer(Box<http::Response<Bytes>>),
    /// Ends here, with a problem document.
    Refuse(Problem),
}

/// One entry of a route's `filters`, a map with the filter's name as its only key.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum FilterConfig {
    Access(Access),
    Cors(CorsConfig),
    HttpsOnly(HttpsOnly),
    RateLimit(RateLimitConfig),
    Redirect(Redirect),
    RequestHeaders(RequestHeaders),
    Respond(Respond),
    ResponseHeaders(ResponseHeaders),
}

impl FilterConfig {
    pub fn build(&self) -> Box<dyn Filter> {
        match self.clone() {
            Self::Access(access) => Box::new(access),
            Self::Cors(cors) => Box::new(cors),
            Self::HttpsOnly(https_only) => Box::new(https_only),
            Self::RateLimit(config) => Box::new(config.build()),
            Self::Redirect(redirect) => Box::new(redirect),
            Self::RequestHeaders(headers) => Box::new(headers),
            Self::Respond(respond) => Box::new(respond),
            Self::ResponseHeaders(headers) => Box::new(headers),
        }
    }

    /// What it is called in YAML.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Access(_) => "access",
            Self::Cors(_) => "cors",
            Self::HttpsOnly(_) => "https_only",
            Self::RateLimit(_) => "rate_limit",
            Self::Redirect(_) => "redirect",
            Self::RequestHeaders(_) => "request_headers",
            Self::Respond(_) => "respond",
            Self::ResponseHeaders(_) => "response_headers",
        }
    }

    /// Whether no request gets past it, so that its route needs no pool.
    pub fn always_answers(&self) -> bool {
        matches!(self, Self::Redirect(_) | Self::Respond(_))
    }
}

#[cfg(test)]
mod testing {
    #![allow(clippy::unwrap_used)]

    use std::time::Instant;

    use super::*;
    use crate::request::{RequestId, Scheme};

    /// A request's facts, as if from this client over plain HTTP.
    pub fn ctx(client: &str) -> RequestCtx {
        let client = client.parse().unwrap();
        RequestCtx {
            id: RequestId::parse(b"some-id").unwrap(),
            peer: (client, 40_000).into(),
            client,
            scheme: Scheme::Http,
            received: Instant::now(),
        }
    }

    pub fn request(method: &str, path: &str, headers: &[(&'static str, &str)]) -> RequestHeader {
        let mut request = RequestHeader::build(method, path.as_bytes(), None).unwrap();
        for (name, value) in headers {
            request.append_header(*name, *value).unwrap();
        }
        request
    }

    pub fn ok() -> ResponseHeader {
        ResponseHeader::build(200, None).unwrap()
    }

    pub fn filter<F: serde::de::DeserializeOwned>(yaml: &str) -> F {
        serde_yaml::from_str(yaml).unwrap()
    }
}
