//! One spelling for each path, so that what a route matched is what a backend sees. Without it `/%6detrics` or
//! `//metrics` would pass a route that refuses `/metrics`, and reach a backend that reads them as the same.

use std::borrow::Cow;

use pingora::http::RequestHeader;

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
    if canonical.bytes().any(needs_escape) {
        canonical = escape(&canonical).into();
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

fn needs_escape(byte: u8) -> bool {
    byte == b' ' || !byte.is_ascii()
}

fn escape(path: &str) -> String {
    let mut escaped = String::with_capacity(path.len() + 8);
    for byte in path.bytes() {
        match byte {
            _ if needs_escape(byte) => escaped.push_str(&format!("%{byte:02X}")),
            _ => escaped.push(byte.into()),
        }
    }
    escaped
}

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
        fn a_canonical_path_stays_as_it_is(path in "/([a-zA-Z0-9/.%;é~]|%[0-9a-fA-F]{2}){0,24}") {
            if let Ok(once) = canonical(&path) {
                let twice = canonical(&once);
                prop_assert_eq!(twice.as_deref(), Ok(&*once));
                prop_assert!(!once.contains("//") && !once.contains("/../") && !once.ends_with("/.."));
            }
        }
    }
}
