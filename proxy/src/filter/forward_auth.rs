//! Somebody else says whether a request may come in. Nginx: `auth_request`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use pingora::http::{RequestHeader, ResponseHeader};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::timeout;

use super::headers::ChangedName;
use super::{Content, Filter, FilterError, Settings, Subrequests, Verdict, Workshop};
use crate::request::RequestCtx;
use crate::request::problem::{self, Problem};
use crate::request::syntax::request_uri;
use crate::request::variables::Template;
use crate::yaml::units;

/// `forward_auth: { pool: login, path: /check, set: [X-User] }`. A GET without a body asks the pool: 2xx lets the request on, 401,
/// 403 and 3xx are passed to the client as they are, and anything else, or nothing in time, is a failure.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ForwardAuth {
    pool: String,
    #[serde(default = "root")]
    path: Template,
    /// The client's fields that it sees, beside `X-Original-Method`, `X-Original-URI`, `X-Forwarded-Host` and `-Proto`.
    #[serde(default = "credentials")]
    see: Vec<ChangedName>,
    /// Fields of its answer that the request goes on with. Those of the client's own by these names go nowhere.
    #[serde(default)]
    set: Vec<ChangedName>,
    /// Texts that are noted (`$note_NAME`) of a request that comes in, each by its name: a field of the answer. Nginx: `auth_request_set`.
    #[serde(default)]
    note: BTreeMap<String, ChangedName>,
    #[serde(default = "two_seconds")]
    timeout: units::Duration,
    /// What becomes of requests while nobody says whether they may come in.
    #[serde(default)]
    on_failure: OnFailure,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum OnFailure {
    /// 503.
    #[default]
    Refuse,
    /// They come in, without the fields that would have been set.
    LetIn,
}

fn root() -> Template {
    Template::parse("/").expect("a path without variables")
}

fn credentials() -> Vec<ChangedName> {
    vec![ChangedName(header::AUTHORIZATION), ChangedName(header::COOKIE)]
}

fn two_seconds() -> units::Duration {
    units::Duration::from_secs(2)
}

impl Settings for ForwardAuth {
    fn guards(&self) -> bool {
        true
    }

    fn build(&self, workshop: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError> {
        Ok(Arc::new(Guard {
            settings: self.clone(),
            subrequests: workshop.subrequests.map(Arc::clone),
        }))
    }

    fn pools(&self) -> Vec<(&'static str, &str)> {
        vec![("pool", &self.pool)]
    }
}

struct Guard {
    settings: ForwardAuth,
    subrequests: Option<Arc<dyn Subrequests>>,
}

impl Filter for Guard {
    fn on_request(&self, request: &mut RequestHeader, ctx: &mut RequestCtx) -> Verdict {
        let names: Vec<HeaderName> = self.settings.set.iter().map(|ChangedName(name)| name.clone()).collect();
        let question = self.settings.question(request, ctx);
        for name in &names {
            request.remove_header(name);
        }
        let Some(subrequests) = &self.subrequests else {
            return Verdict::Continue;
        };
        let Ok(question) = question else {
            return Verdict::Refuse(problem::BAD_REQUEST);
        };
        let asked = subrequests.ask(&self.settings.pool, Box::new(question), ctx);
        let (patience, on_failure, notes) = (self.settings.timeout.get(), self.settings.on_failure, self.settings.note.clone());
        Verdict::Later(Box::pin(async move { judged(within(patience, asked).await, (names, notes), on_failure) }))
    }
}

async fn within(patience: Duration, asked: super::Asked) -> Option<Box<ResponseHeader>> {
    timeout(patience, asked).await.ok().flatten()
}

fn judged(
    answer: Option<Box<ResponseHeader>>,
    (names, notes): (Vec<HeaderName>, BTreeMap<String, ChangedName>),
    on_failure: OnFailure,
) -> Verdict {
    match answer {
        Some(answer) if answer.status.is_success() => Verdict::Amend(Box::new(move |request, ctx| {
            for (name, ChangedName(field)) in notes {
                let text = answer.headers.get(&field).map_or(&b""[..], HeaderValue::as_bytes);
                ctx.notes.note(&name, String::from_utf8_lossy(text));
            }
            for name in names {
                for value in answer.headers.get_all(&name) {
                    let _ = request.append_header(name.clone(), value.clone());
                }
            }
        })),
        Some(answer) if matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308 | 401 | 403) => passed(&answer),
        _ if on_failure == OnFailure::LetIn => Verdict::Continue,
        _ => Verdict::Refuse(NOBODY_SAYS),
    }
}

