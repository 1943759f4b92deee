//! What is wrong with a request's framing.

use std::{error, fmt, io};

use pingora::Error;

use crate::request::problem::{self, Problem};

/// A rule of RFC 9112 or RFC 9110 that a request breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    LineEnd,
    RequestLine,
    Version,
    Folding,
    FieldName,
    FieldValue,
    TooManyFields,
    Host,
    Authority,
    Connection,
    TwoFramings,
    ContentLength,
    TransferEncoding,
    UnknownCoding,
    Chunk,
    ChunkExtension,
    Trailer,
}

impl Violation {
    /// A name that never changes, for programs, and words for people.
    const fn told(self) -> (&'static str, &'static str) {
        match self {
            Self::LineEnd => ("line_end", "a line does not end with CRLF, or has a CR within it"),
            Self::RequestLine => ("request_line", "the request line is malformed"),
            Self::Version => ("version", "the HTTP version is neither 1.0 nor 1.1"),
            Self::Folding => ("folding", "a header field is folded over two lines"),
            Self::FieldName => ("field_name", "a header field's name is malformed"),
            Self::FieldValue => ("field_value", "a header field's value has control characters"),
            Self::TooManyFields => ("too_many_fields", "there are too many header fields"),
            Self::Host => ("host", "there is not exactly one Host, or it is malformed"),
            Self::Authority => ("authority", "Host differs from the request's target"),
            Self::Connection => (
                "connection",
                "Connection is malformed, or names a field that has to be passed on",
            ),
            Self::TwoFramings => ("two_framings", "Content-Length and Transfer-Encoding are both given"),
            Self::ContentLength => (
                "content_length",
                "Content-Length is given twice or is not a plain number",
            ),
            Self::TransferEncoding => (
                "transfer_encoding",
                "Transfer-Encoding is given twice or is not \"chunked\"",
            ),
            Self::UnknownCoding => (
                "unknown_coding",
                "Transfer-Encoding names a coding other than \"chunked\"",
            ),
            Self::Chunk => ("chunk", "a chunk is malformed"),
            Self::ChunkExtension => ("chunk_extension", "chunk extensions are too long"),
            Self::Trailer => ("trailer", "a trailer field is malformed, or there is too much of them"),
        }
    }

    pub fn problem(self) -> Problem {
        let (reason, detail) = self.told();
        let general = match self {
            Self::TooManyFields => problem::HEAD_TOO_LARGE,
            Self::UnknownCoding => problem::NOT_IMPLEMENTED,
            _ => problem::BAD_REQUEST,
        };
        Problem {
            reason: Some(reason),
            detail,
            ..general
        }
    }

    /// The violation at the bottom of what Pingora makes of a failed read.
    pub fn in_error(error: &Error) -> Option<Self> {
        error
            .cause
            .as_ref()?
            .downcast_ref::<io::Error>()?
            .get_ref()?
            .downcast_ref()
            .copied()
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.told().1)
    }
}

impl error::Error for Violation {}

impl From<Violation> for io::Error {
    fn from(violation: Violation) -> Self {
        Self::new(io::ErrorKind::InvalidData, violation)
    }
}
