//! Gives an answer to its client, at the client's pace, and not to one that has none.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use pingora::http::ResponseHeader;
use pingora::protocols::http::{HttpTask, ServerSession};
use pingora::{Error, ErrorType, OrErr, Result};
use tokio::time::{Instant, sleep};

use super::config::AnswerLimits;
use super::flow::{Ending, Flow, Next};
use super::pacer::Pacer;
use super::taking::Taking;
use crate::body::framing::Wire;
use crate::body::protocol::is_http2;

/// The way to a client, with the account of what it takes.
pub(in crate::body) struct Outlet {
    taking: Taking,
    /// Bytes to write at a time: a client that is slow shows within each whether it takes anything.
    slice: usize,
    largest_slice: usize,
    pacer: Option<Pacer>,
    /// Shared with what was written and has not left yet, on HTTP/2: there a reset would discard it.
    pending: Option<Arc<()>>,
}

/// Bytes that show when they have left.
struct Tracked {
    bytes: Bytes,
    _pending: Arc<()>,
}

impl AsRef<[u8]> for Tracked {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Outlet {
    pub fn new(client: &ServerSession, limits: &AnswerLimits) -> Self {
        let pacer = limits.pace.map(Pacer::new);
        let most = pacer.as_ref().map_or(usize::MAX, Pacer::slice);
        // Sockets take much at once before it shows that their client takes nothing; HTTP/2's streams do not.
        let slice = if is_http2(client) {
            SMALLEST_SLICE
        } else {
            LARGEST_SLICE
        };
        Self {
            taking: Taking::new(limits),
            slice: slice.min(most),
            pending: is_http2(client).then(Arc::default),
            largest_slice: if is_http2(client) { FRAME } else { LARGEST_SLICE }.min(most),
            pacer,
        }
    }

    /// # Errors
    /// The client left, or is too slow.
    pub async fn write(&mut self, client: &mut ServerSession, mut tasks: Vec<HttpTask>) -> Result<()> {
        if tasks.is_empty() {
            return Ok(());
        }
        let bytes = tasks.iter_mut().map(|task| self.prepare(client, task)).sum();
        if let (Some(pacer), true) = (&mut self.pacer, bytes > 0) {
            pacer.pass_to(client, bytes).await?;
        }
        let time = within(self.taking.allowance(bytes), client.response_duplex_vec(tasks)).await?;
        self.taking.took(bytes, time);
        self.slice = match time.as_millis() {
            0..100 => (self.slice * 2).min(self.largest_slice),
            100..1000 => self.slice,
            _ => (self.slice / 2).max(SMALLEST_SLICE).min(self.largest_slice),
        };
        Ok(())
    }

    /// Makes a part of an answer fit to be written. Says how many bytes of the body it has.
    fn prepare(&self, client: &ServerSession, task: &mut HttpTask) -> usize {
        match (task, &self.pending) {
            (HttpTask::Body(Some(bytes), _), Some(pending)) => {
                let _pending = Arc::clone(pending);
                *bytes = Bytes::from_owner(Tracked {
                    bytes: std::mem::take(bytes),
                    _pending,
                });
                bytes.len()
            }
            (HttpTask::Body(Some(bytes), _) | HttpTask::UpgradedBody(Some(bytes), _), _) => bytes.len(),
            (HttpTask::Trailer(Some(trailers)), _) => {
                if let Some(wire) = wire_of(client) {
                    wire.end_with(trailers);
                }
                0
            }
            _ => 0,
        }
    }

    /// Writes a piece that comes as it comes.
    pub async fn pass(&mut self, client: &mut ServerSession, task: HttpTask) -> Result<()> {
        let HttpTask::Body(Some(mut bytes), end) = task else {
            return self.write(client, vec![task]).await;
        };
        while bytes.len() > self.slice {
            let slice = bytes.split_to(self.slice);
            self.write(client, vec![HttpTask::Body(Some(slice), false)]).await?;
        }
        self.write(client, vec![HttpTask::Body(Some(bytes), end)]).await
    }

