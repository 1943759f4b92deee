//! Reads a request's body to its end, under limits, before a backend is chosen for it, and leaves in its place a session
//! that can send it again and again.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderValue, Version};
use pingora::http::RequestHeader;
use pingora::protocols::http::ServerSession;
use tokio::time::{Instant, sleep_until, timeout};

use super::answer::Keeping;
use super::buffer::Buffer;
use super::config::{Buffering, Limits};
use super::error::ReadError;
use super::pace::Pace;
use super::protocol::is_http2;
use super::replay::Replay;
use super::stand_in::{self, Source, Taken};
use super::stream::Upload;
use crate::request::deadline::Patience;
use crate::request::syntax::{asks_for_another_protocol, promised_length};

/// Reads the body of the request at hand and puts a session in the place of `downstream` that gives it to each backend
/// from its first byte; with `buffering: off`, one that gives it on while it arrives, under the same limits. The session
/// also ends the wait for the head of an answer when `patience` is at its end, and keeps the answer for the client. Where
/// something comes `instead`, backends get that.
///
/// Of a body that was read the length is known, so the head that goes to backends has a Content-Length, and neither
/// Transfer-Encoding nor Expect. An offer to go on by HTTP/2, which some clients make with every request, is not taken; who
/// offers another protocol behind a body has that read first. What has to be set on a session (keep-alive, abort on close,
/// least send rate) is set before.
///
/// # Errors
///
/// The connection cannot be used after any of them; [`ReadError::problem`] is what to tell the client.
pub async fn take(
    downstream: &mut Box<ServerSession>,
    limits: &Limits,
    keeping: Keeping,
    patience: Patience,
    instead: Option<Bytes>,
) -> Result<Taken, ReadError> {
    if let Some(instead) = instead {
        let source = replaced(downstream, instead, limits, &keeping).await?;
        return Ok(stand_in::swap(downstream, source, keeping, patience));
    }
    if downstream.is_body_empty() {
        if promised_length(downstream.req_header()) == Some(0) {
            // Nothing is to come; but who waits for leave to send nothing waits all the same.
            let_come(downstream).await?;
        }
        let source = match downstream.is_upgrade_req() {
            true => Source::Upgrade { begins: false },
            false => Source::Nothing,
        };
        return Ok(stand_in::swap(downstream, source, keeping, patience));
    }
    let promised = promised_length(downstream.req_header());
    if promised.is_some_and(|length| length > limits.max_size) {
        return Err(ReadError::TooLarge { limit: limits.max_size });
    }
    let may_change_protocol = downstream.is_upgrade_req() && asks_for_another_protocol(downstream.req_header());
    if !may_change_protocol {
        downstream.req_header_mut().remove_header(&UPGRADE);
    }
    let source = match limits.buffering {
        _ if may_change_protocol => Source::ReplayToUpgrade(read(downstream, promised, limits, &keeping).await?),
        Buffering::On => Source::Replay(read(downstream, promised, limits, &keeping).await?),
        Buffering::Off => Source::Upload(Upload::new(limits)),
    };
    Ok(stand_in::swap(downstream, source, keeping, patience))
}

/// Reads the whole body, in whose place this comes.
async fn replaced(
    downstream: &mut ServerSession,
    instead: Bytes,
    limits: &Limits,
    keeping: &Keeping,
) -> Result<Source, ReadError> {
    if !downstream.is_body_empty() {
        let promised = promised_length(downstream.req_header());
        if promised.is_some_and(|length| length > limits.max_size) {
            return Err(ReadError::TooLarge { limit: limits.max_size });
        }
        read(downstream, promised, limits, keeping).await?;
    }
    let length = instead.len() as u64;
    let head = downstream.req_header_mut();
    head.remove_header(&UPGRADE);
    head.remove_header(&CONTENT_LENGTH);
    if length == 0 {
        return Ok(Source::Nothing);
    }
    head.insert_header(CONTENT_LENGTH, length).map_err(ReadError::Gone)?;
    let mut share = keeping.budget.open(keeping.client, Some(length), length)?;
    share.complete(length);
    let mut buffer = Buffer::new(Some(length), keeping.budget.spill_above());
    buffer.push(instead, true)?;
    Ok(Source::Replay(Replay::new(buffer.finish(), share)))
}

/// Tells a client that waits for leave to send its body that it may.
async fn let_come(downstream: &mut ServerSession) -> Result<(), ReadError> {
    if expects_continue(downstream.req_header()) {
        // Pingora gives the connection up on any answer before the body's end, on this one too.
        let keepalive = downstream.get_keepalive();
        downstream.write_continue_response().await.map_err(ReadError::Gone)?;
        downstream.set_keepalive(keepalive);
    }
    downstream.req_header_mut().remove_header(&EXPECT);
    Ok(())
}

/// Reads the whole body.
async fn read(
    downstream: &mut ServerSession,
    promised: Option<u64>,
    limits: &Limits,
    keeping: &Keeping,
) -> Result<Replay, ReadError> {
    let mut share = keeping.budget.open(keeping.client, promised, limits.max_size)?;
    let_come(downstream).await?;
    let mut pace = Pace::new(limits);
    let timer = sleep_until(pace.due());
    tokio::pin!(timer);
    let exact = !is_http2(downstream);
    let mut buffer = Buffer::new(promised, keeping.budget.spill_above());
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
        pace.received(chunk.len() as u64);
        if length > share.bytes() {
            let asked = Instant::now();
            share.hold(length).await?;
            pace.forgive(asked.elapsed());
        }
        buffer.push(chunk, exact)?;
        timer.as_mut().reset(pace.due());
    }

    share.complete(buffer.length());
    let body = buffer.finish();
    let head = downstream.req_header_mut();
    head.remove_header(&TRANSFER_ENCODING);
    head.insert_header(CONTENT_LENGTH, body.length())
        .map_err(ReadError::Gone)?;
    Ok(Replay::new(body, share))
}

/// Reads on for a moment what a client still sends although it has been answered: a connection that is closed over
/// unread bytes is reset, which may take the answer with it. Nginx: `lingering_close`.
pub async fn linger(downstream: &mut ServerSession) {
    if is_http2(downstream) || downstream.is_body_done() || expects_continue(downstream.req_header()) {
        return;
    }
    // It may have left, or never end; either way it had its chance.
    let _ = timeout(LINGERING, downstream.drain_request_body()).await;
}

const LINGERING: Duration = Duration::from_secs(2);

/// HTTP/1.0 knows no such answer (RFC 9110, section 10.1.1).
fn expects_continue(head: &RequestHeader) -> bool {
    let expects = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    head.version > Version::HTTP_10 && head.headers.get(EXPECT).is_some_and(expects)
}
