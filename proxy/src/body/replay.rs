//! A kept body on its way to one backend after another.

use bytes::Bytes;
use pingora::{ErrorType, OrErr, Result};

use super::budget::Share;
use super::buffer::Body;

pub(super) struct Replay {
    /// There until nobody can ask for it again.
    body: Option<(Body, Share)>,
    /// Index of the piece to send next.
    next: usize,
}

impl Replay {
    pub fn new(body: Body, share: Share) -> Self {
        Self {
            body: Some((body, share)),
            next: 0,
        }
    }

    pub fn is_sent(&self) -> bool {
        self.body.as_ref().is_none_or(|(body, _)| self.next >= body.pieces())
    }

    pub fn next_piece(&mut self) -> Result<Option<Bytes>> {
        if self.is_sent() {
            return Ok(None);
        }
        let Some((body, _)) = &self.body else { return Ok(None) };
        let piece = body
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
        self.body = None;
    }
}