    /// Waits until all that was written has left, as far as that shows.
    pub async fn has_left(&self) {
        let Some(pending) = &self.pending else { return };
        // A head alone shows nothing; the connection's own task writes it meanwhile.
        sleep(A_MOMENT).await;
        let since = Instant::now();
        while Arc::strong_count(pending) > 1 && since.elapsed() < LEAVING {
            sleep(A_MOMENT).await;
        }
    }

    /// Sends what the client's session has gathered: it does not by itself while a body whose length is known is not
    /// complete.
    pub async fn flush(&mut self, client: &mut ServerSession) -> Result<()> {
        if is_http2(client) || client.was_upgraded() {
            return Ok(());
        }
        // There is no other way to make it flush than to end the answer amid its body, which leaves it as it was.
        let pause = vec![HttpTask::Body(None, false), HttpTask::Failed(Error::new_in(PAUSE))];
        let flushed = tokio::select! {
            biased;
            flushed = client.response_duplex_vec(pause) => flushed,
            () = sleep(self.taking.allowance(0)) => return Err(too_slow()),
        };
        match flushed {
            Err(error) if *error.etype() != PAUSE => Err(error),
            _ => Ok(()),
        }
    }
}

/// Gives an answer to its client, what comes of it while it is given included.
///
/// # Errors
/// The client left, or is too slow; or the answer broke off, and the client has all that came of it.
pub(in crate::body) async fn deliver(
    client: &mut ServerSession,
    head: Box<ResponseHeader>,
    is_bare: bool,
    flow: &Flow,
) -> Result<()> {
    let mut outlet = Outlet::new(client, flow.limits());
    // What is there at once leaves at once.
    let mut tasks = vec![HttpTask::Header(head, is_bare)];
    if is_bare {
        return outlet.write(client, tasks).await;
    }
    loop {
        let next = flow.next(outlet.slice);
        match next.or_err(ErrorType::InternalError, "reading a kept answer")? {
            Next::Piece { bytes, last } => {
                tasks.push(HttpTask::Body(Some(bytes), last));
                if last {
                    break;
                }
                outlet.write(client, std::mem::take(&mut tasks)).await?;
            }
            Next::End(Ending::Whole) => {
                tasks.push(HttpTask::Done);
                break;
            }
            Next::End(Ending::Trailers(trailers)) => {
                tasks.push(HttpTask::Trailer(Some(trailers)));
                break;
            }
            Next::End(Ending::Broken) => {
                outlet.write(client, tasks).await?;
                outlet.flush(client).await?;
                outlet.has_left().await;
                return Err(Error::explain(ErrorType::ConnectionClosed, "the answer broke off").into_up());
            }
            Next::Nothing => {
                outlet.write(client, std::mem::take(&mut tasks)).await?;
                outlet.flush(client).await?;
                tokio::select! {
                    biased;
                    () = flow.fed() => {}
                    // Gives nothing but the news that the client has left.
                    left = client.read_body_or_idle(true) => { left?; }
                }
            }
        }
    }
    outlet.write(client, tasks).await
}

/// Waits for a write, no longer than that. Says how long it took; where it is done at once, no clock is looked at.
async fn within(most: Duration, writing: impl Future<Output = Result<bool>>) -> Result<Duration> {
    let mut writing = pin!(writing);
    if let Poll::Ready(written) = poll_fn(|cx| Poll::Ready(writing.as_mut().poll(cx))).await {
        return written.map(|_| Duration::ZERO);
    }
    let began = Instant::now();
    tokio::select! {
        biased;
        written = writing => written.map(|_| began.elapsed()),
        () = sleep(most) => Err(too_slow()),
    }
}

/// The stream of a client that speaks HTTP/1.
fn wire_of(client: &ServerSession) -> Option<&Wire> {
    (**client.as_http1()?.stream()).as_any().downcast_ref()
}

fn too_slow() -> Box<Error> {
    Error::explain(ErrorType::WriteTimedout, "the client does not take its answer").into_down()
}

/// What ends an answer only for the session to flush.
const PAUSE: ErrorType = ErrorType::Custom("pause");

const A_MOMENT: Duration = Duration::from_millis(5);
const LEAVING: Duration = Duration::from_secs(5);

const SMALLEST_SLICE: usize = 8 << 10;
const LARGEST_SLICE: usize = 64 << 10;
/// HTTP/2's frames are no longer.
const FRAME: usize = 16 << 10;
