//! The head of a backend's answer: whether it means the same to everybody, and where the body ends. Pingora repairs some of
//! what is refused here before anybody else sees it.

use std::fmt;
use std::io;

use memchr::{memchr, memchr_iter};

use crate::request::syntax::{is_token, plain_number, trim};

/// What follows a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follows {
    /// The head of the answer that this one only announces.
    Head,
    /// Bytes of a body.
    Counted(u64),
    Chunks,
    /// A body until the connection's end, or the bytes of another protocol.
    Rest,
}

/// What a head says of what comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    pub follows: Follows,
    /// The connection is not to be used again, in whichever line that stands: Pingora reads the first.
    pub closes: bool,
}

/// What makes an answer's head mean different things to different readers (RFC 9112, sections 5 and 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    StatusLine,
    Folding,
    FieldName,
    ContentLength,
    UnknownCoding,
    TwoFramings,
}

/// Judges `head`, which ends with an empty line. A request with the method HEAD has an answer without a body.
pub fn judge(head: &[u8], to_head: bool) -> Result<Said, Fault> {
    let mut from = 0;
    let mut lines = memchr_iter(b'\n', head).map(|end| without_cr(&head[std::mem::replace(&mut from, end + 1)..end]));
    let status = lines.next().and_then(status_of).ok_or(Fault::StatusLine)?;
    let mut framing = Framing::default();
    for line in lines.take_while(|line| !line.is_empty()) {
        framing.add(line)?;
    }
    let framed = framing.follows()?;
    let follows = match status {
        101 => Follows::Rest,
        100..200 => Follows::Head,
        204 | 304 => Follows::Counted(0),
        _ if to_head => Follows::Counted(0),
        _ => framed,
    };
    Ok(Said {
        follows,
        closes: framing.closes,
    })
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// `HTTP/1.1 200 OK`: whatever else such a line is, Pingora says.
fn status_of(line: &[u8]) -> Option<u16> {
    let code = line.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    std::str::from_utf8(code).ok()?.parse().ok()
}

#[derive(Default)]
struct Framing {
    length: Option<u64>,
    chunked: bool,
    closes: bool,
}

impl Framing {
    fn add(&mut self, line: &[u8]) -> Result<(), Fault> {
        if let [b' ' | b'\t', ..] = line {
            return Err(Fault::Folding);
        }
        let colon = memchr(b':', line).ok_or(Fault::FieldName)?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if !is_token(name) {
            return Err(Fault::FieldName);
        }
        match name.len() {
            10 if name.eq_ignore_ascii_case(b"connection") => {
                let mut words = value.split(|byte| *byte == b',');
                self.closes |= words.any(|word| trim(word).eq_ignore_ascii_case(b"close"));
                Ok(())
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => self.add_lengths(value),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.add_coding(trim(value)),
            _ => Ok(()),
        }
    }

    /// One length, however often it is said.
    fn add_lengths(&mut self, value: &[u8]) -> Result<(), Fault> {
        for text in value.split(|byte| *byte == b',').map(trim) {
            let length = plain_number(text).ok_or(Fault::ContentLength)?;
            if self.length.is_some_and(|before| before != length) {
                return Err(Fault::ContentLength);
            }
            self.length = Some(length);
        }
        Ok(())
    }

    fn add_coding(&mut self, value: &[u8]) -> Result<(), Fault> {
        if !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Fault::UnknownCoding);
        }
        self.chunked = true;
        Ok(())
    }

    fn follows(&self) -> Result<Follows, Fault> {
        match (self.length, self.chunked) {
            (Some(_), true) => Err(Fault::TwoFramings),
            (Some(length), false) => Ok(Follows::Counted(length)),
            (None, true) => Ok(Follows::Chunks),
            (None, false) => Ok(Follows::Rest),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StatusLine => "the answer has no status",
            Self::Folding => "a field of the answer is folded over two lines",
            Self::FieldName => "a field of the answer has a malformed name",
            Self::ContentLength => "the answer has two lengths, or one that is no plain number",
            Self::UnknownCoding => "the answer has a coding other than \"chunked\"",
            Self::TwoFramings => "the answer has both Content-Length and Transfer-Encoding",
        })
    }
}

