//! The session itself: what Pingora asks of a client's.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;
use http::{HeaderMap, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::Digest;
use pingora::protocols::http::custom::CustomMessageWrite;
use pingora::protocols::http::custom::server::Session;
use pingora::protocols::http::{HttpTask, ServerSession};
use pingora::protocols::l4::socket::SocketAddr;
use pingora::{Error, ErrorType, Result};
use tokio::sync::oneshot;
use tokio::time::{self, sleep_until};

use super::recipient::{Home, Recipient};
use super::source::Source;
use crate::body::error::answered_early;
use crate::request::deadline::{Deadline, Patience};

pub(super) struct StandIn {
    recipient: Recipient,
    source: Source,
    /// Until the head of an answer has come.
    patience: Patience,
    /// When the request had come in.
    complete: Option<Instant>,
    home: Option<oneshot::Sender<Home>>,
}

impl StandIn {
    pub fn new(recipient: Recipient, source: Source) -> Self {
        Self {
            complete: (!source.is_upload()).then(Instant::now),
            patience: Patience::default(),
            recipient,
            source,
            home: None,
        }
    }

    /// With an end to the wait for an answer's head, and with somebody who waits for what is left in the end.
    pub fn with(mut self, patience: Patience, home: oneshot::Sender<Home>) -> Self {
        (self.patience, self.home) = (patience, Some(home));
        self
    }

    async fn next_piece(&mut self) -> Result<Option<Bytes>> {
        match self.recipient.here_mut() {
            Ok(client) => self.source.next_piece(client).await,
            Err(_) => Ok(None),
        }
    }

    async fn piece_or_idle(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        // Whoever polls this among other things never loses a piece: one out of memory is ready at once, and one from
        // the client stays with it until it is.
        if self.source.has_body() && !no_body_expected && !self.is_body_done() {
            return match self.recipient.had_all.filter(|_| self.source.is_upload()) {
                None => self.next_piece().await,
                Some(since) => self.last_pieces(since).await,
            };
        }
        // What comes after the body, or in place of one: the client's leaving, or the bytes of another protocol.
        let nothing_more = no_body_expected || !self.was_upgraded();
        self.recipient.idle(nothing_more, &mut self.source).await
    }

    /// What a client still sends although it has its answer whole keeps a backend's place for a moment only; then the backend
    /// sees that it is not whole, as behind Nginx.
    async fn last_pieces(&mut self, since: time::Instant) -> Result<Option<Bytes>> {
        tokio::select! {
            biased;
            () = sleep_until(since + LAST_PIECES) => Err(answered_early()),
            piece = self.next_piece() => piece,
        }
    }

    /// When the wait for the head of an answer ends.
    fn deadline(&mut self) -> Option<Deadline> {
        if !self.recipient.waits() {
            return None;
        }
        if self.complete.is_none() && self.is_body_done() {
            self.complete = Some(Instant::now());
        }
        self.patience.deadline(self.complete)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let Some(home) = self.recipient.go_home() else {
            return;
        };
        let unwanted = match self.home.take() {
            Some(sender) => sender.send(home).err(),
            None => Some(home),
        };
        // Nobody waits for it when the request itself was given up; then the connection ends with it.
        if let Some(Home::Away(away)) = unwanted {
            away.give_up();
        }
    }
}

#[async_trait]
impl Session for StandIn {
    async fn read_body_bytes(&mut self) -> Result<Option<Bytes>> {
        self.next_piece().await
    }

    async fn read_body_or_idle(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        let Some(deadline) = self.deadline() else {
            return self.piece_or_idle(no_body_expected).await;
        };
        tokio::select! {
            biased;
            piece = self.piece_or_idle(no_body_expected) => piece,
            () = sleep_until(deadline.at.into()) => Err(deadline.expired()),
        }
    }

    async fn drain_request_body(&mut self) -> Result<()> {
        match &mut self.source {
            Source::Replay(replay) | Source::ReplayToUpgrade(replay) => replay.free(),
            _ => self.recipient.here_mut()?.drain_request_body().await?,
        }
        Ok(())
    }

    fn is_body_done(&mut self) -> bool {
        match &self.source {
            Source::Replay(replay) => replay.is_sent(),
            Source::Upgrade { .. } if !self.was_upgraded() => !self.recipient.waits(),
            Source::ReplayToUpgrade(replay) if !self.was_upgraded() => replay.is_sent() && !self.recipient.waits(),
            _ => self.recipient.here_mut().map_or(true, |client| client.is_body_done()),
        }
    }

    fn is_body_empty(&mut self) -> bool {
        self.source.is_empty()
    }

    fn is_upgrade_req(&self) -> bool {
        self.recipient.here().is_some_and(ServerSession::is_upgrade_req)
    }

    fn was_upgraded(&self) -> bool {
        self.recipient.was_upgraded()
    }

    fn enable_retry_buffering(&mut self) {
        self.source.rewind();
        self.recipient.begin_anew();
        if let Some(patience) = self.recipient.progress().take_patience() {
            self.patience = patience;
            self.complete = self.complete.map(|_| Instant::now());
        }
    }

    fn retry_buffer_truncated(&self) -> bool {
        self.source.is_upload() && self.body_bytes_read() > 0
    }

    /// The body is read anew instead: it need not be one contiguous buffer.
    fn get_retry_buffer(&self) -> Option<Bytes> {
        None
    }

    async fn response_duplex_vec(&mut self, mut tasks: Vec<HttpTask>) -> Result<bool> {
        if self.req_header().version == Version::HTTP_10 {
            tasks.retain_mut(|task| self.recipient.is_for_http10(task));
        }
        self.recipient.take_all(tasks, &mut self.source).await
    }

    async fn write_response_header(&mut self, response: Box<ResponseHeader>, end: bool) -> Result<()> {
        self.recipient.here_mut()?.write_response_header(response).await?;
        if end { self.finish().await } else { Ok(()) }
    }

    async fn write_response_header_ref(&mut self, response: &ResponseHeader, end: bool) -> Result<()> {
        self.write_response_header(Box::new(response.clone()), end).await
    }

    async fn write_body(&mut self, data: Bytes, end: bool) -> Result<()> {
        self.recipient.here_mut()?.write_response_body(data, end).await
    }

    async fn write_trailers(&mut self, trailers: HeaderMap) -> Result<()> {
        self.recipient.here_mut()?.write_response_trailers(trailers).await
    }

    async fn finish(&mut self) -> Result<()> {
        self.recipient.finish().await
    }

    async fn shutdown(&mut self, _code: u32, _ctx: &str) {
        if let Ok(client) = self.recipient.here_mut() {
            client.shutdown().await;
        }
    }

    fn req_header(&self) -> &RequestHeader {
        self.recipient.req_header()
    }

    fn req_header_mut(&mut self) -> &mut RequestHeader {
        self.recipient.req_header_mut()
    }

    fn request_summary(&self) -> String {
        self.recipient
            .here()
            .map_or_else(String::new, ServerSession::request_summary)
    }

    fn pseudo_raw_h1_request_header(&self) -> Bytes {
        self.recipient.here().map_or_else(Bytes::new, ServerSession::to_h1_raw)
    }

    fn response_written(&self) -> Option<&ResponseHeader> {
        self.recipient.response_written()
    }

    /// What is under way is counted when it is there.
    fn body_bytes_sent(&self) -> usize {
        self.recipient.here().map_or(0, ServerSession::body_bytes_sent)
    }

    fn body_bytes_read(&self) -> usize {
        self.recipient.body_bytes_read()
    }

    fn digest(&self) -> Option<&Digest> {
        self.recipient.here()?.digest()
    }

    fn digest_mut(&mut self) -> Option<&mut Digest> {
        self.recipient.here_mut().ok()?.digest_mut()
    }

    fn client_addr(&self) -> Option<&SocketAddr> {
        self.recipient.here()?.client_addr()
    }

    fn server_addr(&self) -> Option<&SocketAddr> {
        self.recipient.here()?.server_addr()
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        if let Ok(client) = self.recipient.here_mut() {
            client.set_read_timeout(timeout);
        }
    }

    fn get_read_timeout(&self) -> Option<Duration> {
        self.recipient.here()?.get_read_timeout()
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        if let Ok(client) = self.recipient.here_mut() {
            client.set_write_timeout(timeout);
        }
    }

    fn get_write_timeout(&self) -> Option<Duration> {
        self.recipient.here()?.get_write_timeout()
    }

    fn set_total_drain_timeout(&mut self, timeout: Option<Duration>) {
        if let Ok(client) = self.recipient.here_mut() {
            client.set_total_drain_timeout(timeout);
        }
    }

    fn get_total_drain_timeout(&self) -> Option<Duration> {
        self.recipient.here()?.get_total_drain_timeout()
    }

    // What follows belongs to protocols other than HTTP.

    async fn finish_custom(&mut self) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_reader(&mut self) -> Option<CustomReader> {
        None
    }

    fn restore_custom_message_reader(&mut self, _reader: CustomReader) -> Result<()> {
        Error::e_explain(ErrorType::InternalError, "HTTP has no custom messages")
    }

    fn take_custom_message_writer(&mut self) -> Option<Box<dyn CustomMessageWrite>> {
        None
    }

    fn restore_custom_message_writer(&mut self, _writer: Box<dyn CustomMessageWrite>) -> Result<()> {
        Error::e_explain(ErrorType::InternalError, "HTTP has no custom messages")
    }
}

const LAST_PIECES: Duration = Duration::from_millis(100);

type CustomReader = Box<dyn Stream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>;
