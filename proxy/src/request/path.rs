//! One form for each path, which routes match: without it `/%6detrics` or `//metrics` would pass a route that refuses
//! `/metrics`, and reach a backend that reads them as the same. The backend itself gets the target as it was sent, except
//! where paths are `strict`: there it gets the one spelling that was matched, and what is ambiguous is refused.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, utf8_percent_encode};
use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::Deserialize;

/// `paths: strict`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Paths {
    /// Backends get the target byte for byte. Nginx: `proxy_pass` to an upstream without a URI.
    #[default]
    AsSent,
    /// Backends get the path in its one spelling, and what different servers read differently is refused.
    Strict,
}

/// The path that routes match, as Nginx's locations do: percent-decoded, empty segments dropped, dots resolved. Bytes that are
/// no UTF-8 become U+FFFD, which no route has. Refused are only those paths whose dots some servers see and others do not.
///
/// # Errors
/// The path means nothing, or climbs above its root.
pub fn normal(path: &[u8]) -> Result<Cow<'_, str>, PathError> {
    Slashes::Merged.normal(path)
}

/// What becomes of several slashes in a row. Nginx: `merge_slashes`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Slashes {
    /// They are one.
    #[default]
    Merged,
    /// Each begins a segment, which may be empty.
    Kept,
}

impl Slashes {
    /// As [`normal`].
    ///
    /// # Errors
    /// As of that.
    pub fn normal(self, path: &[u8]) -> Result<Cow<'_, str>, PathError> {
        normal_with(path, self)
    }
}

fn normal_with(path: &[u8], slashes: Slashes) -> Result<Cow<'_, str>, PathError> {
    if path.first() != Some(&b'/') {
        return Err(PathError::NotAbsolute);
    }
    if path.iter().any(u8::is_ascii_control) {
        return Err(PathError::OddCharacter);
    }
    let decoded = decode(path)?;
    let is_odd = |pair: &[u8]| pair == b"/." || pair == b"//" && slashes == Slashes::Merged;
    let is_normal = !decoded.windows(2).any(is_odd);
    if is_normal && !decoded.contains(&b'\\') {
        return Ok(text(decoded));
    }
    resolve(&decoded, slashes).map(|path| Cow::Owned(String::from_utf8_lossy(&path).into_owned()))
}

fn text(path: Cow<'_, [u8]>) -> Cow<'_, str> {
    match path {
        Cow::Borrowed(path) => String::from_utf8_lossy(path),
        Cow::Owned(path) => Cow::Owned(String::from_utf8_lossy(&path).into_owned()),
    }
}

fn decode(path: &[u8]) -> Result<Cow<'_, [u8]>, PathError> {
    if !path.contains(&b'%') {
        return Ok(Cow::Borrowed(path));
    }
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            decoded.push(*byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2).ok_or(PathError::BrokenEscape)?;
        let digit = |digit: u8| char::from(digit).to_digit(16).ok_or(PathError::BrokenEscape);
        match digit(digits[0])? << 4 | digit(digits[1])? {
            0 => return Err(PathError::EscapedSeparator),
            byte => decoded.push(byte as u8),
        }
        rest = after;
    }
    Ok(Cow::Owned(decoded))
}

/// Without empty segments and dots. A dot segment beside a backslash or a parameter is one to some servers only.
fn resolve(path: &[u8], slashes: Slashes) -> Result<Vec<u8>, PathError> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut segments = path[1..].split(|byte| *byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            b"" if slashes == Slashes::Kept => kept.push(b""),
            b"" | b"." | b".." => {
                if segment == b".." {
                    kept.pop().ok_or(PathError::DotSegment)?;
                }
                if is_last {
                    kept.push(b"");
                }
            }
            _ if has_hidden_dots(segment) => return Err(PathError::DotSegment),
            _ => kept.push(segment),
        }
    }
    Ok([b"/", &kept.join(&b'/')[..]].concat())
}

fn has_hidden_dots(segment: &[u8]) -> bool {
    let parts = segment.split(|byte| *byte == b'\\');
    let names = parts.map(|part| part.split(|byte| *byte == b';').next().unwrap_or_default());
    names.into_iter().any(|name| matches!(name, b"." | b".."))
}

/// Puts a canonical path in the place of the client's, in origin form, and keeps the query.
///
/// # Errors
/// The path or the query cannot be part of a target.
pub fn respell(request: &mut RequestHeader, canonical: &str) -> pingora::Result<()> {
    match request.uri.query() {
        Some(query) => request.set_raw_path(format!("{canonical}?{query}").as_bytes()),
        None => request.set_raw_path(canonical.as_bytes()),
    }
}

