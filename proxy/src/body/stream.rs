//! A body that goes to its backend while the client sends it.

use bytes::Bytes;
use pingora::protocols::http::ServerSession;
use pingora::{Error, ErrorType, Result};
use tokio::time::sleep_until;

use super::config::Limits;
use super::error::ReadError;
use super::pace::Pace;

/// What a streamed body has to keep to. Time in which the backend takes nothing counts only if the client has nothing
/// to give afterwards.
pub(super) struct Upload {
    pace: Pace,
    /// Bytes.
    max_size: u64,
}

impl Upload {
    pub fn new(limits: &Limits) -> Self {
        Self {
            pace: Pace::new(limits),
            max_size: limits.max_size,
        }
    }

    /// # Errors
    /// The client's, or a [`ReadError`] as their cause: the body is too long, too slow or too late.
    pub async fn next_piece(&mut self, client: &mut ServerSession) -> Result<Option<Bytes>> {
        let piece = tokio::select! {
            biased;
            piece = client.read_body_or_idle(false) => piece?,
            () = sleep_until(self.pace.due()) => return Err(refused(self.pace.verdict())),
        };
        self.pace.received(piece.as_ref().map_or(0, |piece| piece.len() as u64));
        if client.body_bytes_read() as u64 > self.max_size {
            return Err(refused(ReadError::TooLarge { limit: self.max_size }));
        }
        Ok(piece)
    }
}

fn refused(why: ReadError) -> Box<Error> {
    Error::because(ErrorType::ReadError, "streaming a request body", why)
}
