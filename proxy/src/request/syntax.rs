//! Small rules of HTTP's syntax, and what a head says of itself, each in one place.

use http::header::{CONNECTION, CONTENT_LENGTH, COOKIE, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, Version};
use pingora::http::RequestHeader;

/// `token` of RFC 9110, section 5.6.2: a method, or a field's or a cookie's name.
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| is_token_byte(*byte))
}

/// `tchar` of RFC 9110, section 5.6.2.
pub fn is_token_byte(byte: u8) -> bool {
    TOKEN_BYTES[usize::from(byte)]
}

/// Every name of every field is looked through, twice where it goes on.
const TOKEN_BYTES: [bool; 256] = {
    let mut bytes = [false; 256];
    let others = b"!#$%&'*+-.^_`|~";
    let mut index = 0;
    while index < 256 {
        bytes[index] = (index as u8).is_ascii_alphanumeric();
        index += 1;
    }
    index = 0;
    while index < others.len() {
        bytes[others[index] as usize] = true;
        index += 1;
    }
    bytes
};

/// Whether a field says where its message ends or what becomes of its connection, which nobody may change.
pub fn is_framing(name: &HeaderName) -> bool {
    const FRAMING: [HeaderName; 7] = [
        CONNECTION,
        CONTENT_LENGTH,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
        HeaderName::from_static("keep-alive"),
    ];
    FRAMING.contains(name)
}

/// What a field lists, on however many lines (RFC 9110, section 5.6.1).
pub fn listed<'a>(fields: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let lines = fields.get_all(name).iter();
    let members = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    members.map(<[u8]>::trim_ascii)
}

/// Whether a field lists this word, in whatever case.
pub fn lists(fields: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    listed(fields, name).any(|member| member.eq_ignore_ascii_case(word.as_bytes()))
}

/// Whether a client asks for another protocol than WebSocket, which Pingora lets pass by itself. A change to HTTP/2 is none:
/// what came in it would have passed no route.
pub fn asks_for_another_protocol(head: &RequestHeader) -> bool {
    let is_other = |name: &[u8]| !name.eq_ignore_ascii_case(b"websocket") && !name.eq_ignore_ascii_case(b"h2c");
    let mut asked = listed(&head.headers, &UPGRADE).peekable();
    head.version == Version::HTTP_11 && asked.peek().is_some() && asked.all(is_other)
}

/// Bytes of the body, where the head says so.
pub fn promised_length(head: &RequestHeader) -> Option<u64> {
    head.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Whom the request is for, as the client wrote it: the authority of its target before its Host.
pub fn host(head: &RequestHeader) -> &str {
    let authority = head.uri.authority().map(|authority| authority.as_str());
    let named = || head.headers.get(HOST).and_then(|host| host.to_str().ok());
    authority.or_else(named).unwrap_or_default()
}

/// Path and query as the client wrote them; an absolute target has lost its authority to Host by then. Nginx:
/// `$request_uri`.
pub fn request_uri(head: &RequestHeader) -> &[u8] {
    head.raw_path()
}

/// As a request line says it.
pub fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/1.1",
    }
}

/// A field's name as people write it: `Location`, `ETag`.
pub fn titled(name: &HeaderName) -> String {
    match name.as_str() {
        "etag" => return "ETag".to_owned(),
        "www-authenticate" => return "WWW-Authenticate".to_owned(),
        _ => {}
    }
    let mut titled = String::with_capacity(name.as_str().len());
    for c in name.as_str().chars() {
        let is_first = titled.is_empty() || titled.ends_with('-');
        titled.push(if is_first { c.to_ascii_uppercase() } else { c });
    }
    titled
}

/// The name in a `Host`: without its port and the root's dot.
pub fn host_name(host: &str) -> &str {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name.strip_suffix('.').unwrap_or(name)
}

/// The value of a request's cookie of this name.
pub fn cookie<'a>(head: &'a RequestHeader, name: &str) -> Option<&'a [u8]> {
    head.headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
        .find_map(|pair| pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

/// The value of a query's argument of this name, as written.
pub fn argument<'a>(query: Option<&'a str>, name: &str) -> Option<&'a [u8]> {
    query?
        .split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
        .map(str::as_bytes)
}

/// Digits only: a sign, a comma, white space or more than 63 bits would mean different lengths to different readers.
pub fn plain_number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (number <= i64::MAX as u64).then_some(number)
}

/// Without the optional white space of RFC 9110, section 5.6.3.
pub fn trim(value: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !is_space(byte)).unwrap_or(value.len());
    let end = value
        .iter()
        .rposition(|byte| !is_space(byte))
        .map_or(start, |last| last + 1);
    &value[start..end]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn tells_other_protocols_from_those_that_are_known() {
        for (protocol, other) in [
            ("tcp", true),
            ("SPDY/3.1", true),
            ("websocket", false),
            ("WebSocket", false),
            ("h2c", false),
            ("tcp, h2c", false),
        ] {
            let mut head = RequestHeader::build("GET", b"/", None).unwrap();
            head.append_header("upgrade", protocol).unwrap();
            assert_eq!(asks_for_another_protocol(&head), other, "{protocol}");
        }
        let plain = RequestHeader::build("GET", b"/", None).unwrap();
        assert!(!asks_for_another_protocol(&plain));
    }

    #[test]
    fn a_hosts_name_has_no_port() {
        for (host, name) in [
            ("a.test:80", "a.test"),
            ("a.test.", "a.test"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
        ] {
            assert_eq!(host_name(host), name);
        }
    }

    #[test]
    fn the_targets_authority_says_whom_a_request_is_for() {
        let mut head = RequestHeader::build("GET", b"/", None).unwrap();
        assert_eq!(host(&head), "");
        head.insert_header(HOST, "named:80").unwrap();
        assert_eq!(host(&head), "named:80");
        head.set_uri("http://authority:81/".parse().unwrap());
        assert_eq!(host(&head), "authority:81");
    }

    #[test]
    fn a_token_has_no_separators() {
        assert!(is_token(b"X-Name_1!"));
        for other in [&b""[..], b"a b", b"a:b", b"a\0", "ä".as_bytes()] {
            assert!(!is_token(other), "{other:?}");
        }
    }
}
