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
    /// What would have been let pass, where the refusal is of more: bytes of a body.
    pub limit: Option<u64>,
    /// Seconds after which asking again makes sense.
    pub retry_after: Option<u32>,
}

/// Where a blur worker tells what a code means and what to do: the problem's type is this with its code.
const TYPES: &str = "/v1/problems/";

/// The header that carries the request's id, both ways.
pub const X_REQUEST_ID: &str = "X-Request-Id";

pub const BAD_REQUEST: Problem = Problem::new(StatusCode::BAD_REQUEST, "bad_request", "the request is malformed");
/// Nginx's words.
pub const PLAIN_HTTP: Problem = Problem {
    reason: Some("plain_http"),
    detail: "The plain HTTP request was sent to HTTPS port",
    ..BAD_REQUEST
};
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
pub const CIRCLE: Problem = Problem {
    reason: Some("circle"),
    ..INTERNAL
};
pub const SCRIPT_FAILED: Problem = Problem::new(
    StatusCode::INTERNAL_SERVER_ERROR,
    "script_failed",
    "a rule of this site could not be applied to the request",
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

/// A backend's answer that goes to no client; another route answers in its place.
pub const fn intercepted(status: StatusCode) -> Problem {
    Problem {
        status,
        ..UPSTREAM_FAILED
    }
}

impl Problem {
    pub const fn new(status: StatusCode, code: &'static str, detail: &'static str) -> Self {
        Self {
            status,
            code,
            detail,
            reason: None,
            limit: None,
            retry_after: None,
        }
    }

    /// The document's media type.
    pub const MEDIA_TYPE: &'static str = "application/problem+json";

    /// The answer's head and body.
    pub fn response(&self, id: &RequestId) -> pingora::Result<(ResponseHeader, Bytes)> {
        self.response_with(id, &[])
    }

    /// The same, whose document says more.
    pub fn response_with(&self, id: &RequestId, more: &[(&str, &str)]) -> pingora::Result<(ResponseHeader, Bytes)> {
        let body = self.document(Some(id), more);
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
        let body = self.document(None, &[]);
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

    fn document(&self, id: Option<&RequestId>, more: &[(&str, &str)]) -> String {
        let mut document = json!({
            "type": format!("{TYPES}{}", self.code),
            "title": self.title(),
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.told(),
        });
        if let Some(limit) = self.limit {
            document["limit"] = limit.into();
        }
        if let Some(reason) = self.reason {
            document["reason"] = reason.into();
        }
        for (key, value) in more {
            document[*key] = (*value).into();
        }
        if let Some(id) = id {
            document["request_id"] = id.as_str().into();
        }
        document.to_string()
    }

    fn told(&self) -> String {
        match self.limit {
            Some(limit) => format!("{}: {limit} bytes at most", self.detail),
            None => self.detail.to_owned(),
        }
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
        assert_eq!(document["type"], "/v1/problems/no_backend");
    }

    #[test]
    fn what_is_too_large_names_the_limit() {
        let problem = Problem {
            limit: Some(4096),
            ..BODY_TOO_LARGE
        };
        let document: serde_json::Value = serde_json::from_str(&problem.document(None, &[])).unwrap();
        assert_eq!(document["limit"], 4096);
        assert_eq!(
            document["detail"],
            "the request's body is larger than allowed here: 4096 bytes at most"
        );
    }

    #[test]
    fn the_codes_that_clients_see_are_described() {
        let document = include_str!("../../../blur-service/src/http/openapi.json");
        let document: serde_json::Value = serde_json::from_str(document).unwrap();
        let described = &document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"];
        let mut codes = Vec::new();
        gather(
            std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")),
            &mut codes,
        );
        assert!(codes.len() > 20, "{codes:?}");
        for code in codes {
            assert!(described.as_array().unwrap().contains(&json!(code)), "{code}");
        }
    }

    /// The first text between quotes after each call that makes a problem.
    fn gather(folder: &std::path::Path, codes: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                gather(&path, codes);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = std::fs::read_to_string(&path).unwrap();
                // So that this line is none of them.
                let made = source.split(concat!("Problem", "::new(")).skip(1);
                codes.extend(made.filter_map(|call| Some(call.split('"').nth(1)?.to_owned())));
            }
        }
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
