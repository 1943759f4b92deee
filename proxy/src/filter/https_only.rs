//! Sends whoever comes over plain HTTP to the same place over HTTPS. Nginx: a second `server` with `return 308`.

use std::num::NonZeroU16;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Filter, Verdict};
use crate::request::problem;
use crate::request::{RequestCtx, Scheme, host_name};

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

impl Filter for HttpsOnly {
    fn on_request(&self, request: &mut RequestHeader, ctx: &RequestCtx) -> Verdict {
        if ctx.scheme == Scheme::Https {
            return Verdict::Continue;
        }
        let host = request
            .headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
            .map(host_name);
        let Some(host) = host.filter(|host| !host.is_empty()) else {
            return Verdict::Refuse(problem::BAD_REQUEST);
        };
        let port = match self.port {
            port if port == https() => String::new(),
            port => format!(":{port}"),
        };
        let target = request.uri.path_and_query().map_or("/", |target| target.as_str());
        let Ok(location) = HeaderValue::try_from(format!("https://{host}{port}{target}")) else {
            return Verdict::Refuse(problem::BAD_REQUEST);
        };
        let mut answer = http::Response::new(Bytes::new());
        *answer.status_mut() = StatusCode::PERMANENT_REDIRECT;
        answer.headers_mut().insert(header::LOCATION, location);
        answer.headers_mut().insert(header::CONTENT_LENGTH, 0.into());
        Verdict::Answer(Box::new(answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::testing::{ctx, filter, request};

    fn verdict(yaml: &str, scheme: Scheme, headers: &[(&'static str, &str)]) -> Verdict {
        let ctx = RequestCtx {
            scheme,
            ..ctx("192.0.2.1")
        };
        filter::<HttpsOnly>(yaml).on_request(&mut request("POST", "/v1/blur?a", headers), &ctx)
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
