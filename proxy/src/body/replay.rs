//! A kept body on its way to one backend after another.

use std::io;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use pingora::{ErrorType, OrErr, Result};

use super::budget::Share;
use super::buffer::Body;

/// A body that is kept, and its share of the memory for all of them.
pub struct Whole {
    body: Body,
    _share: Share,
}

impl Whole {
    /// In bytes.
    pub fn length(&self) -> u64 {
        self.body.length()
    }

    /// Its first bytes, `most` of them at most.
    ///
    /// # Errors
    /// Its file cannot be read.
    pub fn beginning(&self, most: usize) -> io::Result<Bytes> {
        let mut beginning = bytes::BytesMut::new();
        for piece in self.pieces() {
            let piece = piece?;
            if beginning.is_empty() && (piece.len() >= most || self.body.pieces() == 1) {
                return Ok(piece.slice(..piece.len().min(most)));
            }
            let room = most - beginning.len();
            beginning.extend_from_slice(&piece[..piece.len().min(room)]);
            if beginning.len() == most {
                break;
            }
        }
        Ok(beginning.freeze())
    }

    /// Its pieces in order, those of a large body as they are read.
    pub fn pieces(&self) -> impl Iterator<Item = io::Result<Bytes>> {
        (0..self.body.pieces()).map(|index| self.body.piece(index))
    }
}

pub(super) struct Replay {
    /// There until nobody can ask for it again.
    whole: Option<Arc<Whole>>,
    /// Index of the piece to send next.
    next: usize,
}

impl Replay {
    pub fn new(body: Body, share: Share) -> Self {
        Self {
            whole: Some(Arc::new(Whole { body, _share: share })),
            next: 0,
        }
    }

    /// The body itself, for as long as it may be sent again.
    pub fn whole(&self) -> Weak<Whole> {
        self.whole.as_ref().map(Arc::downgrade).unwrap_or_default()
    }

    pub fn is_sent(&self) -> bool {
        self.whole.as_ref().is_none_or(|whole| self.next >= whole.body.pieces())
    }

    pub fn next_piece(&mut self) -> Result<Option<Bytes>> {
        if self.is_sent() {
            return Ok(None);
        }
        let Some(whole) = &self.whole else { return Ok(None) };
        let piece = whole
            .body
            .piece(self.next)
            .or_err(ErrorType::InternalError, "reading a held body")?;
        self.next += 1;
        Ok(Some(piece))
    }

    /// Begins anew, for a further backend.
    pub fn rewind(&mut self) {
        self.next = 0;
    }

    /// Frees the body once it is sent, for there will be no other attempt.
    pub fn answered(&mut self) {
        if self.is_sent() {
            self.free();
        }
    }

    pub fn free(&mut self) {
        self.whole = None;
    }
}
