//! The watched stream as Pingora reads it and writes to it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::tail::LAST_CHUNK;
use super::{Body, Gathered, State, Wire};

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            match &mut this.state {
                State::Head { .. } if buf.remaining() == 1 => return this.poll_probe(cx),
                State::Head { seen, skipped_line } => {
                    let (seen, skipped_line) = (*seen, *skipped_line);
                    match ready!(this.poll_head(seen, skipped_line, cx))? {
                        Gathered::Head | Gathered::Refused => {}
                        Gathered::Preface | Gathered::Left => return Poll::Ready(Ok(())),
                    }
                }
                State::Pass { left, body } => {
                    let length = (*left).min(buf.remaining());
                    buf.put_slice(&this.pending[..length]);
                    this.pending.advance(length);
                    *left -= length;
                    if *left == 0 {
                        this.state = match *body {
                            Body::Counted(0) => State::BETWEEN,
                            body => State::Body(body),
                        };
                    }
                    return Poll::Ready(Ok(()));
                }
                State::Body(body) => {
                    let body = *body;
                    return this.poll_body(body, cx, buf);
                }
                State::Open => return this.poll_pass(cx, buf),
                State::Http2(_) => return this.poll_http2(cx, buf),
                State::Refuse { .. } | State::Linger => return this.poll_refuse(cx),
                State::Broken(violation) => return Poll::Ready(Err((*violation).into())),
            }
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        // The final answer's head tells whether the protocol changes, and begins a write.
        if this.asks_upgrade && !buf.starts_with(b"HTTP/1.1 100") && !buf.starts_with(b"HTTP/1.1 103") {
            this.asks_upgrade = false;
            if buf.starts_with(b"HTTP/1.1 101") {
                this.state = State::Open;
            }
        }
        if let Some(written) = ready!(this.poll_tail(buf, cx))? {
            return Poll::Ready(Ok(written));
        }
        let polled = Pin::new(&mut this.inner).poll_write(cx, buf);
        this.noted(polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.state {
            State::Linger => {}
            State::Open | State::Http2(_) => return Pin::new(&mut self.inner).poll_shutdown(cx),
            State::Head { .. } if self.pending.is_empty() => return Pin::new(&mut self.inner).poll_shutdown(cx),
            _ => {
                self.timer = None;
                self.state = State::Linger;
            }
        }
        self.poll_linger(cx).map(Ok)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = bufs.iter().find(|buf| !buf.is_empty()).map_or(&[][..], |buf| buf);
        if self.asks_upgrade || first == LAST_CHUNK {
            return self.poll_write(cx, first);
        }
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.noted(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

impl Wire {
    fn noted(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let (State::Http2(frames), Poll::Ready(Ok(bytes))) = (&mut self.state, &written) {
            frames.sent(*bytes);
        }
        written
    }
}
