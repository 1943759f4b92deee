//! Media types: what an answer is, what a client wants, and what a file's name says.

use http::header;
use pingora::http::{RequestHeader, ResponseHeader};

use crate::request::syntax::listed;

/// Type and subtype of an answer, in lower case.
pub fn essence(response: &ResponseHeader) -> Option<String> {
    let value = response.headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let essence = value.split(';').next().unwrap_or_default().trim();
    (!essence.is_empty()).then(|| essence.to_ascii_lowercase())
}

/// Whether a type is one of a pattern such as `text/*`; both in lower case.
pub fn fits(pattern: &str, essence: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(before) => essence.starts_with(before),
        None => essence == pattern,
    }
}

/// Whether a client would rather see a page than anything else, as browsers say when a person asks.
pub fn wants_page(request: &RequestHeader) -> bool {
    listed(&request.headers, &header::ACCEPT).any(|range| {
        let mut parts = range.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let is_page = parts.next().is_some_and(|name| {
            name.eq_ignore_ascii_case(b"text/html") || name.eq_ignore_ascii_case(b"application/xhtml+xml")
        });
        is_page && parts.all(|parameter| !is_zero(parameter))
    })
}

/// How much a client likes a coding, in thousandths; none where it does not name it.
pub fn preference(request: &RequestHeader, coding: &str) -> Option<u16> {
    let mut found = None;
    for range in listed(&request.headers, &header::ACCEPT_ENCODING) {
        let mut parts = range.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let name = parts.next().unwrap_or_default();
        let weight = parts.find_map(weight).unwrap_or(1000);
        if name.eq_ignore_ascii_case(coding.as_bytes()) {
            return Some(weight);
        }
        if name == b"*" {
            found = Some(weight);
        }
    }
    found
}

fn is_zero(parameter: &[u8]) -> bool {
    weight(parameter) == Some(0)
}

/// `q=0.5`
fn weight(parameter: &[u8]) -> Option<u16> {
    let (name, value) = parameter.split_at_checked(2)?;
    if !name.eq_ignore_ascii_case(b"q=") {
        return None;
    }
    let value: f32 = std::str::from_utf8(value).ok()?.trim().parse().ok()?;
    Some((value.clamp(0.0, 1.0) * 1000.0) as u16)
}

/// What a file's name says that it is. Nginx: `mime.types`.
pub fn of_name(name: &str) -> &'static str {
    let extension = name
        .rsplit_once('.')
        .map_or("", |(_, extension)| extension)
        .to_ascii_lowercase();
    let known = TYPES
        .iter()
        .find(|(extensions, _)| extensions.split(' ').any(|known| known == extension));
    known.map_or("application/octet-stream", |(_, media_type)| media_type)
}

const TYPES: [(&str, &str); 40] = [
    ("html htm", "text/html; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("js mjs", "text/javascript; charset=utf-8"),
    ("json map", "application/json"),
    ("xml", "application/xml"),
    ("txt log", "text/plain; charset=utf-8"),
    ("md", "text/markdown; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("yaml yml", "application/yaml"),
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("jpg jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("avif", "image/avif"),
    ("ico", "image/x-icon"),
    ("bmp", "image/bmp"),
    ("tif tiff", "image/tiff"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("ttf", "font/ttf"),
    ("otf", "font/otf"),
    ("wasm", "application/wasm"),
    ("pdf", "application/pdf"),
    ("zip", "application/zip"),
    ("gz", "application/gzip"),
    ("tar", "application/x-tar"),
    ("mp4 m4v", "video/mp4"),
    ("webm", "video/webm"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("m4a", "audio/mp4"),
    ("ogg oga", "audio/ogg"),
    ("wav", "audio/wav"),
    ("webmanifest", "application/manifest+json"),
    ("atom", "application/atom+xml"),
    ("rss", "application/rss+xml"),
    ("xhtml", "application/xhtml+xml"),
    ("rtf", "application/rtf"),
    ("onnx bin", "application/octet-stream"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::testing::request;

    #[test]
    fn tells_people_from_programs() {
        for (accept, page) in [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
            ("application/json", false),
            ("*/*", false),
            ("text/html;q=0", false),
            ("application/json, TEXT/HTML;q=0.1", true),
        ] {
            assert_eq!(
                wants_page(&request("GET", "/", &[("accept", accept)])),
                page,
                "{accept}"
            );
        }
        assert!(!wants_page(&request("GET", "/", &[])));
    }

    #[test]
    fn reads_preferences() {
        let asks = |text: &str| preference(&request("GET", "/", &[("accept-encoding", text)]), "br");
        for (text, weight) in [
            ("gzip, br", Some(1000)),
            ("br;q=0.5", Some(500)),
            ("BR; Q=0", Some(0)),
            ("*;q=0.2", Some(200)),
            ("*, br;q=0", Some(0)),
            ("gzip", None),
            ("", None),
        ] {
            assert_eq!(asks(text), weight, "{text}");
        }
    }
}
