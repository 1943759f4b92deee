//! What an answer ends with beside its last chunk: trailer fields, which Pingora does not write.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use http::HeaderMap;
use tokio::io::AsyncWrite;

use super::Wire;

impl Wire {
    /// The fields that the next last chunk ends with.
    pub fn end_with(&self, trailers: &HeaderMap) {
        let mut tail = BytesMut::from(&LAST_CHUNK[..LAST_CHUNK.len() - 2]);
        for (name, value) in trailers {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                tail.extend_from_slice(part);
            }
        }
        tail.extend_from_slice(b"\r\n");
        *self.tail.lock() = tail.freeze();
    }

    /// Writes what is to go out in the place of the last chunk, if there is anything.
    pub(super) fn poll_tail(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> Poll<io::Result<Option<usize>>> {
        let tail = self.tail.get_mut();
        if bytes != LAST_CHUNK || tail.is_empty() {
            return Poll::Ready(Ok(None));
        }
        while !tail.is_empty() {
            let written = ready!(Pin::new(&mut self.inner).poll_write(cx, tail))?;
            tail.advance(written);
        }
        Poll::Ready(Ok(Some(LAST_CHUNK.len())))
    }
}

/// As Pingora writes it, in one piece.
pub(super) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
