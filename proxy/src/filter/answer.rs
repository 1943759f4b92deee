//! What filters answer with, and what they make of others' answers.

use std::fs::File;

use bytes::Bytes;

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
