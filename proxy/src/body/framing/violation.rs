//! What is wrong with a request's framing.

use std::io;

use pingora::Error;

use crate::problem::{self, Problem};

/// A rule of RFC 9112 or RFC 9110 that a request breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    #[error("a line does not end with CRLF, or has a CR within it")]
    LineEnd,
    #[error("the request line is malformed")]
    RequestLine,
    #[error("the HTTP version is neither 1.0 nor 1.1")]
    Version,
    #[error("a header field is folded over two lines")]
    Folding,
    #[error("a header field's name is malformed")]
    FieldName,
    #[error("a header field's value has control characters")]
    FieldValue,
    #[error("there are too many header fields")]
    TooManyFields,
    #[error("there is not exactly one Host, or it is malformed")]
    Host,
    #[error("Host differs from the request's target")]
    Authority,
    #[error("Content-Length and Transfer-Encoding are both given")]
    TwoFramings,
    #[error("Content-Length is given twice or is not a plain number")]
    ContentLength,
    #[error("Transfer-Encoding is given twice or is not \"chunked\"")]
    TransferEncoding,
    #[error("a chunk is malformed")]
    Chunk,
    #[error("chunk extensions are too long")]
    ChunkExtension,
    #[error("a trailer field is malformed, or there is too much of them")]
    Trailer,
}

impl Violation {
    pub fn problem(self) -> Problem {
        match self {
            Self::TooManyFields => problem::HEAD_TOO_LARGE,
            _ => problem::BAD_REQUEST,
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

impl From<Violation> for io::Error {
    fn from(violation: Violation) -> Self {
        Self::new(io::ErrorKind::InvalidData, violation)
    }
}
