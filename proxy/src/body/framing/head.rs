//! The head of an HTTP/1 request: whether it means the same to everybody, and where its body ends.

use memchr::{memchr, memchr2};

use super::Violation;
use super::syntax::{authority_of_absolute, is_host, is_target};
use crate::request::syntax::{is_token, plain_number, trim};

/// How the end of a request's body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyEnd {
    /// Bytes.
    After(u64),
    LastChunk,
}

/// What the wire has to know of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub body_end: BodyEnd,
    pub asks_upgrade: bool,
}

/// Checks `head`: the request line, the header fields and the empty line after them.
pub(super) fn check(head: &[u8]) -> Result<Head, Violation> {
    let lines = head.strip_suffix(b"\r\n\r\n").ok_or(Violation::LineEnd)?;
    let mut lines = Lines(Some(lines));
    let request = RequestLine::parse(lines.next().ok_or(Violation::RequestLine)??)?;
    let mut fields = Fields::default();
    for (count, line) in lines.enumerate() {
        if count == MOST_FIELDS {
            return Err(Violation::TooManyFields);
        }
        fields.add(line?)?;
    }
    fields.check(&request)
}

/// Lines that end with CRLF and have neither CR nor LF within.
struct Lines<'a>(Option<&'a [u8]>);

impl<'a> Iterator for Lines<'a> {
    type Item = Result<&'a [u8], Violation>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.0.take()?;
        let line = match memchr2(b'\r', b'\n', rest) {
            None => rest,
            Some(end) if rest[end..].starts_with(b"\r\n") => {
                self.0 = Some(&rest[end + 2..]);
                &rest[..end]
            }
            Some(_) => return Some(Err(Violation::LineEnd)),
        };
        Some(Ok(line))
    }
}

struct RequestLine<'a> {
    /// The target's own authority, if it is in absolute form.
    authority: Option<&'a [u8]>,
    connect: bool,
    http_1_1: bool,
}

impl<'a> RequestLine<'a> {
    fn parse(line: &'a [u8]) -> Result<Self, Violation> {
        let mut parts = line.split(|byte| *byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Violation::RequestLine);
        };
        let http_1_1 = match version {
            b"HTTP/1.1" => true,
            b"HTTP/1.0" => false,
            _ => return Err(Violation::Version),
        };
        if !is_token(method) || !is_target(target) {
            return Err(Violation::RequestLine);
        }
        let connect = method == b"CONNECT";
        let authority = match target {
            _ if connect => None,
            [b'/', ..] => None,
            b"*" if method == b"OPTIONS" => None,
            _ => Some(authority_of_absolute(target).ok_or(Violation::RequestLine)?),
        };
        Ok(Self {
            authority,
            connect,
            http_1_1,
        })
    }
}

/// The fields that framing and routing rest on, as far as they were seen.
#[derive(Default)]
struct Fields<'a> {
    host: Option<&'a [u8]>,
    length: Option<u64>,
    chunked: bool,
    upgrade: bool,
}

impl<'a> Fields<'a> {
    fn add(&mut self, line: &'a [u8]) -> Result<(), Violation> {
        if let [b' ' | b'\t', ..] = line {
            return Err(Violation::Folding);
        }
        let colon = memchr(b':', line).ok_or(Violation::FieldName)?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if !is_token(name) {
            return Err(Violation::FieldName);
        }
        // To the end in any case, so that many bytes are looked at in one step.
        if value.iter().fold(false, |is_bad, byte| {
            is_bad | (byte.is_ascii_control() & (*byte != b'\t'))
        }) {
            return Err(Violation::FieldValue);
        }
        let value = trim(value);
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.add_host(value),
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                self.upgrade = true;
                Ok(())
            }
            14 if is_field(name, b"content-length") => self.add_length(name, value),
            17 if is_field(name, b"transfer-encoding") => self.add_transfer_encoding(name, value),
            _ => Ok(()),
        }
    }

    fn add_host(&mut self, value: &'a [u8]) -> Result<(), Violation> {
        if self.host.is_some() || !is_host(value) {
            return Err(Violation::Host);
        }
        self.host = Some(value);
        Ok(())
    }

    fn add_length(&mut self, name: &[u8], value: &[u8]) -> Result<(), Violation> {
        if self.length.is_some() || name.contains(&b'_') {
            return Err(Violation::ContentLength);
        }
        self.length = Some(plain_number(value).ok_or(Violation::ContentLength)?);
        Ok(())
    }

    fn add_transfer_encoding(&mut self, name: &[u8], value: &[u8]) -> Result<(), Violation> {
        if self.chunked || name.contains(&b'_') {
            return Err(Violation::TransferEncoding);
        }
        if !value.eq_ignore_ascii_case(b"chunked") {
            let mut codings = value.split(|byte| *byte == b',').map(trim);
            let mut others = codings
                .clone()
                .filter(|coding| !coding.eq_ignore_ascii_case(b"chunked"));
            let are_known_by_name = codings.all(is_token) && others.next().is_some();
            return Err(match are_known_by_name {
                true => Violation::UnknownCoding,
                false => Violation::TransferEncoding,
            });
        }
        self.chunked = true;
        Ok(())
    }

    fn check(&self, request: &RequestLine<'_>) -> Result<Head, Violation> {
        if request.http_1_1 && self.host.is_none() {
            return Err(Violation::Host);
        }
        if !request.connect && request.authority.is_some() && self.host.is_some() && request.authority != self.host {
            return Err(Violation::Authority);
        }
        let body_end = match (self.length, self.chunked) {
            (Some(_), true) => return Err(Violation::TwoFramings),
            (None, true) if !request.http_1_1 => return Err(Violation::TransferEncoding),
            (None, true) => BodyEnd::LastChunk,
            (length, false) => BodyEnd::After(length.unwrap_or(0)),
        };
        Ok(Head {
            body_end,
            asks_upgrade: self.upgrade && request.http_1_1,
        })
    }
}