/// Its answer without a body, and without what is between it and Veil alone.
fn passed(answer: &ResponseHeader) -> Verdict {
    const PASSED: [HeaderName; 4] = [
        header::LOCATION,
        header::SET_COOKIE,
        header::WWW_AUTHENTICATE,
        header::CACHE_CONTROL,
    ];
    let mut response = http::Response::new(Content::Bytes(bytes::Bytes::new()));
    *response.status_mut() = answer.status;
    for name in PASSED {
        for value in answer.headers.get_all(&name) {
            response.headers_mut().append(name.clone(), value.clone());
        }
    }
    Verdict::Answer(Box::new(response))
}

impl ForwardAuth {
    fn question(&self, request: &RequestHeader, ctx: &RequestCtx) -> pingora::Result<RequestHeader> {
        let path = self.path.bytes(request, ctx);
        let mut head = RequestHeader::build(Method::GET, &path, None)?;
        let host = crate::request::syntax::host(request);
        head.insert_header(header::HOST, if host.is_empty() { "veil" } else { host })?;
        head.insert_header("X-Original-Method", request.method.as_str())?;
        head.insert_header("X-Original-URI", HeaderValue::from_bytes(request_uri(request)).unwrap_or(HeaderValue::from_static("/")))?;
        head.insert_header("X-Forwarded-Host", host)?;
        head.insert_header("X-Forwarded-Proto", ctx.scheme.as_str())?;
        head.insert_header("X-Request-Id", ctx.id.as_str())?;
        if let Some(client) = ctx.client {
            head.insert_header("X-Forwarded-For", client.to_string())?;
        }
        // What Veil says itself is not the client's to say once more.
        let told = head.headers.clone();
        let seen = self.see.iter().filter(|ChangedName(name)| !told.contains_key(name));
        for ChangedName(name) in seen {
            for value in request.headers.get_all(name) {
                head.append_header(name.clone(), value.clone())?;
            }
        }
        Ok(head)
    }
}

const NOBODY_SAYS: Problem = Problem {
    retry_after: Some(1),
    ..Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "authority_unavailable",
        "nobody can say at this moment whether you may come in",
    )
};

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::{Asked, Settled};
    use super::*;
    use crate::filter::testing::{ctx, filter, request};

    struct Authority(Option<u16>);

    impl Subrequests for Authority {
        fn ask(&self, pool: &str, head: Box<RequestHeader>, _: &RequestCtx) -> Asked {
            assert_eq!((pool, head.raw_path()), ("login", &b"/check/a.test"[..]));
            assert_eq!(head.headers["cookie"], "sid=1");
            assert_eq!(head.headers["x-original-uri"], "/private?a");
            assert!(!head.headers.contains_key("x-secret") && !head.headers.contains_key("x-user"));
            let answer = self.0.map(|status| {
                let mut answer = ResponseHeader::build(status, None).unwrap();
                answer.insert_header("x-user", "ada").unwrap();
                answer.insert_header("location", "/login").unwrap();
                Box::new(answer)
            });
            Box::pin(async move { answer })
        }
    }

    async fn came_in(status: Option<u16>, more: &str) -> (Option<u16>, Option<String>) {
        let settings: ForwardAuth = filter(&format!("{{ pool: login, path: /check/$host, set: [X-User], note: {{ who: X-User }} {more} }}"));
        let authority: Arc<dyn Subrequests> = Arc::new(Authority(status));
        let guard = settings.build(&Workshop { subrequests: Some(&authority), ..Workshop::default() }).unwrap();
        let fields = [("host", "a.test"), ("cookie", "sid=1"), ("x-user", "forged"), ("x-secret", "1")];
        let (mut request, mut ctx) = (request("POST", "/private?a", &fields), ctx("192.0.2.1"));
        let status = match guard.on_request(&mut request, &mut ctx).settled().await {
            Settled::Continue | Settled::Reroute(_) => None,
            Settled::Amend(amend) => {
                amend(&mut request, &mut ctx);
                assert_eq!(ctx.notes.noted("who"), Some("ada"));
                None
            }
            Settled::Answer(answer) => Some(answer.status().as_u16()),
            Settled::Refuse(problem, _) => Some(problem.status.as_u16()),
        };
        (status, request.headers.get("x-user").map(|value| value.to_str().unwrap().to_owned()))
    }

    #[tokio::test]
    async fn the_authority_decides() {
        assert_eq!(came_in(Some(204), "").await, (None, Some("ada".to_owned())));
        for status in [401, 403, 302] {
            assert_eq!(came_in(Some(status), "").await, (Some(status), None));
        }
        for failure in [Some(500), Some(404), None] {
            assert_eq!(came_in(failure, "").await, (Some(503), None));
            assert_eq!(came_in(failure, ", on_failure: let_in").await, (None, None));
        }
    }
}
