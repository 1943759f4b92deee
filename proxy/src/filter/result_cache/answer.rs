//! An answer as it is kept: `1 SECONDS`, a line a field, an empty line, and the body.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use pingora::http::ResponseHeader;

use super::key::{self, SEAL};
use crate::filter::Content;
use crate::request::syntax::listed;

/// One that is being written down.
pub struct Writing {
    /// With room for what seals it.
    text: Vec<u8>,
    /// Bytes that it will have.
    promised: usize,
}

/// One that was kept.
pub struct Kept {
    fields: Vec<(HeaderName, HeaderValue)>,
    age: Duration,
    body: Bytes,
}

impl Writing {
    /// None for an answer that is not kept: one that is not good, is somebody's own, does not say where it ends, is larger
    /// than that, or is made of a field that no key is made of.
    pub fn begin(answer: &ResponseHeader, now: SystemTime, largest: usize) -> Option<Self> {
        let fields = &answer.headers;
        let is_own = OF_ONE.iter().any(|name| fields.contains_key(name)) || varies_unseen(answer);
        if answer.status != StatusCode::OK || is_own {
            return None;
        }
        let length: usize = fields.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()?;
        if length > largest {
            return None;
        }
        let seconds = now.duration_since(UNIX_EPOCH).ok()?.as_secs();
        let age = fields.get(header::AGE).and_then(|age| age.to_str().ok()?.parse().ok());
        let seconds = seconds.saturating_sub(age.unwrap_or(0));
        let mut head = format!("{FORM} {seconds}\n").into_bytes();
        for (name, value) in fields.iter().filter(|(name, _)| !is_of_its_time(name)) {
            head.extend([name.as_str().as_bytes(), b":", value.as_bytes(), b"\n"].concat());
        }
        head.push(b'\n');
        let promised = head.len() + length;
        let mut text = Vec::with_capacity(promised + SEAL);
        text.extend_from_slice(&head);
        Some(Self { text, promised })
    }

    /// Bytes of memory that it takes.
    pub fn capacity(&self) -> usize {
        self.text.capacity()
    }

    /// None once it is longer than it said.
    pub fn with(mut self, bytes: &[u8]) -> Option<Self> {
        (self.text.len() + bytes.len() <= self.promised).then(|| {
            self.text.extend_from_slice(bytes);
            self
        })
    }

    /// None where its end is missing.
    pub fn whole(self) -> Option<Vec<u8>> {
        (self.text.len() == self.promised).then_some(self.text)
    }
}

impl Kept {
    /// None where it is older than that, or nothing that this version has written.
    pub fn read(text: &Bytes, now: SystemTime, ttl: Duration) -> Option<Self> {
        let end = text.windows(2).position(|two| two == b"\n\n")?;
        let mut lines = text[..end].split(|byte| *byte == b'\n');
        let first = std::str::from_utf8(lines.next()?).ok()?;
        let (form, seconds) = first.split_once(' ')?;
        let written = UNIX_EPOCH + Duration::from_secs(seconds.parse().ok()?);
        // Another proxy's clock may be ahead.
        let (age, ahead) = match now.duration_since(written) {
            Ok(age) => (age, Duration::ZERO),
            Err(error) => (Duration::ZERO, error.duration()),
        };
        (form == FORM && age.max(ahead) < ttl).then_some(Self {
            fields: lines.map(field).collect::<Option<_>>()?,
            age,
            body: text.slice(end + 2..),
        })
    }

    pub fn into_response(self) -> Response<Content> {
        let mut response = Response::new(Content::Bytes(self.body));
        let fields = response.headers_mut();
        for (name, value) in self.fields {
            fields.append(name, value);
        }
        fields.insert(header::AGE, self.age.as_secs().into());
        fields.insert(HeaderName::from_static("cache-status"), HIT);
        response
    }
}

fn field(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = HeaderName::from_bytes(&line[..colon]).ok()?;
    Some((name, HeaderValue::from_bytes(&line[colon + 1..]).ok()?))
}

/// Whether it says that it is made of what does not tell requests apart here.
fn varies_unseen(answer: &ResponseHeader) -> bool {
    listed(&answer.headers, &header::VARY)
        .any(|name| name == b"*" || HeaderName::from_bytes(name).is_ok_and(|name| key::tells_of_the_way(&name)))
}

/// What makes an answer one for this client, or a part of another.
const OF_ONE: [HeaderName; 4] = [
    header::SET_COOKIE,
    header::CONTENT_RANGE,
    header::PROXY_AUTHENTICATE,
    header::WWW_AUTHENTICATE,
];

/// Whether a field says something of one answer on one connection.
fn is_of_its_time(name: &HeaderName) -> bool {
    const ITS: [HeaderName; 7] = [
        header::AGE,
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::DATE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ];
    ITS.contains(name) || ["keep-alive", "proxy-connection", "server-timing", "x-request-id"].contains(&name.as_str())
}

/// Another number whenever it is written otherwise.
const FORM: &str = "1";
/// RFC 9211.
const HIT: HeaderValue = HeaderValue::from_static("Veil; hit");
