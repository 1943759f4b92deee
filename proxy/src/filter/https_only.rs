//! Sends whoever comes over plain HTTP to the same place over HTTPS. Nginx: a second `server` with `return 308`.

use std::num::NonZeroU16;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Content, Filter, FilterError, Settings, Verdict, Workshop};
use crate::request::problem;
use crate::request::syntax::{host, host_name, request_uri};
use crate::request::{RequestCtx, Scheme};

/// `https_only: {}`, or `https_only: { port: 8443 }` where clients reach HTTPS on another port than 443.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct HttpsOnly {
    #[serde(default = "https")]
    port: NonZeroU16,
}

fn https() -> NonZeroU16 {
    NonZeroU16::MIN.saturating_add(442)
}

impl Settings for HttpsOnly {
    fn build(&self, _: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError> {
        Ok(Arc::new(self.clone()))
    }
}

impl Filter for HttpsOnly {
    fn on_request(&self, request: &mut RequestHeader, ctx: &mut RequestCtx) -> Verdict {
        if ctx.scheme == Scheme::Https {
            return Verdict::Continue;
        }
        let host = host_name(host(request));
        if host.is_empty() {
            return Verdict::Refuse(problem::BAD_REQUEST);
        }
        let port = match self.port {
            port if port == https() => String::new(),
            port => format!(":{port}"),
        };
        let location = [format!("https://{host}{port}").as_bytes(), request_uri(request)].concat();
        let Ok(location) = HeaderValue::try_from(location) else {
            return Verdict::Refuse(problem::BAD_REQUEST);
        };
        let mut answer = http::Response::new(Content::from(Bytes::new()));
        *answer.status_mut() = StatusCode::PERMANENT_REDIRECT;
        answer.headers_mut().insert(header::LOCATION, location);
        answer.headers_mut().insert(header::CONTENT_LENGTH, 0.into());
        Verdict::Answer(Box::new(answer))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::filter::testing::{ctx, filter, request};

    fn verdict(yaml: &str, scheme: Scheme, headers: &[(&'static str, &str)]) -> Verdict {
        let mut ctx = RequestCtx {
            scheme,
            ..ctx("192.0.2.1")
        };
        filter::<HttpsOnly>(yaml).on_request(&mut request("POST", "/v1/blur?a", headers), &mut ctx)
    }

    #[test]
    fn plain_http_is_sent_to_https() {
        for (yaml, location) in [
            ("{}", "https://example.com/v1/blur?a"),
            ("{ port: 8443 }", "https://example.com:8443/v1/blur?a"),
        ] {
            let Verdict::Answer(answer) = verdict(yaml, Scheme::Http, &[("host", "example.com:80")]) else {
                panic!("plain HTTP is redirected");
            };
            assert_eq!(answer.status(), 308);
            assert_eq!(answer.headers()["location"], location);
        }
    }

    #[test]
    fn over_http2_the_authority_is_the_host() {
        let mut request = request("GET", "/", &[]);
        request.set_uri("http://example.com:80/a?b".parse().unwrap());
        let Verdict::Answer(answer) = filter::<HttpsOnly>("{}").on_request(&mut request, &mut ctx("192.0.2.1")) else {
            panic!("plain HTTP is redirected");
        };
        assert_eq!(answer.headers()["location"], "https://example.com/a?b");
    }

    #[test]
    fn https_goes_on() {
        assert!(matches!(
            verdict("{}", Scheme::Https, &[("host", "example.com")]),
            Verdict::Continue
        ));
    }

    #[test]
    fn who_names_no_host_cannot_be_sent_anywhere() {
        assert!(matches!(verdict("{}", Scheme::Http, &[]), Verdict::Refuse(_)));
    }
}
