//! How a stream ends whose client broke the rules: last words, and a moment in which they can be read.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;
use tokio::time::sleep;

use super::watch::RefusedHead;
use super::{Gathered, State, Wire};
use crate::request::problem::Problem;
use crate::request::spelling::Spelling;

impl Wire {
    /// The client gets these words in the place of an answer, and no further request is read.
    pub(super) fn refuse(&mut self, problem: Problem, why: impl fmt::Display) -> Gathered {
        self.watch.refused.fetch_add(1, Ordering::Relaxed);
        let client = self
            .inner
            .get_socket_digest()
            .and_then(|digest| digest.peer_addr().map(ToString::to_string));
        tracing::debug!(client, status = problem.status.as_u16(), "request refused: {why}");
        let words = Bytes::from(problem.last_words());
        self.refused = Some(Box::new(RefusedHead {
            bytes: self.pending.split().freeze(),
            problem,
            words: words.clone(),
        }));
        self.timer = Some(Box::pin(sleep(LINGER)));
        self.state = State::Refuse { words };
        Gathered::Refused
    }

    /// What was refused, told once.
    pub fn take_refused(&mut self) -> Option<Box<RefusedHead>> {
        self.refused.take()
    }

    /// How its target was sent, where it is written otherwise; told once.
    pub fn take_spelling(&mut self) -> Option<Spelling> {
        self.spelling.take()
    }

    /// Says the last words and closes. Always ends in an error, for Pingora has nothing to read here.
    pub(super) fn poll_refuse<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if let State::Refuse { words } = &mut self.state {
            while !words.is_empty() {
                let written = match Pin::new(&mut self.inner).poll_write(cx, words) {
                    Poll::Ready(written) => written?,
                    Poll::Pending => return self.poll_timer(cx).map(|()| Err(io::ErrorKind::TimedOut.into())),
                };
                words.advance(written);
            }
            self.state = State::Linger;
        }
        ready!(self.poll_linger(cx));
        Poll::Ready(Err(io::ErrorKind::InvalidData.into()))
    }

    /// Closes the sending side and discards what the client still sends, for a while: a connection closed with bytes
    /// unread is reset, and the reset can overtake the answer. Nginx: `lingering_close`.
    pub(super) fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if ready!(Pin::new(&mut self.inner).poll_shutdown(cx)).is_err() {
            return Poll::Ready(());
        }
        loop {
            self.pending.clear();
            match self.poll_fill(cx) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return self.poll_timer(cx),
            }
        }
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.timer
            .get_or_insert_with(|| Box::pin(sleep(LINGER)))
            .as_mut()
            .poll(cx)
    }
}

/// How long a client may go on sending after it was refused.
const LINGER: Duration = Duration::from_secs(5);
