//! Filters: small policies on a request's and a response's head, in the order in which a route lists them.
//!
//! A filter is one file: the struct that YAML fills, what it does, its tests. One line below makes it known; nothing else
//! knows it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use pingora::http::{RequestHeader, ResponseHeader};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::request::RequestCtx;
use crate::request::problem::Problem;

/// Makes filters known: of each its variant of [`FilterConfig`], which is the name of its settings too, and its module,
/// which is what YAML calls it.
macro_rules! filters {
    ($($filter:ident in $module:ident,)*) => {
        $(mod $module;)*

        /// One entry of a route's `filters`, a map with the filter's name as its only key.
        #[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
        #[serde(rename_all = "snake_case")]
        pub enum FilterConfig {
            $($filter($module::$filter),)*
        }

        impl FilterConfig {
            pub fn build(&self) -> Arc<dyn Filter> {
                match self {
                    $(Self::$filter(settings) => settings.build(),)*
                }
            }

            /// What it is called in YAML.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$filter(_) => stringify!($module),)*
                }
            }

            /// Whether no request gets past it, so that its route needs no pool.
            pub fn always_answers(&self) -> bool {
                match self {
                    $(Self::$filter(_) => <$module::$filter as Settings>::ALWAYS_ANSWERS,)*
                }
            }
        }
    };
}

mod headers;
mod variables;

filters! {
    Access in access,
    Cors in cors,
    HttpsOnly in https_only,
    RateLimit in rate_limit,
    Redirect in redirect,
    RequestHeaders in request_headers,
    Respond in respond,
    ResponseHeaders in response_headers,
}

/// What YAML says of one filter.
trait Settings: Clone + PartialEq {
    /// Whether no request gets past it, so that its route needs no pool.
    const ALWAYS_ANSWERS: bool = false;

    fn build(&self) -> Arc<dyn Filter>;
}

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
pub enum Verdict {
    Continue,
    /// Ends here, with this answer.
    Answer(Box<http::Response<Bytes>>),
    /// Ends here, with a problem document.
    Refuse(Problem),
    /// Somebody else has to be asked first. Whoever makes this bounds the time that it takes.
    Later(Pin<Box<dyn Future<Output = Verdict> + Send>>),
}

impl Verdict {
    /// What it comes to.
    pub async fn settled(self) -> Settled {
        let mut verdict = self;
        loop {
            verdict = match verdict {
                Self::Continue => return Settled::Continue,
                Self::Answer(answer) => return Settled::Answer(answer),
                Self::Refuse(problem) => return Settled::Refuse(problem),
                Self::Later(verdict) => verdict.await,
            };
        }
    }
}

/// A verdict that waits for nobody.
#[derive(Debug)]
pub enum Settled {
    Continue,
    Answer(Box<http::Response<Bytes>>),
    Refuse(Problem),
}

impl fmt::Debug for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Continue => f.write_str("Continue"),
            Self::Answer(answer) => f.debug_tuple("Answer").field(answer).finish(),
            Self::Refuse(problem) => f.debug_tuple("Refuse").field(problem).finish(),
            Self::Later(_) => f.write_str("Later"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::testing::{ctx, request};
    use super::*;

    /// Asks somebody, who asks somebody.
    struct Asks;

    impl Filter for Asks {
        fn on_request(&self, _request: &mut RequestHeader, _ctx: &RequestCtx) -> Verdict {
            Verdict::Later(Box::pin(async {
                tokio::task::yield_now().await;
                Verdict::Later(Box::pin(async { Verdict::Refuse(crate::request::problem::NO_ROUTE) }))
            }))
        }
    }

    #[tokio::test]
    async fn a_verdict_may_take_its_time() {
        let verdict = Asks.on_request(&mut request("GET", "/", &[]), &ctx("192.0.2.1"));
        assert!(matches!(verdict.settled().await, Settled::Refuse(problem) if problem.code == "no_route"));
    }

    #[test]
    fn a_filter_is_called_what_yaml_calls_it() {
        for yaml in [
            "access: { deny: [192.0.2.1] }",
            "cors: { origins: ['*'] }",
            "https_only: {}",
            "rate_limit: { rate: 1/s }",
            "redirect: { to: / }",
            "request_headers: {}",
            "respond: { status: 404 }",
            "response_headers: {}",
        ] {
            let entry: serde_yaml::Value = serde_yaml::from_str(yaml).unwrap();
            let config: FilterConfig = serde_yaml::with::singleton_map::deserialize(entry).unwrap();
            let name = yaml.split(':').next().unwrap();
            assert_eq!(config.name(), name);
            assert_eq!(
                config.always_answers(),
                matches!(name, "redirect" | "respond"),
                "{name}"
            );
        }
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
            client: Some(client),
            scheme: Scheme::Http,
            path: None,
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
