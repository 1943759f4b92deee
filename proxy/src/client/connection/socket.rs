//! A client's socket with its connection's account kept: below TLS, so that a handshake is watched as all else is.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::Connection;
use crate::client::proxy_protocol::{self, Told};
use crate::client::stream::Stream;

pub struct Socket {
    stream: Stream,
    /// What was read with a word of the client, and comes after it.
    ahead: Vec<u8>,
    connection: Arc<Connection>,
}

impl Socket {
    pub fn new(stream: Stream, connection: Arc<Connection>) -> Self {
        Self {
            stream,
            ahead: Vec::new(),
            connection,
        }
    }

    /// Reads what the proxy in front tells of the client. Its time is that of the first head.
    ///
    /// # Errors
    /// It tells nothing.
    pub async fn hear_of_client(&mut self) -> io::Result<()> {
        let mut heard = Vec::new();
        loop {
            match proxy_protocol::read(&heard) {
                Told::Whole { length, ends } => {
                    if let Some(ends) = ends {
                        self.connection.is_told(ends);
                    }
                    self.ahead = heard.split_off(length);
                    return Ok(());
                }
                Told::Part => {}
                Told::Nothing => return Err(io::ErrorKind::InvalidData.into()),
            }
            if self.read_buf(&mut heard).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Reads the first bytes; whether they begin a request where a handshake would begin.
    ///
    /// # Errors
    /// The connection's own.
    pub async fn speaks_plainly(&mut self) -> io::Result<bool> {
        if self.ahead.is_empty() {
            let mut first = Vec::with_capacity(FIRST);
            self.read_buf(&mut first).await?;
            self.ahead = first;
        }
        Ok(self.ahead.first().is_some_and(u8::is_ascii_uppercase))
    }

    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    fn written<T>(&self, polled: Poll<T>, cx: &Context<'_>) -> Poll<T> {
        if polled.is_pending() {
            self.connection.park(cx);
        }
        self.connection.note_write(polled.is_ready());
        polled
    }
}

/// A handshake's first message is rarely longer.
const FIRST: usize = 2048;

impl Drop for Socket {
    fn drop(&mut self) {
        if self.connection.is_cut() {
            self.stream.end_with_reset();
        }
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.connection.check()?;
        if !self.ahead.is_empty() {
            let length = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead[..length]);
            self.ahead.drain(..length);
            if self.ahead.is_empty() {
                // Most connections never need it again.
                self.ahead = Vec::new();
            }
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if polled.is_pending() {
            self.connection.park(cx);
        } else if buffer.filled().len() > before {
            self.connection.bytes_arrived();
        }
        polled
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.connection.check()?;
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(polled, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.connection.check()?;
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, buffers);
        self.written(polled, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// There is nothing to flush.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.connection.check())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection.check()?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
