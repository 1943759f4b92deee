//! Makes answers shorter on their way. Nginx: `gzip`, with its brotli and zstd modules.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression as GzipLevel;
use flate2::write::GzEncoder;
use http::{HeaderValue, Method, StatusCode, header};
use pingora::http::{RequestHeader, ResponseHeader};
use schemars::JsonSchema;
use serde::Deserialize;

use super::answer::DIGESTS;
use super::media_type::{essence, fits, preference};
use super::{BodyChange, Filter, FilterError, Settings, Transform, Workshop};
use crate::request::RequestCtx;
use crate::request::syntax::lists;
use crate::yaml::units::ByteSize;

/// `compression: {}`: what the client takes and is worth it. Never what is compressed already, has `no-transform`, or is a part
/// of something (206).
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Compression {
    /// Those that may be used; among those that a client likes equally, the first here.
    codings: Vec<Coding>,
    /// Media types that are worth it, such as `text/*`.
    types: Vec<String>,
    /// A shorter answer stays as it is, if its length is known.
    least_size: ByteSize,
    levels: Levels,
}

/// How hard to try.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
struct Levels {
    #[schemars(range(max = 11))]
    br: u32,
    #[schemars(range(min = 1, max = 9))]
    gzip: u32,
    #[schemars(range(min = 1, max = 19))]
    zstd: i32,
}

impl Default for Levels {
    fn default() -> Self {
        Self { br: 4, gzip: 5, zstd: 3 }
    }
}

impl Default for Compression {
    fn default() -> Self {
        Self {
            codings: vec![Coding::Zstd, Coding::Br, Coding::Gzip],
            types: DEFAULT_TYPES.map(str::to_owned).to_vec(),
            least_size: ByteSize::from_kib(1),
            levels: Levels::default(),
        }
    }
}

const DEFAULT_TYPES: [&str; 15] = [
    "text/html",
    "text/css",
    "text/plain",
    "text/javascript",
    "text/xml",
    "text/csv",
    "text/markdown",
    "application/javascript",
    "application/json",
    "application/problem+json",
    "application/manifest+json",
    "application/xml",
    "application/yaml",
    "application/wasm",
    "image/svg+xml",
];

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Coding {
    Br,
    Gzip,
    Zstd,
}

