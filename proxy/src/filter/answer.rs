//! What filters answer with, and what they make of others' answers.

use std::fs::File;
use std::pin::Pin;

use bytes::Bytes;
use http::HeaderName;
use pingora::http::ResponseHeader;

use crate::request::notes::Held;

/// The body of an answer.
#[derive(Debug)]
pub enum Content {
    Bytes(Bytes),
    /// A part of a file, read as it is sent.
    File {
        file: File,
        start: u64,
        length: u64,
    },
}

impl Content {
    /// Bytes.
    pub fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { length, .. } => *length,
        }
    }
}

impl From<Bytes> for Content {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

/// What vouches for a body byte by byte (RFC 9530, and what came before it), and does not for another one.
pub const DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("repr-digest"),
];

/// What becomes of an answer's body after a filter has seen its head, which fits the change already, but for its length.
pub enum BodyChange {
    /// It has this one in its place.
    Replaced(Bytes),
    /// It goes through this.
    Through(Box<dyn Transform>),
}

/// Makes other bytes of a body, as it comes.
pub trait Transform: Send + Sync {
    /// What comes of the next bytes; `last` says that no others follow.
    fn next(&mut self, bytes: &[u8], last: bool) -> Bytes;
}

/// What a filter knows of a request that has come in, in good time.
pub type Recall = Pin<Box<dyn Future<Output = Recalled> + Send>>;

pub enum Recalled {
    /// An answer, and what it takes until it is sent.
    Answer(Box<http::Response<Content>>, Held),
    /// None, but this wants to see a backend's.
    Missed(Witness),
    /// Nothing, for this reason.
    Passed(&'static str),
}

/// What sees the body of an answer with this head, as a backend gives it; what it makes of it goes nowhere.
pub type Witness = Box<dyn Fn(&ResponseHeader) -> Option<Box<dyn Transform>> + Send + Sync>;
