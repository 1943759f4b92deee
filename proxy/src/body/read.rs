//! Reads a request's body to its end, under limits, before a backend is chosen for it, and leaves in its place a session
//! that can send it again and again.

use std::io;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING, UPGRADE};
use pingora::http::RequestHeader;
use pingora::protocols::http::ServerSession;
use pingora::{Error, ErrorType};
use tokio::time::{Instant, sleep_until, timeout};

use super::budget::{Budget, BudgetError};
use super::buffer::Buffer;
use super::config::{Buffering, Limits};
use super::framing::Violation;
use super::pace::Pace;
use super::replay::Replay;
use super::stand_in::{self, Source, Taken};
use super::stream::Upload;
use crate::request::deadline::Patience;
use crate::request::problem::{self, Problem};
use crate::request::syntax::promised_length;

/// Reads the body of the request at hand and puts a session in the place of `downstream` that gives it to each backend
/// from its first byte; with `buffering: off`, one that gives it on while it arrives, under the same limits. The session
/// also ends the wait for the head of an answer when `patience` is at its end.
///
/// Of a body that was read the length is known, so the head that goes to backends has a Content-Length, and neither
/// Transfer-Encoding nor Expect. An offer to change the protocol (Upgrade), which some clients make with every request,
/// is not taken. What has to be set on a session (keep-alive, abort on close, least send rate) is set before.
///
/// # Errors
///
/// The connection cannot be used after any of them; [`ReadError::problem`] is what to tell the client.
pub async fn take(
    downstream: &mut Box<ServerSession>,
    limits: &Limits,
    budget: &Budget,
    patience: Patience,
) -> Result<Taken, ReadError> {
    if downstream.is_body_empty() {
        let source = match downstream.is_upgrade_req() {
            true => Source::Upgrade { begins: false },
            false => Source::Nothing,
        };
        return Ok(stand_in::swap(downstream, source, patience));
    }
    let promised = promised_length(downstream.req_header());
    if promised.is_some_and(|length| length > limits.max_size) {
        return Err(ReadError::TooLarge { limit: limits.max_size });
    }
    downstream.req_header_mut().remove_header(&UPGRADE);
    let source = match limits.buffering {
        Buffering::On => Source::Replay(read(downstream, promised, limits, budget).await?),
        Buffering::Off => Source::Upload(Upload::new(limits)),
    };
    Ok(stand_in::swap(downstream, source, patience))
}

/// Reads the whole body.
async fn read(
    downstream: &mut ServerSession,
    promised: Option<u64>,
    limits: &Limits,
    budget: &Budget,
) -> Result<Replay, ReadError> {
    let mut share = budget.share(promised.unwrap_or(STEP)).await?;
    if expects_continue(downstream.req_header()) {
        // Pingora gives the connection up on any answer before the body's end, on this one too.
        let keepalive = downstream.get_keepalive();
        downstream.write_continue_response().await.map_err(ReadError::Gone)?;
        downstream.set_keepalive(keepalive);
    }

    let mut pace = Pace::new(limits);
    let timer = sleep_until(pace.due(0));
    tokio::pin!(timer);
    let exact = !downstream.is_http2();
    let mut buffer = Buffer::new(promised, budget.spill_above())?;
    loop {
        let chunk = tokio::select! {
            biased;
            chunk = downstream.read_request_body() => chunk.map_err(ReadError::of_downstream)?,
            () = &mut timer => return Err(pace.verdict()),
        };
        let Some(chunk) = chunk else { break };
        let length = buffer.length() + chunk.len() as u64;
        if length > limits.max_size {
            return Err(ReadError::TooLarge { limit: limits.max_size });
        }
        if length > share.bytes() {
            let asked = Instant::now();
            share.add(budget.share(STEP.max(chunk.len() as u64)).await?);
            pace.forgive(asked.elapsed());
        }
        buffer.push(chunk, exact)?;
        timer.as_mut().reset(pace.due(length));
    }

    let body = buffer.finish();
    let head = downstream.req_header_mut();
    head.remove_header(&TRANSFER_ENCODING);
    head.remove_header(&EXPECT);
    head.insert_header(CONTENT_LENGTH, body.length())
        .map_err(ReadError::Gone)?;
    Ok(Replay::new(body, share))
}

/// Reads on for a moment what a client still sends although it has been answered: a connection that is closed over
/// unread bytes is reset, which may take the answer with it. Nginx: `lingering_close`.
pub async fn linger(downstream: &mut ServerSession) {
    if downstream.is_http2() || downstream.is_body_done() || expects_continue(downstream.req_header()) {
        return;
    }
    // It may have left, or never end; either way it had its chance.
    let _ = timeout(LINGERING, downstream.drain_request_body()).await;
}

const LINGERING: Duration = Duration::from_secs(2);

fn expects_continue(head: &RequestHeader) -> bool {
    head.headers
        .get(EXPECT)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Why a body could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("request body is larger than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("request body arrives too slowly")]
    TooSlow,
    #[error("request body did not arrive before its deadline")]
    Late,
    #[error(transparent)]
    Malformed(#[from] Violation),
    #[error("no memory for the request body: {0}")]
    Full(String),
    #[error("keeping the request body failed")]
    Keep(#[from] io::Error),
    #[error("client went away while it sent the request body")]
    Gone(#[source] Box<Error>),
}

impl ReadError {
    /// What to answer, with a connection that closes afterwards; nothing if nobody is left to read it.
    pub fn problem(&self) -> Option<Problem> {
        Some(match self {
            Self::TooLarge { .. } => problem::BODY_TOO_LARGE,
            Self::TooSlow | Self::Late => problem::REQUEST_TIMEOUT,
            Self::Malformed(violation) => violation.problem(),
            Self::Full(_) => problem::BODY_MEMORY_FULL,
            Self::Keep(_) => problem::INTERNAL,
            Self::Gone(_) => return None,
        })
    }

    /// The problem of a body's reading at the bottom of what Pingora made of it.
    pub fn problem_in(error: &Error) -> Option<Problem> {
        match error.cause.as_ref().and_then(|cause| cause.downcast_ref::<Self>()) {
            Some(failure) => failure.problem(),
            None => Violation::in_error(error).map(Violation::problem),
        }
    }

    fn of_downstream(error: Box<Error>) -> Self {
        if let Some(violation) = Violation::in_error(&error) {
            return Self::Malformed(violation);
        }
        match error.etype() {
            ErrorType::ReadTimedout => Self::TooSlow,
            _ => Self::Gone(error),
        }
    }
}

impl From<BudgetError> for ReadError {
    fn from(error: BudgetError) -> Self {
        match error {
            BudgetError::NeverFits { total, .. } => Self::TooLarge { limit: total },
            BudgetError::Full { .. } => Self::Full(error.to_string()),
        }
    }
}

/// What a body of unknown length gets of the budget at a time, in bytes.
const STEP: u64 = 256 << 10;