/// The path in its only spelling, after RFC 3986 section 6.2.2 and Nginx's `merge_slashes`: letters, digits and `-._~`
/// bare, other escapes in upper case, no empty segments. What different servers read differently is refused.
pub fn canonical(path: &str) -> Result<Cow<'_, str>, PathError> {
    if !path.starts_with('/') {
        return Err(PathError::NotAbsolute);
    }
    if path.bytes().any(|byte| byte == b'\\' || byte.is_ascii_control()) {
        return Err(PathError::OddCharacter);
    }
    let mut canonical = Cow::Borrowed(path);
    if path.contains('%') {
        canonical = decode_unreserved(path)?.into();
    }
    if canonical.bytes().any(|byte| byte == b' ' || !byte.is_ascii()) {
        canonical = utf8_percent_encode(&canonical, UNFIT).to_string().into();
    }
    if canonical.contains("//") {
        canonical = merge_slashes(&canonical).into();
    }
    // Backends that know path parameters drop them before they resolve dots: `/v1/..;x/metrics`.
    let names = canonical
        .split('/')
        .map(|segment| segment.split(';').next().unwrap_or_default());
    if names.into_iter().any(|name| matches!(name, "." | "..")) {
        return Err(PathError::DotSegment);
    }
    Ok(canonical)
}

/// Why a path is refused with 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    #[error("the path does not begin with a slash")]
    NotAbsolute,
    #[error("the path has a backslash or a control character")]
    OddCharacter,
    #[error("the path has a % without two hexadecimal digits")]
    BrokenEscape,
    #[error("the path has an escaped slash, backslash or control character")]
    EscapedSeparator,
    #[error("the path has a . or .. segment")]
    DotSegment,
}

impl PathError {
    /// A name that never changes, for programs.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotAbsolute => "not_absolute",
            Self::OddCharacter => "odd_character",
            Self::BrokenEscape => "broken_escape",
            Self::EscapedSeparator => "escaped_separator",
            Self::DotSegment => "dot_segment",
        }
    }
}

fn decode_unreserved(path: &str) -> Result<String, PathError> {
    let mut decoded = String::with_capacity(path.len());
    let mut pieces = path.split('%');
    decoded.extend(pieces.next());
    for piece in pieces {
        let digits = piece
            .get(..2)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let byte = digits
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .ok_or(PathError::BrokenEscape)?;
        match byte {
            b'/' | b'\\' => return Err(PathError::EscapedSeparator),
            _ if byte.is_ascii_control() => return Err(PathError::EscapedSeparator),
            b'-' | b'.' | b'_' | b'~' => decoded.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => decoded.push(byte.into()),
            _ => decoded.push_str(&format!("%{byte:02X}")),
        }
        decoded.push_str(&piece[2..]);
    }
    Ok(decoded)
}

/// Beside what is no ASCII.
const UNFIT: &AsciiSet = &AsciiSet::EMPTY.add(b' ');

