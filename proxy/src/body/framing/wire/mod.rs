//! The client's stream, watched: no head reaches Pingora before it is whole and checked, no byte of a body before its
//! framing is. Bytes of the next request stay here until Pingora comes to read them, so that pipelined requests are
//! answered in order and none is read as part of another. Of HTTP/2 only the time is watched that heads take.

mod http2;
mod read_write;
mod refusal;
mod stream;
mod tail;
mod watch;

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr;
use parking_lot::Mutex;
use pingora::protocols::Stream;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::time::{Sleep, sleep};

pub use self::http2::FLOOD;
use self::http2::{Frames, PREFACE};
pub use self::watch::{HeadLimits, RefusedHead, Watch};
use super::Violation;
use super::chunked::Chunked;
use super::head::{self, BodyEnd, Head};
use super::lines::mend_lines;
use super::respelling::{respelt, with_name_alone};
use crate::request::problem;
use crate::request::spelling::Spelling;
use crate::request::syntax::is_token_byte;

impl Watch {
    /// The same stream, with nothing on it but well-framed HTTP/1 requests.
    pub fn over(self: &Arc<Self>, stream: Stream) -> Wire {
        Wire {
            inner: stream,
            state: State::BETWEEN,
            may_be_http2: false,
            asks_upgrade: false,
            pending: BytesMut::new(),
            timer: None,
            tail: Mutex::default(),
            refused: None,
            spelling: None,
            watch: Arc::clone(self),
        }
    }

    /// The same, on a connection that has just been made. HTTP/2 with prior knowledge is told from HTTP/1.
    pub fn over_new(self: &Arc<Self>, stream: Stream) -> Wire {
        Wire {
            may_be_http2: true,
            ..self.over(stream)
        }
    }

    /// The same, after a handshake that took `spent` of the first head's time.
    pub fn over_secured(self: &Arc<Self>, stream: Stream, spent: Duration) -> Wire {
        let left = self.limits.deadline.saturating_sub(spent);
        Wire {
            timer: Some(Box::pin(sleep(left))),
            ..self.over(stream)
        }
    }
}

/// A client's stream under watch.
pub struct Wire {
    inner: Stream,
    state: State,
    /// Nothing has told yet which protocol it is.
    may_be_http2: bool,
    /// The request at hand may turn the connection into another protocol's.
    asks_upgrade: bool,
    /// Read from the client, not yet by Pingora.
    pending: BytesMut,
    timer: Option<Pin<Box<Sleep>>>,
    /// Goes out with the last chunk, or in its place. Contended by nobody: it is written down before that chunk is.
    tail: Mutex<Bytes>,
    /// Until somebody has asked for it.
    refused: Option<Box<RefusedHead>>,
    /// Of the request at hand, until somebody has asked for it.
    spelling: Option<Spelling>,
    watch: Arc<Watch>,
}

/// What a client has come with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// A request of HTTP/1, whose head is whole and good.
    Request,
    /// HTTP/2: [`Wire::multiplexed`].
    Http2,
    /// A head that was refused: [`Wire::take_refused`]. What comes next is the end.
    Refused,
    /// Nothing: it has left.
    Gone,
}

#[derive(Debug)]
enum State {
    /// Between messages: a head is gathered in `pending`, whose first `seen` bytes do not end it. One empty line before
    /// a request is a habit of old clients (RFC 9112, section 2.2).
    Head {
        seen: usize,
        skipped_line: bool,
    },
    /// A head that passed; so many bytes of it are still to be read by Pingora.
    Pass {
        left: usize,
        body: Body,
    },
    Body(Body),
    /// No longer HTTP: nothing is checked.
    Open,
    /// HTTP/2: with a timer while a head is incomplete.
    Http2(Frames),
    /// The client broke the rules; these words, and the end.
    Refuse {
        words: Bytes,
    },
    /// The connection is being closed while the client may still be sending.
    Linger,
    /// A body broke the rules; its reader is told, again and again.
    Broken(Violation),
}

impl State {
    const BETWEEN: Self = Self::Head {
        seen: 0,
        skipped_line: false,
    };
}

#[derive(Clone, Copy, Debug)]
enum Body {
    /// Bytes left.
    Counted(u64),
    Chunked(Chunked),
}

impl Wire {
    /// Waits for a request, without memory for what has yet to come. Nothing that was read is lost when this is dropped.
    pub async fn next(&mut self) -> Next {
        if self.pending.is_empty() {
            self.pending = BytesMut::new();
        }
        // An error on the way to the client is its end.
        poll_fn(|cx| self.poll_next(cx).map(|next| next.unwrap_or(Next::Gone))).await
    }

