//! An answer of Veil's own.

use std::fmt;

use bytes::Bytes;
use pingora::http::ResponseHeader;

use crate::filter::{Besides, Content};
use crate::request::RequestCtx;
use crate::request::problem::Problem;

pub struct Own {
    pub head: ResponseHeader,
    /// Nothing where it is a file.
    pub body: Option<Bytes>,
    /// A problem's.
    pub code: Option<&'static str>,
}

impl Own {
    pub fn answer(answer: http::Response<Content>) -> Self {
        let (parts, content) = answer.into_parts();
        let body = match content {
            Content::Bytes(body) => Some(body),
            Content::File { .. } => None,
        };
        Self {
            head: parts.into(),
            body,
            code: None,
        }
    }

    pub fn refusal(problem: Problem, besides: Besides, ctx: &RequestCtx) -> Option<Self> {
        let detail = besides.detail.as_deref().map(|detail| ("detail", detail));
        let (mut head, body) = problem.response_with(&ctx.id, detail.as_slice()).ok()?;
        if let Some((name, value)) = besides.field {
            head.insert_header(name, value).ok()?;
        }
        Some(Self {
            head,
            body: Some(body),
            code: Some(problem.code),
        })
    }
}

impl fmt::Display for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.head.status.as_u16())?;
        self.code.map_or(Ok(()), |code| write!(f, " {code}"))
    }
}