fn merge_slashes(path: &str) -> String {
    let mut merged = String::with_capacity(path.len());
    for character in path.chars() {
        if character != '/' || !merged.ends_with('/') {
            merged.push(character);
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn slashes_may_be_kept() {
        for (path, form) in [
            ("/a//b", "/a//b"),
            ("//a", "//a"),
            ("/a/", "/a/"),
            ("/a//", "/a//"),
            ("/a/./b", "/a/b"),
            ("/a//../b", "/a/b"),
            ("/a/b/..", "/a/"),
            ("/a%2F%2fb", "/a//b"),
            ("/x/http://y/.z", "/x/http://y/.z"),
        ] {
            assert_eq!(Slashes::Kept.normal(path.as_bytes()).as_deref(), Ok(form), "{path}");
        }
        assert_eq!(Slashes::Kept.normal(b"/a//../../../b"), Err(PathError::DotSegment));
    }

    #[test]
    fn leaves_a_plain_path_as_it_is() {
        for path in [
            "/",
            "/v1/blur",
            "/v1/",
            "/a-b_c~d.e",
            "/a/b;c=d",
            "/...",
            "/.well-known/x",
            "/%20",
            "/caf%C3%A9",
        ] {
            assert!(
                matches!(canonical(path), Ok(Cow::Borrowed(same)) if same == path) || path.contains('%'),
                "{path}"
            );
            assert_eq!(canonical(path).unwrap(), path);
        }
    }

    #[test]
    fn gives_every_spelling_of_a_path_the_same_form() {
        for path in ["/%6detrics", "//metrics", "/%6D%65trics", "///metrics", "/metric%73"] {
            assert_eq!(canonical(path).unwrap(), "/metrics", "{path}");
        }
        for path in ["/café", "/caf%c3%a9", "/caf%C3%A9"] {
            assert_eq!(canonical(path).unwrap(), "/caf%C3%A9");
        }
    }

    #[test]
    fn a_backend_sees_the_path_that_was_matched() {
        for (target, seen) in [
            ("/v1/blur?a=/../b", "/v1/blur?a=/../b"),
            ("//v1/%62lur?effect=solid", "/v1/blur?effect=solid"),
            ("http://example.com/v1//blur", "/v1/blur"),
            ("http://example.com/v1/blur?a", "/v1/blur?a"),
            ("/café", "/caf%C3%A9"),
        ] {
            let mut request = RequestHeader::build("GET", target.as_bytes(), None).unwrap();
            let path = canonical(request.uri.path()).unwrap().into_owned();
            respell(&mut request, &path).unwrap();
            assert_eq!(request.raw_path(), seen.as_bytes(), "{target}");
        }
    }

    #[test]
    fn decodes_once_only() {
        assert_eq!(canonical("/%256detrics").unwrap(), "/%256detrics");
    }

    #[test]
    fn routes_match_what_nginx_s_locations_match() {
        for (path, form) in [
            ("/", "/"),
            ("/v1/blur", "/v1/blur"),
            ("/%76%31//blur", "/v1/blur"),
            ("/a/./b/../c", "/a/c"),
            ("/a/..", "/"),
            ("/a/b/.", "/a/b/"),
            ("/a/b/..", "/a/"),
            ("/a//", "/a/"),
            ("/api/queues/%2F/q", "/api/queues/q"),
            ("/group%2Fproject", "/group/project"),
            ("/v1/%2e%2e%2fmetrics", "/metrics"),
            ("/caf%c3%a9", "/café"),
            ("/%e9", "/\u{fffd}"),
            ("/%20", "/ "),
            ("/%252e%252e", "/%2e%2e"),
            ("/a\\b", "/a\\b"),
            ("/a;v=1/b", "/a;v=1/b"),
            ("/.well-known/x", "/.well-known/x"),
            ("/...", "/..."),
        ] {
            assert_eq!(normal(path.as_bytes()).as_deref(), Ok(form), "{path}");
        }
        for (path, error) in [
            ("/..", PathError::DotSegment),
            ("/a/../../b", PathError::DotSegment),
            ("/v1/..;/metrics", PathError::DotSegment),
            ("/v1/.;x/metrics", PathError::DotSegment),
            ("/v1/..\\metrics", PathError::DotSegment),
            ("/v1/%5c..%5cmetrics", PathError::DotSegment),
            ("/a%00b", PathError::EscapedSeparator),
            ("/100%", PathError::BrokenEscape),
            ("/%4", PathError::BrokenEscape),
            ("/%zz", PathError::BrokenEscape),
            ("/%+6", PathError::BrokenEscape),
            ("/a\tb", PathError::OddCharacter),
            ("*", PathError::NotAbsolute),
            ("", PathError::NotAbsolute),
        ] {
            assert_eq!(normal(path.as_bytes()), Err(error), "{path}");
        }
    }

    #[test]
    fn refuses_what_servers_read_differently() {
        for (path, error) in [
            ("/v1/../metrics", PathError::DotSegment),
            ("/v1/%2e%2E/metrics", PathError::DotSegment),
            ("/v1/.%2e/metrics", PathError::DotSegment),
            ("/v1/..;a=b/metrics", PathError::DotSegment),
            ("/v1/..", PathError::DotSegment),
            ("/./metrics", PathError::DotSegment),
            ("/v1/..%2fmetrics", PathError::EscapedSeparator),
            ("/v1/%5c..%5cmetrics", PathError::EscapedSeparator),
            ("/metrics%00", PathError::EscapedSeparator),
            ("/v1/..\\metrics", PathError::OddCharacter),
            ("/%", PathError::BrokenEscape),
            ("/%6", PathError::BrokenEscape),
            ("/%+6d", PathError::BrokenEscape),
            ("/%zz", PathError::BrokenEscape),
            ("metrics", PathError::NotAbsolute),
            ("*", PathError::NotAbsolute),
            ("", PathError::NotAbsolute),
        ] {
            assert_eq!(canonical(path), Err(error), "{path}");
        }
    }

    proptest! {
        #[test]
        fn a_normal_path_has_nothing_left_to_resolve(path in "/([a-z/.;é\\\\]|%(2e|2f|5c|41)){0,24}") {
            if let Ok(form) = normal(path.as_bytes()) {
                let segments = || form.split(['/', '\\']).map(|segment| segment.split(';').next());
                prop_assert!(!form.contains("//"), "{form}");
                prop_assert!(segments().all(|name| !matches!(name, Some("." | ".."))), "{form}");
                prop_assert!(form.starts_with('/'));
            }
        }

        #[test]
        fn a_strict_path_is_matched_as_it_would_be_otherwise(path in "/([a-zA-Z0-9/.~é]|%[2-7][0-9a-f]){0,24}") {
            if let Ok(canonical) = canonical(&path) {
                prop_assert_eq!(normal(canonical.as_bytes()), normal(path.as_bytes()));
            }
        }

        #[test]
        fn a_canonical_path_stays_as_it_is(path in "/([a-zA-Z0-9/.%;é~]|%[0-9a-fA-F]{2}){0,24}") {
            if let Ok(once) = canonical(&path) {
                let twice = canonical(&once);
                prop_assert_eq!(twice.as_deref(), Ok(&*once));
                prop_assert!(!once.contains("//") && !once.contains("/../") && !once.ends_with("/.."));
            }
        }
    }
}
