//! Answers that say what went wrong: RFC 9457 problem documents with a stable `code` and the request's id.

use bytes::Bytes;
use http::{StatusCode, header};
use pingora::http::ResponseHeader;
use serde_json::json;

use crate::request::RequestId;

/// One kind of failure as clients see it. `code` is for programs and never changes; `detail` is for people and says
/// nothing of what is behind the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Problem {
    pub status: StatusCode,
    pub code: &'static str,
    pub detail: &'static str,
    /// For programs too: which of the rules behind `code` was broken.
    pub reason: Option<&'static str>,
    /// Seconds after which asking again makes sense.
    pub retry_after: Option<u32>,
}

/// The header that carries the request's id, both ways.
pub const X_REQUEST_ID: &str = "X-Request-Id";

pub const BAD_REQUEST: Problem = Problem::new(StatusCode::BAD_REQUEST, "bad_request", "the request is malformed");
pub const BAD_PATH: Problem = Problem::new(
    StatusCode::BAD_REQUEST,
    "bad_path",
    "the request's path can be read in more than one way",
);
pub const NO_ROUTE: Problem = Problem::new(StatusCode::NOT_FOUND, "no_route", "nothing is served here");
pub const METHOD_NOT_ALLOWED: Problem = Problem::new(
    StatusCode::METHOD_NOT_ALLOWED,
    "method_not_allowed",
    "this method is not served here",
);
pub const REQUEST_TIMEOUT: Problem = Problem::new(
    StatusCode::REQUEST_TIMEOUT,
    "request_timeout",
    "the request did not arrive in time",
);
pub const BODY_TOO_LARGE: Problem = Problem::new(
    StatusCode::PAYLOAD_TOO_LARGE,
    "body_too_large",
    "the request's body is larger than allowed here",
);
pub const BODY_MEMORY_FULL: Problem = Problem {
    retry_after: Some(1),
    ..Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "busy",
        "too many request bodies are held at this moment",
    )
};
pub const HEAD_TOO_LARGE: Problem = Problem::new(
    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    "head_too_large",
    "the request's header fields are larger than allowed here",
);
pub const NOT_IMPLEMENTED: Problem = Problem::new(
    StatusCode::NOT_IMPLEMENTED,
    "not_implemented",
    "the request needs something that is not known here",
);
pub const INTERNAL: Problem = Problem::new(
    StatusCode::INTERNAL_SERVER_ERROR,
    "internal",
    "something went wrong inside the proxy",
);
pub const UPSTREAM_FAILED: Problem = Problem::new(
    StatusCode::BAD_GATEWAY,
    "upstream_failed",
    "no backend gave a usable answer",
);
pub const NO_BACKEND: Problem = Problem {
    retry_after: Some(1),
    ..Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no_backend", "no backend is available")
};
pub const QUEUE_FULL: Problem = Problem {
    reason: Some("queue_full"),
    ..BUSY
};
/// This host has no descriptors or ports left.
pub const LOCAL_LIMIT: Problem = Problem {
    reason: Some("local_limit"),
    ..BUSY
};
pub const QUEUE_TIMEOUT: Problem = Problem {
    reason: Some("queue_timeout"),
    ..BUSY
};
const BUSY: Problem = Problem {
    retry_after: Some(1),
    ..Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "all backends are busy")
};
pub const POISON_BODY: Problem = Problem::new(
    StatusCode::UNPROCESSABLE_ENTITY,
    "poison_body",
    "every backend that was given this body died while it worked on it",
);
pub const UPSTREAM_TIMEOUT: Problem = Problem::new(
    StatusCode::GATEWAY_TIMEOUT,
    "upstream_timeout",
    "the backend did not answer in time",
);

impl Problem {
    pub const fn new(status: StatusCode, code: &'static str, detail: &'static str) -> Self {
        Self {
            status,
            code,
            detail,
            reason: None,
            retry_after: None,
        }
    }

    /// The document's media type.
    pub const MEDIA_TYPE: &'static str = "application/problem+json";

    /// The answer's head and body.
    pub fn response(&self, id: &RequestId) -> pingora::Result<(ResponseHeader, Bytes)> {
        let body = self.document(Some(id));
        let mut head = ResponseHeader::build(self.status, Some(6))?;
        head.insert_header(header::CONTENT_TYPE, Self::MEDIA_TYPE)?;
        head.insert_header(header::CONTENT_LENGTH, body.len())?;
        head.insert_header(header::CACHE_CONTROL, "no-store")?;
        head.insert_header(X_REQUEST_ID, id.as_str())?;
        if let Some(seconds) = self.retry_after {
            head.insert_header(header::RETRY_AFTER, seconds)?;
        }
        Ok((head, Bytes::from(body)))
    }

    /// The answer as it goes over an HTTP/1 connection that ends with it, for requests too broken to have an id.
    pub fn last_words(&self) -> Vec<u8> {
        let body = self.document(None);
        format!(
            "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
             Connection: close\r\n\r\n{body}",
            self.status.as_u16(),
            self.title(),
            Self::MEDIA_TYPE,
            body.len(),
        )
        .into_bytes()
    }

    fn document(&self, id: Option<&RequestId>) -> String {
        let mut document = json!({
            "type": "about:blank",
            "title": self.title(),
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
        });
        if let Some(reason) = self.reason {
            document["reason"] = reason.into();
        }
        if let Some(id) = id {
            document["request_id"] = id.as_str().into();
        }
        document.to_string()
    }

    fn title(&self) -> &'static str {
        self.status.canonical_reason().unwrap_or("Error")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn carries_code_and_request_id() {
        let id = RequestId::parse(b"abc").unwrap();
        let (head, body) = NO_BACKEND.response(&id).unwrap();
        let document: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(head.status, 503);
        assert_eq!(head.headers["retry-after"], "1");
        assert_eq!(head.headers["x-request-id"], "abc");
        assert_eq!(head.headers["content-length"], body.len().to_string());
        assert_eq!(document["code"], "no_backend");
        assert_eq!(document["request_id"], "abc");
        assert_eq!(document["status"], 503);
    }

    #[test]
    fn last_words_are_a_whole_response() {
        let problem = Problem {
            reason: Some("line_end"),
            ..BAD_REQUEST
        };
        let words = String::from_utf8(problem.last_words()).unwrap();
        let (head, body) = words.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{head}");
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
        let document: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(
            (&document["code"], &document["reason"]),
            (&json!("bad_request"), &json!("line_end"))
        );
    }
}