/// Workers that hand fields on as environment variables (CGI, WSGI) take `_` for `-`, so both spellings count.
fn is_field(name: &[u8], field: &[u8]) -> bool {
    name.iter()
        .zip(field)
        .all(|(byte, wanted)| byte.to_ascii_lowercase() == *wanted || (*byte == b'_' && *wanted == b'-'))
}

/// Pingora parses no more than 256.
pub const MOST_FIELDS: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn with(fields: &str) -> Result<Head, Violation> {
        check(format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes())
    }

    fn line(line: &str) -> Result<Head, Violation> {
        check(format!("{line}\r\nHost: a\r\n\r\n").as_bytes())
    }

    #[test]
    fn tells_where_a_body_ends() {
        let plain = Head {
            body_end: BodyEnd::After(0),
            asks_upgrade: false,
        };
        assert_eq!(with(""), Ok(plain));
        assert_eq!(
            with("Content-Length: 5\r\n"),
            Ok(Head {
                body_end: BodyEnd::After(5),
                ..plain
            })
        );
        assert_eq!(
            with("content-length:\t 0005 \r\n"),
            Ok(Head {
                body_end: BodyEnd::After(5),
                ..plain
            })
        );
        assert_eq!(
            with("Transfer-Encoding: Chunked\r\n"),
            Ok(Head {
                body_end: BodyEnd::LastChunk,
                ..plain
            })
        );
        assert_eq!(
            with("Upgrade: websocket\r\n"),
            Ok(Head {
                asks_upgrade: true,
                ..plain
            })
        );
        assert!(check(b"GET / HTTP/1.0\r\n\r\n").is_ok());
    }

    #[test]
    fn refuses_lengths_that_can_be_read_in_two_ways() {
        for value in [
            "",
            "+5",
            "-5",
            "0x5",
            "5 5",
            "5,5",
            "5, 5",
            "5;",
            "5.0",
            "9223372036854775808",
            "99999999999999999999",
        ] {
            assert_eq!(
                with(&format!("Content-Length: {value}\r\n")),
                Err(Violation::ContentLength),
                "{value:?}"
            );
        }
        assert_eq!(
            with("Content-Length: 5\r\nContent-Length: 5\r\n"),
            Err(Violation::ContentLength)
        );
        assert_eq!(with("Content_Length: 5\r\n"), Err(Violation::ContentLength));
        assert_eq!(with("Content-Length: 5\x0b\r\n"), Err(Violation::FieldValue));
    }

    #[test]
    fn refuses_codings_other_than_one_chunked() {
        for value in ["identity", "gzip, chunked", "xchunked", "chunked, br"] {
            assert_eq!(
                with(&format!("Transfer-Encoding: {value}\r\n")),
                Err(Violation::UnknownCoding),
                "{value:?}"
            );
        }
        for value in [
            "",
            "chunked, chunked",
            "chunked,",
            "gzip,, chunked",
            "chunked;a",
            "\"chunked\"",
        ] {
            assert_eq!(
                with(&format!("Transfer-Encoding: {value}\r\n")),
                Err(Violation::TransferEncoding),
                "{value:?}"
            );
        }
        let twice = "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n";
        assert_eq!(with(twice), Err(Violation::TransferEncoding));
        assert_eq!(with("Transfer_Encoding: chunked\r\n"), Err(Violation::TransferEncoding));
        let both = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n";
        assert_eq!(with(both), Err(Violation::TwoFramings));
        let old = check(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert_eq!(old, Err(Violation::TransferEncoding));
    }

    #[test]
    fn refuses_lines_that_end_oddly() {
        assert_eq!(with("A: b\nC: d\r\n"), Err(Violation::LineEnd));
        assert_eq!(with("A: b\rC: d\r\n"), Err(Violation::LineEnd));
        assert_eq!(check(b"GET / HTTP/1.1\nHost: a\r\n\r\n"), Err(Violation::LineEnd));
        assert_eq!(check(b"GET / HTTP/1.1\r\nHost: a\r\n\n"), Err(Violation::LineEnd));
    }

    #[test]
    fn refuses_malformed_fields() {
        assert_eq!(with("A: b\r\n c\r\n"), Err(Violation::Folding));
        for name in ["A ", "A\t", "", "A(", "\u{e4}", "A\0"] {
            assert_eq!(with(&format!("{name}: b\r\n")), Err(Violation::FieldName), "{name:?}");
        }
        assert_eq!(with("no colon\r\n"), Err(Violation::FieldName));
        assert_eq!(with("A: b\0c\r\n"), Err(Violation::FieldValue));
        assert_eq!(with(&"A: b\r\n".repeat(MOST_FIELDS)), Err(Violation::TooManyFields));
    }

    #[test]
    fn wants_one_good_host() {
        assert_eq!(check(b"GET / HTTP/1.1\r\n\r\n"), Err(Violation::Host));
        assert_eq!(with("Host: a\r\n"), Err(Violation::Host));
        for host in [
            "", "a b", "a,b", "u@a", "a/b", "a:b", "a:80:80", "[::1", "::1", "a?b", "a\\b",
        ] {
            let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
            assert_eq!(check(head.as_bytes()), Err(Violation::Host), "{host:?}");
        }
        for host in ["a", "a.b:80", "[::1]", "[::1]:80", "10.0.0.1:8080", "x_y", "a:"] {
            assert!(
                check(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).is_ok(),
                "{host:?}"
            );
        }
    }

    #[test]
    fn wants_target_and_host_to_agree() {
        assert!(line("GET http://a/b HTTP/1.1").is_ok());
        assert_eq!(line("GET http://b/ HTTP/1.1"), Err(Violation::Authority));
        assert_eq!(line("GET http://a:80/ HTTP/1.1"), Err(Violation::Authority));
    }

    #[test]
    fn refuses_malformed_request_lines() {
        for bad in [
            "GET  / HTTP/1.1",
            "GET / HTTP/1.1 ",
            " GET / HTTP/1.1",
            "GET /a b HTTP/1.1",
            "GET\t/ HTTP/1.1",
            "G(T / HTTP/1.1",
            "GET a HTTP/1.1",
            "GET /\0 HTTP/1.1",
            "GET /<a> HTTP/1.1",
            "GET /` HTTP/1.1",
            "GET /?a=\"b\" HTTP/1.1",
            "GET /a#b HTTP/1.1",
            "GET * HTTP/1.1",
            "GET /",
            "GET",
            "GET http:/a HTTP/1.1",
            "GET ftp://a/ HTTP/1.1",
            "GET http://u@a/ HTTP/1.1",
            "GET http:// HTTP/1.1",
        ] {
            assert_eq!(line(bad), Err(Violation::RequestLine), "{bad:?}");
        }
        for bad in [
            "GET / HTTP/2.0",
            "GET / HTTP/1.2",
            "GET / http/1.1",
            "GET / HTTP/01.1",
            "GET / ",
        ] {
            assert_eq!(line(bad), Err(Violation::Version), "{bad:?}");
        }
        for good in [
            "OPTIONS * HTTP/1.1",
            "GET /{a}|\"b\" HTTP/1.1",
            "GET /\u{e4}?\u{e4} HTTP/1.1",
            "CONNECT a:80 HTTP/1.1",
        ] {
            assert!(line(good).is_ok(), "{good:?}");
        }
        assert_eq!(
            check(b"GET /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n"),
            Err(Violation::RequestLine)
        );
    }
}