impl Coding {
    const fn name(self) -> &'static str {
        match self {
            Self::Br => "br",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

impl Settings for Compression {
    fn build(&self, _: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError> {
        let Levels { br, gzip, zstd } = self.levels;
        let wrong = |what: &str| Err(FilterError(what.to_owned()));
        match (self.codings.as_slice(), br <= 11, (1..=9).contains(&gzip), (1..=19).contains(&zstd)) {
            ([], ..) => wrong("codings names none; write codings: [zstd, br, gzip]"),
            (_, false, ..) => wrong("the level of br is 0 to 11"),
            (_, _, false, _) => wrong("the level of gzip is 1 to 9"),
            (.., false) => wrong("the level of zstd is 1 to 19"),
            _ => Ok(Arc::new(self.clone())),
        }
    }
}

impl Filter for Compression {
    fn on_response(
        &self,
        response: &mut ResponseHeader,
        request: &RequestHeader,
        _: &RequestCtx,
    ) -> Option<BodyChange> {
        if !self.is_worth_it(response) {
            return None;
        }
        vary(response);
        if is_short(response, self.least_size) {
            return None;
        }
        let coding = self.coding_for(request)?;
        let encoder = Encoder::new(coding, &self.levels).ok()?;
        response
            .insert_header(header::CONTENT_ENCODING, coding.name())
            .expect("a coding's name is a token");
        for name in DIGESTS.iter().chain(&[header::ACCEPT_RANGES]) {
            response.remove_header(name);
        }
        weaken(response);
        if request.method == Method::HEAD {
            // The length of what GET would give is known to nobody.
            response.remove_header(&header::CONTENT_LENGTH);
            return None;
        }
        Some(BodyChange::Through(Box::new(encoder)))
    }
}

impl Compression {
    fn is_worth_it(&self, response: &ResponseHeader) -> bool {
        let is_whole = !response.status.is_informational()
            && !matches!(
                response.status,
                StatusCode::NO_CONTENT | StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED
            );
        let is_for_us = essence(response).is_some_and(|kind| self.types.iter().any(|pattern| fits(pattern, &kind)));
        let may_be_changed = !lists(&response.headers, &header::CACHE_CONTROL, "no-transform");
        is_whole && is_for_us && may_be_changed && !response.headers.contains_key(header::CONTENT_ENCODING)
    }

    /// The coding that the client likes best.
    fn coding_for(&self, request: &RequestHeader) -> Option<Coding> {
        let liking = |coding: &Coding| preference(request, coding.name()).unwrap_or(0);
        // The last of equals wins.
        let best = self.codings.iter().rev().copied().max_by_key(liking)?;
        (liking(&best) > 0).then_some(best)
    }
}

fn is_short(response: &ResponseHeader, least: ByteSize) -> bool {
    let length = response.headers.get(header::CONTENT_LENGTH);
    let length: Option<u64> = length.and_then(|length| length.to_str().ok()?.parse().ok());
    length.is_some_and(|length| length < least.get())
}

/// Caches are told what the answer depends on.
fn vary(response: &mut ResponseHeader) {
    let told = |name| lists(&response.headers, &header::VARY, name);
    if !told("accept-encoding") && !told("*") {
        let _ = response.append_header(header::VARY, "Accept-Encoding");
    }
}

/// The bytes are others than those that a strong validator is for.
fn weaken(response: &mut ResponseHeader) {
    let Some(tag) = response.headers.get(header::ETAG).map(HeaderValue::as_bytes) else {
        return;
    };
    if !tag.starts_with(b"W/") {
        let weak = [b"W/", tag].concat();
        let _ = response.insert_header(header::ETAG, weak);
    }
}

/// Gives what came in on at once, so that nobody waits for what would fill a block.
enum Encoder {
    Br(Box<brotli::CompressorWriter<Vec<u8>>>),
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Done,
}

/// Bytes; brotli's window is 2 to the power of 19 of them, as in its Nginx module.
const BUFFER: usize = 4096;
const BROTLI_WINDOW: u32 = 19;

impl Encoder {
    fn new(coding: Coding, levels: &Levels) -> io::Result<Self> {
        Ok(match coding {
            Coding::Br => {
                let writer = brotli::CompressorWriter::new(Vec::new(), BUFFER, levels.br, BROTLI_WINDOW);
                Self::Br(Box::new(writer))
            }
            Coding::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), GzipLevel::new(levels.gzip))),
            Coding::Zstd => Self::Zstd(zstd::stream::write::Encoder::new(Vec::new(), levels.zstd)?),
        })
    }

    fn write(&mut self, bytes: &[u8], last: bool) -> io::Result<Vec<u8>> {
        let pause = !last && !bytes.is_empty();
        match self {
            Self::Br(writer) => write(writer.as_mut(), bytes, pause)?,
            Self::Gzip(writer) => write(writer, bytes, pause)?,
            Self::Zstd(writer) => write(writer, bytes, pause)?,
            Self::Done => return Ok(Vec::new()),
        }
        if last {
            return match std::mem::replace(self, Self::Done) {
                Self::Br(writer) => Ok(writer.into_inner()),
                Self::Gzip(writer) => writer.finish(),
                Self::Zstd(writer) => writer.finish(),
                Self::Done => Ok(Vec::new()),
            };
        }
        Ok(match self {
            Self::Br(writer) => std::mem::take(writer.get_mut()),
            Self::Gzip(writer) => std::mem::take(writer.get_mut()),
            Self::Zstd(writer) => std::mem::take(writer.get_mut()),
            Self::Done => Vec::new(),
        })
    }
}

fn write(writer: &mut dyn Write, bytes: &[u8], flush: bool) -> io::Result<()> {
    writer.write_all(bytes)?;
    if flush { writer.flush() } else { Ok(()) }
}