    /// Whether something of a further request has come already.
    pub fn has_more(&self) -> bool {
        !self.pending.is_empty()
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Next>> {
        loop {
            match self.state {
                State::Head { seen, skipped_line } => match ready!(self.poll_head(seen, skipped_line, cx))? {
                    Gathered::Head => {}
                    Gathered::Refused => return Poll::Ready(Ok(Next::Refused)),
                    Gathered::Preface => return Poll::Ready(Ok(Next::Http2)),
                    Gathered::Left => return Poll::Ready(Ok(Next::Gone)),
                },
                State::Refuse { .. } | State::Linger => return self.poll_refuse(cx),
                _ => return Poll::Ready(Ok(Next::Request)),
            }
        }
    }

    /// The same stream as HTTP/2, from its preface on. The first request's head has no more time than it had.
    pub fn multiplexed(mut self) -> Self {
        self.arm();
        self.state = State::Http2(Frames::new());
        self
    }

    /// The time for a head begins, unless it has.
    fn arm(&mut self) -> &mut Pin<Box<Sleep>> {
        let deadline = self.watch.limits.deadline;
        self.timer.get_or_insert_with(|| Box::pin(sleep(deadline)))
    }

    /// Hands on what comes over HTTP/2, and fails when a head takes too long.
    fn poll_http2(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = match self.poll_ahead(cx) {
            Poll::Ready(Ok(())) => self.poll_pass(cx, buf),
            other => other,
        };
        let State::Http2(frames) = &mut self.state else {
            return polled;
        };
        let ended = frames.pass(&buf.filled()[before..]);
        if frames.are_too_many() {
            return Poll::Ready(Err(FLOOD.into()));
        }
        let (open, has_had_head) = (frames.is_open(), frames.has_had_head);
        if ended && has_had_head {
            self.timer = None;
        }
        if open {
            self.arm();
        }
        if polled.is_pending()
            && let Some(timer) = &mut self.timer
        {
            ready!(timer.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        polled
    }

    /// Amid a body over HTTP/2, whose reader asks for a frame or half of one at a time, reads as much as there is: each read
    /// costs more than the copy out of `pending`.
    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let is_amid_body = matches!(&self.state, State::Http2(frames) if frames.left_of_body() > READ);
        if !self.pending.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.pending = BytesMut::new();
        if !is_amid_body {
            return Poll::Ready(Ok(()));
        }
        self.pending.reserve(AHEAD);
        let polled = pin!(self.inner.read_buf(&mut self.pending)).poll(cx);
        if self.pending.is_empty() {
            self.pending = BytesMut::new();
        }
        polled.map_ok(|_| ())
    }

    /// Hands on what comes, out of `pending` first.
    fn poll_pass(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.pending.is_empty() {
            return Pin::new(&mut self.inner).poll_read(cx, buf);
        }
        let length = self.pending.len().min(buf.remaining());
        buf.put_slice(&self.pending[..length]);
        self.pending.advance(length);
        Poll::Ready(Ok(()))
    }

    /// Hands on bytes of a body, out of `pending` first, and keeps back what comes after its end.
    fn poll_body(&mut self, mut body: Body, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(self.poll_pass(cx, buf))?;
        let fresh = &buf.filled()[before..];
        let end = match &mut body {
            Body::Counted(left) => {
                let passed = (*left).min(fresh.len() as u64);
                *left -= passed;
                (*left == 0).then_some(passed as usize)
            }
            Body::Chunked(chunked) => match chunked.pass(fresh) {
                Ok(end) => end,
                Err(violation) => {
                    buf.set_filled(before);
                    self.state = State::Broken(violation);
                    return Poll::Ready(Err(violation.into()));
                }
            },
        };
        let Some(end) = end else {
            self.state = State::Body(body);
            return Poll::Ready(Ok(()));
        };
        if end < fresh.len() {
            // Out of `pending` these bytes came in one piece with what is left there, so they go before it.
            let mut next = BytesMut::from(&fresh[end..]);
            next.extend_from_slice(&self.pending);
            self.pending = next;
            buf.set_filled(before + end);
        }
        self.state = State::BETWEEN;
        Poll::Ready(Ok(()))
    }

    /// Gathers a head. Ready when it passed, or was refused, or the client left.
    fn poll_head(
        &mut self,
        mut seen: usize,
        mut skipped_line: bool,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Gathered>> {
        loop {
            if self.watch.limits.lone_line_feeds {
                mend_lines(&mut self.pending, seen);
            }
            if !skipped_line && self.pending.starts_with(b"\r\n") {
                self.pending.advance(2);
                (seen, skipped_line) = (0, true);
            }
            match self.speaks_http2() {
                Some(true) => return Poll::Ready(Ok(Gathered::Preface)),
                Some(false) => self.may_be_http2 = false,
                None => {}
            }
            match head_end(&self.pending, seen) {
                // A preface begins as a head of HTTP/1 does.
                _ if self.may_be_http2 => {}
                Ok(Some(end)) if end <= self.watch.limits.max_size => return Poll::Ready(Ok(self.pass_head(end))),
                Ok(None) if self.pending.len() < self.watch.limits.max_size => seen = self.pending.len(),
                Ok(_) => return Poll::Ready(Ok(self.refuse(problem::HEAD_TOO_LARGE, "its head is too long"))),
                Err(violation) => return Poll::Ready(Ok(self.refuse(violation.problem(), violation))),
            }
            self.state = State::Head { seen, skipped_line };
            if !self.pending.is_empty() {
                self.arm();
            }
            if let Some(timer) = &mut self.timer
                && timer.as_mut().poll(cx).is_ready()
            {
                if self.pending.is_empty() {
                    return Poll::Ready(Ok(Gathered::Left));
                } else {
                    return Poll::Ready(Ok(self.refuse(problem::REQUEST_TIMEOUT, "its head takes too long")));
                }
            }
            if ready!(self.poll_fill(cx))? == 0 {
                return Poll::Ready(Ok(Gathered::Left));
            }
        }
    }

    /// Whether the client begins with HTTP/2's preface; nothing while that cannot be told.
    fn speaks_http2(&self) -> Option<bool> {
        let length = self.pending.len().min(PREFACE.len());
        match self.may_be_http2 && self.pending[..length] == PREFACE[..length] {
            false => Some(false),
            true => (length == PREFACE.len()).then_some(true),
        }
    }

    fn pass_head(&mut self, mut end: usize) -> Gathered {
        (self.timer, self.spelling) = (None, None);
        let mut checked = head::check(&self.pending[..end]);
        if let Err(violation) = checked
            && let Some(respelt) = self.otherwise(&self.pending[..end], violation)
            && let Ok(head) = head::check(&respelt)
        {
            self.spelling = Spelling::of(&self.pending[..end], &respelt);
            let rest = self.pending.split_off(end);
            end = respelt.len();
            self.pending = BytesMut::from(&respelt[..]);
            self.pending.unsplit(rest);
            checked = Ok(head);
        }
        match checked {
            Ok(Head { body_end, asks_upgrade }) => {
                self.asks_upgrade = asks_upgrade;
                let body = match body_end {
                    BodyEnd::After(length) => Body::Counted(length),
                    BodyEnd::LastChunk => Body::Chunked(Chunked::default()),
                };
                self.state = State::Pass { left: end, body };
                Gathered::Head
            }
            Err(violation) => self.refuse(violation.problem(), violation),
        }
    }

    /// A head that was found bad in other words, where some mean the same.
    fn otherwise(&self, head: &[u8], violation: Violation) -> Option<Vec<u8>> {
        match violation {
            Violation::RequestLine | Violation::Authority => respelt(head),
            Violation::Host if self.watch.limits.odd_ports => with_name_alone(head),
            _ => None,
        }
    }

    /// While Pingora waits for an answer it probes, one byte wide, whether the client is still there. What the client
    /// sends meanwhile is its next request; it stays here, and the probe goes on.
    fn poll_probe(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.pending.len() < AHEAD {
            let length = ready!(self.poll_fill(cx))?;
            if length == 0 && self.pending.is_empty() {
                return Poll::Ready(Ok(()));
            }
            if length == 0 {
                break;
            }
        }
        Poll::Pending
    }

    /// Reads from the client into `pending`; how many bytes.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [MaybeUninit::uninit(); READ];
        let mut read = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut read))?;
        self.pending.extend_from_slice(read.filled());
        Poll::Ready(Ok(read.filled().len()))
    }
}

enum Gathered {
    Head,
    /// HTTP/2's.
    Preface,
    Refused,
    Left,
}

/// Bytes up to and with the empty line that ends a head. Complains before the end of what can have no good one.
fn head_end(bytes: &[u8], seen: usize) -> Result<Option<usize>, Violation> {
    if bytes
        .first()
        .is_some_and(|first| !is_token_byte(*first) && *first != b'\r')
    {
        return Err(Violation::RequestLine);
    }
    let mut from = seen;
    while let Some(offset) = memchr(b'\n', &bytes[from..]) {
        let line_end = from + offset + 1;
        if !bytes[..line_end].ends_with(b"\r\n") {
            return Err(Violation::LineEnd);
        }
        if bytes[..line_end].ends_with(b"\r\n\r\n") {
            return Ok(Some(line_end));
        }
        from = line_end;
    }
    Ok(None)
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire")
            .field("inner", &self.inner)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// Bytes to read at a time while a head is gathered.
const READ: usize = 4 << 10;

/// Bytes of following requests to take in while one is being answered.
const AHEAD: usize = 64 << 10;