impl std::error::Error for Fault {}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        Self::new(io::ErrorKind::InvalidData, fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follows(head: &str, to_head: bool) -> Result<Follows, Fault> {
        judge(head.as_bytes(), to_head).map(|said| said.follows)
    }

    fn with(fields: &str) -> Result<Follows, Fault> {
        follows(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n"), false)
    }

    #[test]
    fn a_connection_ends_in_whichever_line_that_stands() {
        for (fields, closes) in [
            ("Connection: close\r\n", true),
            ("Connection: keep-alive\r\nconnection: X, Close\r\n", true),
            ("Connection: keep-alive\r\nX-Close: close\r\n", false),
        ] {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n{fields}\r\n");
            assert_eq!(
                judge(head.as_bytes(), false).map(|said| said.closes),
                Ok(closes),
                "{fields:?}"
            );
        }
    }

    #[test]
    fn tells_what_follows() {
        assert_eq!(with("Content-Length: 5\r\n"), Ok(Follows::Counted(5)));
        assert_eq!(with("transfer-encoding:\tChunked \r\n"), Ok(Follows::Chunks));
        assert_eq!(with("Content-Type: a\r\n"), Ok(Follows::Rest));
        assert_eq!(
            follows("HTTP/1.0 200\nContent-Length: 5\n\n", false),
            Ok(Follows::Counted(5))
        );
        for (head, follows) in [
            ("HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n", Follows::Head),
            ("HTTP/1.1 101 Switching Protocols\r\n\r\n", Follows::Rest),
            (
                "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
                Follows::Counted(0),
            ),
            (
                "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
                Follows::Counted(0),
            ),
        ] {
            assert_eq!(
                super::judge(head.as_bytes(), false).map(|said| said.follows),
                Ok(follows),
                "{head:?}"
            );
        }
        let to_head = follows("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true);
        assert_eq!(to_head, Ok(Follows::Counted(0)));
    }

    #[test]
    fn what_is_said_twice_is_said_once() {
        for fields in ["Content-Length: 5\r\ncontent-length: 5\r\n", "Content-Length: 5, 5\r\n"] {
            assert_eq!(with(fields), Ok(Follows::Counted(5)), "{fields:?}");
        }
        let chunked = "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n";
        assert_eq!(with(chunked), Ok(Follows::Chunks));
    }

    #[test]
    fn refuses_what_readers_could_differ_on() {
        for (fields, fault) in [
            ("A: b\r\n c\r\n", Fault::Folding),
            ("A: b\r\n\tContent-Length: 5\r\n", Fault::Folding),
            ("A : b\r\n", Fault::FieldName),
            ("A b: c\r\n", Fault::FieldName),
            (": b\r\n", Fault::FieldName),
            ("no colon\r\n", Fault::FieldName),
            ("Content-Length: 5\r\nContent-Length: 6\r\n", Fault::ContentLength),
            ("Content-Length: 5, 6\r\n", Fault::ContentLength),
            ("Content-Length: +5\r\n", Fault::ContentLength),
            ("Content-Length:\r\n", Fault::ContentLength),
            ("Content-Length: 99999999999999999999\r\n", Fault::ContentLength),
            ("Transfer-Encoding: gzip, chunked\r\n", Fault::UnknownCoding),
            ("Transfer-Encoding: identity\r\n", Fault::UnknownCoding),
            ("Transfer-Encoding: chunked, chunked\r\n", Fault::UnknownCoding),
            (
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n",
                Fault::UnknownCoding,
            ),
            ("Transfer-Encoding: xchunked\r\n", Fault::UnknownCoding),
            (
                "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                Fault::TwoFramings,
            ),
            (
                "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
                Fault::TwoFramings,
            ),
        ] {
            assert_eq!(with(fields), Err(fault), "{fields:?}");
        }
        for line in ["", "SSH-2.0-OpenSSH_9", "ICY 200 OK", "HTTP/2 200", "HTTP/1.1 abc"] {
            assert_eq!(
                follows(&format!("{line}\r\n\r\n"), false),
                Err(Fault::StatusLine),
                "{line}"
            );
        }
    }
}
