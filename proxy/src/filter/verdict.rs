//! What filters decide.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};

use super::answer::Content;
use super::{RequestCtx, RequestHeader};
use crate::request::problem::{self, Problem};

/// What becomes of a request after a filter has seen it.
pub enum Verdict {
    Continue,
    /// Goes on once this is done.
    Amend(Amendment),
    /// Goes to the route of this name, or else to that which its target leads to now.
    Reroute(Option<Arc<str>>),
    /// Ends here, with this answer.
    Answer(Box<http::Response<Content>>),
    /// Ends here, with a problem document.
    Refuse(Problem),
    /// Ends here, with a problem document and how to prove who one is: `WWW-Authenticate`.
    Challenge(Problem, HeaderValue),
    /// Ends here, for it has another method than these: 405 and `Allow`.
    Methods(HeaderValue),
    /// Ends here, with a problem document whose `detail` is this.
    Explain(Problem, Box<str>),
    /// Somebody else has to be asked first. Whoever makes this bounds the time that it takes.
    Later(Pin<Box<dyn Future<Output = Verdict> + Send>>),
}

/// What is done to a request after somebody else was asked.
pub type Amendment = Box<dyn FnOnce(&mut RequestHeader, &mut RequestCtx) + Send>;

impl Verdict {
    /// An answer that sends the client elsewhere.
    pub(super) fn to(location: HeaderValue, status: StatusCode) -> Self {
        let mut answer = http::Response::new(Content::from(Bytes::new()));
        *answer.status_mut() = status;
        answer.headers_mut().insert(header::LOCATION, location);
        answer.headers_mut().insert(header::CONTENT_LENGTH, 0.into());
        Self::Answer(Box::new(answer))
    }

    /// What it comes to.
    pub async fn settled(self) -> Settled {
        let mut verdict = self;
        loop {
            verdict = match verdict {
                Self::Continue => return Settled::Continue,
                Self::Amend(amendment) => return Settled::Amend(amendment),
                Self::Reroute(to) => return Settled::Reroute(to),
                Self::Answer(answer) => return Settled::Answer(answer),
                Self::Refuse(problem) => return Settled::Refuse(problem, Besides::default()),
                Self::Challenge(problem, challenge) => {
                    return Settled::Refuse(problem, Besides::field(header::WWW_AUTHENTICATE, challenge));
                }
                Self::Methods(allowed) => {
                    return Settled::Refuse(problem::METHOD_NOT_ALLOWED, Besides::field(header::ALLOW, allowed));
                }
                Self::Explain(problem, detail) => return Settled::Refuse(problem, Besides::detail(detail)),
                Self::Later(verdict) => verdict.await,
            };
        }
    }
}

impl From<Settled> for Verdict {
    fn from(settled: Settled) -> Self {
        match settled {
            Settled::Continue => Self::Continue,
            Settled::Amend(amendment) => Self::Amend(amendment),
            Settled::Reroute(to) => Self::Reroute(to),
            Settled::Answer(answer) => Self::Answer(answer),
            Settled::Refuse(problem, besides) => match (besides.field, besides.detail) {
                (Some((name, allowed)), _) if name == header::ALLOW => Self::Methods(allowed),
                (Some((_, challenge)), _) => Self::Challenge(problem, challenge),
                (None, Some(detail)) => Self::Explain(problem, detail),
                (None, None) => Self::Refuse(problem),
            },
        }
    }
}

/// A verdict that waits for nobody.
pub enum Settled {
    Continue,
    Amend(Amendment),
    /// To the route of this name, or else to that of its target.
    Reroute(Option<Arc<str>>),
    Answer(Box<http::Response<Content>>),
    Refuse(Problem, Besides),
}

/// What a refusal says besides its problem.
#[derive(Debug, Default, PartialEq)]
pub struct Besides {
    /// What would do: `WWW-Authenticate`, or `Allow`.
    pub field: Option<(HeaderName, HeaderValue)>,
    /// In the place of the problem's own words.
    pub detail: Option<Box<str>>,
}

impl Besides {
    pub fn field(name: HeaderName, value: HeaderValue) -> Self {
        Self {
            field: Some((name, value)),
            detail: None,
        }
    }

    pub fn detail(detail: Box<str>) -> Self {
        Self {
            field: None,
            detail: Some(detail),
        }
    }
}

impl fmt::Debug for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Continue => f.write_str("Continue"),
            Self::Amend(_) => f.write_str("Amend"),
            Self::Reroute(to) => f.debug_tuple("Reroute").field(to).finish(),
            Self::Answer(answer) => f.debug_tuple("Answer").field(answer).finish(),
            Self::Refuse(problem) | Self::Challenge(problem, _) | Self::Explain(problem, _) => {
                f.debug_tuple("Refuse").field(problem).finish()
            }
            Self::Methods(allowed) => f.debug_tuple("Methods").field(allowed).finish(),
            Self::Later(_) => f.write_str("Later"),
        }
    }
}
