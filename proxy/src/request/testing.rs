//! Requests for tests.

#![allow(clippy::unwrap_used)]

use std::time::Instant;

use pingora::http::RequestHeader;

use super::notes::Notes;
use super::{RequestCtx, RequestId, Scheme};

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
        tables: None,
        notes: Notes::default(),
    }
}

pub fn request(method: &str, path: &str, headers: &[(&'static str, &str)]) -> RequestHeader {
    let mut request = RequestHeader::build(method, path.as_bytes(), None).unwrap();
    for (name, value) in headers {
        request.append_header(*name, *value).unwrap();
    }
    request
}