impl Transform for Encoder {
    fn next(&mut self, bytes: &[u8], last: bool) -> Bytes {
        // It writes to memory, which does not fail.
        self.write(bytes, last).map(Bytes::from).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Read;

    use super::*;
    use crate::filter::testing::{built, ctx, filter, ok, request};

    const HTML: (&str, &str) = ("content-type", "Text/HTML; charset=utf-8");

    fn answer(accepted: &str, fields: &[(&'static str, &str)]) -> (ResponseHeader, Option<BodyChange>) {
        let mut response = ok();
        for (name, value) in fields {
            response.append_header(*name, *value).unwrap();
        }
        let request = request("GET", "/", &[("accept-encoding", accepted)]);
        let change = built::<Compression>("{}").on_response(&mut response, &request, &ctx("192.0.2.1"));
        (response, change)
    }

    #[test]
    fn every_coding_gives_back_what_went_in_whatever_the_pieces() {
        let text: Vec<u8> = (0..100_000_u32).flat_map(|n| (n % 977).to_string().into_bytes()).collect();
        for coding in [Coding::Br, Coding::Gzip, Coding::Zstd] {
            for piece in [1_000, 65_536, text.len()] {
                let mut encoder = Encoder::new(coding, &Levels::default()).unwrap();
                let mut encoded = Vec::new();
                for bytes in text.chunks(piece) {
                    let some = encoder.next(bytes, false);
                    assert!(!some.is_empty(), "nothing is withheld");
                    encoded.extend_from_slice(&some);
                }
                encoded.extend_from_slice(&encoder.next(b"", true));
                let mut decoded = Vec::new();
                match coding {
                    Coding::Br => {
                        brotli::Decompressor::new(&encoded[..], 4096).read_to_end(&mut decoded).unwrap();
                    }
                    Coding::Gzip => {
                        flate2::read::GzDecoder::new(&encoded[..]).read_to_end(&mut decoded).unwrap();
                    }
                    Coding::Zstd => decoded = zstd::decode_all(&encoded[..]).unwrap(),
                }
                assert!(decoded == text, "{coding:?} in pieces of {piece}");
                assert!(encoded.len() < text.len() / 2);
            }
        }
    }

    #[test]
    fn takes_what_the_client_likes_best() {
        for (accepted, coding) in [
            ("gzip, br, zstd", Some("zstd")),
            ("gzip, br", Some("br")),
            ("gzip;q=1, br;q=0.5", Some("gzip")),
            ("*", Some("zstd")),
            ("*, zstd;q=0", Some("br")),
            ("identity", None),
            ("gzip;q=0", None),
            ("", None),
        ] {
            let (response, change) = answer(accepted, &[HTML]);
            let said = response.headers.get("content-encoding").map(|value| value.to_str().unwrap());
            assert_eq!((said, change.is_some()), (coding, coding.is_some()), "{accepted}");
            assert_eq!(response.headers["vary"], "Accept-Encoding");
        }
    }

    #[test]
    fn leaves_alone_what_is_not_its_to_change() {
        for fields in [
            &[("content-type", "image/png")][..],
            &[],
            &[HTML, ("content-encoding", "br")],
            &[HTML, ("cache-control", "public, no-transform")],
            &[HTML, ("content-length", "1023")],
        ] {
            assert!(answer("gzip", fields).1.is_none(), "{fields:?}");
        }
        assert!(answer("gzip", &[HTML, ("content-length", "1024")]).1.is_some());
    }

    #[test]
    fn a_strong_validator_becomes_a_weak_one() {
        let tag = |tag: &str| {
            let (response, _) = answer("gzip", &[HTML, ("etag", tag), ("accept-ranges", "bytes")]);
            assert!(!response.headers.contains_key("accept-ranges"));
            response.headers["etag"].to_str().unwrap().to_owned()
        };
        assert_eq!(tag("\"a\""), "W/\"a\"");
        assert_eq!(tag("W/\"a\""), "W/\"a\"");
    }

    #[test]
    fn refuses_levels_that_there_are_not() {
        for yaml in ["{ levels: { br: 12 } }", "{ levels: { gzip: 0 } }", "{ levels: { zstd: 20 } }", "{ codings: [] }"] {
            assert!(filter::<Compression>(yaml).build(&Workshop::default()).is_err(), "{yaml}");
        }
    }
}
