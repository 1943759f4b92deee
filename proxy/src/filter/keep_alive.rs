//! How long a client's connection is kept for its further requests. Nginx: `keepalive_requests`, `keepalive_time`,
//! `keepalive_timeout`, `keepalive_disable`.

use std::num::NonZeroU64;
use std::sync::Arc;

use http::{HeaderValue, Method, Version, header};
use pingora::http::{RequestHeader, ResponseHeader};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{BodyChange, Filter, FilterError, Settings, Verdict, Workshop};
use crate::request::RequestCtx;
use crate::request::notes::Keeping;
use crate::yaml::units::Duration;

/// `keep_alive: { requests: 1000, time: 1h, idle: 75s }`: how long connections of HTTP/1 are kept for further requests.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct KeepAlive {
    /// The answer to so many is a connection's last one. Nginx: `keepalive_requests`.
    requests: Option<NonZeroU64>,
    /// The first answer after so long is. Nginx: `keepalive_time`.
    time: Option<Duration>,
    /// Between this answer and the next request, in place of the listener's `timeouts.idle`; 0s makes it the last one. Nginx:
    /// `keepalive_timeout`.
    idle: Option<Duration>,
    /// What clients are told of that, in `Keep-Alive`.
    told: Option<Duration>,
    /// Browsers whose connections are not kept.
    not_for: Vec<Browser>,
}

/// Nginx: `keepalive_disable`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Browser {
    /// Old ones of Microsoft's, after POST.
    Msie6,
    /// Those on macOS that call themselves so.
    Safari,
}

impl Settings for KeepAlive {
    fn build(&self, _: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError> {
        Ok(Arc::new(self.clone()))
    }
}

impl Filter for KeepAlive {
    fn on_request(&self, request: &mut RequestHeader, ctx: &mut RequestCtx) -> Verdict {
        let is_unfit = self.not_for.iter().any(|browser| browser.sends(request));
        ctx.notes.keeping = Some(Keeping {
            requests: self.requests.map(NonZeroU64::get),
            time: self.time.map(|time| time.get()),
            idle: match is_unfit {
                true => Some(std::time::Duration::ZERO),
                false => self.idle.map(|idle| idle.get()),
            },
        });
        Verdict::Continue
    }

    fn on_response(&self, answer: &mut ResponseHeader, request: &RequestHeader, ctx: &RequestCtx) -> Option<BodyChange> {
        let connection = ctx.notes.connection.as_ref()?;
        if request.version == Version::HTTP_11 && connection.is_kept_after(ctx.notes.keeping) {
            let told = HeaderValue::try_from(format!("timeout={}", self.told?.get().as_secs()));
            // A number is fit to go.
            let _ = answer.insert_header("Keep-Alive", told.ok()?);
        }
        None
    }
}

impl Browser {
    fn sends(self, request: &RequestHeader) -> bool {
        let name = request.headers.get(header::USER_AGENT).map_or("", |name| name.to_str().unwrap_or_default());
        let is = |part: &str| name.contains(part);
        match self {
            Self::Msie6 => {
                let version = name.split_once("MSIE ").map_or("", |(_, version)| version);
                let is_old = version.starts_with("4.") || version.starts_with("5.");
                let is_six = version.starts_with("6.") && !is("SV1");
                request.method == Method::POST && !is("Opera") && (is_old || is_six)
            }
            Self::Safari => {
                is("Safari/") && is("Mac OS X") && !["MSIE ", "Opera", "Gecko/", "Chrome/"].into_iter().any(is)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::filter::testing::{ctx, filter, request};

    #[test]
    fn some_browsers_connections_end() {
        let ends = |method: &str, browser: &str| {
            let keep: KeepAlive = filter("{ idle: 9s, not_for: [msie6, safari] }");
            let (mut head, mut ctx) = (request(method, "/", &[("user-agent", browser)]), ctx("192.0.2.1"));
            keep.on_request(&mut head, &mut ctx);
            ctx.notes.keeping.unwrap().idle.unwrap().is_zero()
        };
        assert!(ends("POST", "MSIE 5.0") && ends("POST", "MSIE 6.0") && ends("GET", "Mac OS X Safari/7534.48.3"));
        for (method, browser) in [
            ("GET", "MSIE 5.0"),
            ("POST", "MSIE 7.0"),
            ("POST", "MSIE 6.0; SV1"),
            ("GET", "Mac OS X Chrome/1 Safari/7534.48.3"),
            ("GET", ""),
        ] {
            assert!(!ends(method, browser), "{method} {browser}");
        }
    }
}
