//! A session that stands in for the client's while its request goes to backends. Pingora asks it for the body as it would
//! ask the client, and before each attempt calls [`Session::enable_retry_buffering`]: there a kept body begins anew. While
//! the head of an answer is waited for, Pingora waits here for the client too, so that this is where the wait ends when
//! somebody's patience does. All else goes on to the client's own session, which is put back at the end, so that its
//! connection can carry the next request.

use std::sync::Weak;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;
use http::header::TRANSFER_ENCODING;
use http::{HeaderMap, StatusCode, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::Digest;
use pingora::protocols::http::custom::CustomMessageWrite;
use pingora::protocols::http::custom::server::Session;
use pingora::protocols::http::{HttpTask, ServerSession};
use pingora::protocols::l4::socket::SocketAddr;
use pingora::{Error, ErrorType, Result};
use tokio::sync::oneshot;
use tokio::time::sleep_until;

use super::replay::{Replay, Whole};
use super::stream::Upload;
use crate::request::deadline::{Deadline, Patience};

/// The way back to the client's own session.
pub struct Taken {
    home: oneshot::Receiver<Box<ServerSession>>,
    /// The body itself, where it is kept: then it can be given to a further backend from its first byte.
    whole: Option<Weak<Whole>>,
}

impl Taken {
    /// The body itself, for as long as it may be sent again; none where there is no body, and of one that is given on
    /// while it arrives.
    pub fn whole(&self) -> Option<Weak<Whole>> {
        self.whole.clone()
    }

    /// Lets the body go and puts the client's own session back. To be called once no backend will be asked any more:
    /// before an answer of the proxy's own is written, and in `logging` at the latest.
    pub fn release(mut self, downstream: &mut Box<ServerSession>) {
        **downstream = ServerSession::new_custom(Box::new(()));
        *downstream = self
            .home
            .try_recv()
            .expect("a stand-in sends its session home when it is dropped");
    }
}

/// Puts a stand-in with this body in the place of `downstream`.
pub(super) fn swap(downstream: &mut Box<ServerSession>, source: Source, patience: Patience) -> Taken {
    let (home, receiver) = oneshot::channel();
    let taken = Taken {
        home: receiver,
        whole: match &source {
            Source::Replay(replay) => Some(replay.whole()),
            Source::Nothing | Source::Upgrade { .. } | Source::Upload(_) => None,
        },
    };
    let complete = match &source {
        Source::Nothing | Source::Upgrade { .. } | Source::Replay(_) => Some(Instant::now()),
        Source::Upload(_) => None,
    };
    // A session that must not be touched, only replaced.
    let nobody = Box::new(ServerSession::new_custom(Box::new(())));
    let client = std::mem::replace(downstream, nobody);
    let stand_in = StandIn {
        client: Some(client),
        source,
        patience: Some(patience),
        complete,
        home: Some(home),
    };
    **downstream = ServerSession::new_custom(Box::new(stand_in));
    taken
}

/// Where the body comes from.
pub(super) enum Source {
    /// There is none.
    Nothing,
    /// There is none, but the bytes of another protocol follow if the backend agrees. Its body has no end until then: an
    /// end that a backend's 101 overtakes would be taken for the end of that protocol (pingora#946).
    Upgrade {
        /// An attempt has begun that has yet to ask whether there is a body.
        begins: bool,
    },
    /// Out of memory, as often as needed.
    Replay(Replay),
    /// From the client, once, while it sends.
    Upload(Upload),
}

struct StandIn {
    /// There until the drop.
    client: Option<Box<ServerSession>>,
    source: Source,
    /// Until the head of an answer has come.
    patience: Option<Patience>,
    /// When the request had come in.
    complete: Option<Instant>,
    home: Option<oneshot::Sender<Box<ServerSession>>>,
}

impl StandIn {
    fn client(&self) -> &ServerSession {
        self.client
            .as_ref()
            .expect("the client's session is there until the drop")
    }

    fn client_mut(&mut self) -> &mut ServerSession {
        self.client
            .as_mut()
            .expect("the client's session is there until the drop")
    }

    async fn next_piece(&mut self) -> Result<Option<Bytes>> {
        let client = self
            .client
            .as_mut()
            .expect("the client's session is there until the drop");
        match &mut self.source {
            Source::Nothing | Source::Upgrade { .. } => client.read_request_body().await,
            Source::Replay(replay) => replay.next_piece(),
            Source::Upload(upload) => upload.next_piece(client).await,
        }
    }

    async fn piece_or_idle(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        // Whoever polls this among other things never loses a piece: one out of memory is ready at once, and one from
        // the client stays with it until it is.
        let has_body = matches!(self.source, Source::Replay(_) | Source::Upload(_));
        if has_body && !no_body_expected && !self.is_body_done() {
            return self.next_piece().await;
        }
        // What comes after the body, or in place of one: the client's leaving, or the bytes of another protocol.
        let nothing_more = no_body_expected || !self.was_upgraded();
        self.client_mut().read_body_or_idle(nothing_more).await
    }

    /// A client of HTTP/1.0 knows neither announcements of answers nor chunks: where an answer has no length, the
    /// connection's end is its end.
    fn is_for_http10(&mut self, task: &mut HttpTask) -> bool {
        let HttpTask::Header(response, _) = task else {
            return true;
        };
        if response.status.is_informational() {
            return false;
        }
        if response.remove_header(&TRANSFER_ENCODING).is_some() {
            self.client_mut().set_keepalive(None);
        }
        true
    }

    /// When the wait for the head of an answer ends.
    fn deadline(&mut self) -> Option<Deadline> {
        let patience = self.patience?;
        if self.complete.is_none() && self.is_body_done() {
            self.complete = Some(Instant::now());
        }
        patience.deadline(self.complete)
    }

    /// Ends the wait when the client's answer has begun, and frees a kept body: from then on there is no other attempt.
    fn answered(&mut self, response: &ResponseHeader) {
        if response.status.is_informational() && response.status != StatusCode::SWITCHING_PROTOCOLS {
            return;
        }
        self.patience = None;
        if let Source::Replay(replay) = &mut self.source {
            replay.answered();
        }
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        if let (Some(client), Some(home)) = (self.client.take(), self.home.take()) {
            // Nobody waits for it when the request itself was given up; then the connection ends with it.
            let _ = home.send(client);
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
            Source::Replay(replay) => replay.free(),
            _ => self.client_mut().drain_request_body().await?,
        }
        Ok(())
    }

    fn is_body_done(&mut self) -> bool {
        match &self.source {
            Source::Replay(replay) => replay.is_sent(),
            Source::Upgrade { .. } if !self.was_upgraded() => self.patience.is_none(),
            _ => self.client_mut().is_body_done(),
        }
    }

    /// Asked before the request's head is written, which has to tell of a body, and once more when an attempt has begun.
    fn is_body_empty(&mut self) -> bool {
        match &mut self.source {
            Source::Nothing => true,
            Source::Upgrade { begins } => !std::mem::take(begins),
            Source::Replay(_) | Source::Upload(_) => false,
        }
    }

    fn is_upgrade_req(&self) -> bool {
        self.client().is_upgrade_req()
    }

    fn was_upgraded(&self) -> bool {
        self.client().was_upgraded()
    }

    fn enable_retry_buffering(&mut self) {
        match &mut self.source {
            Source::Replay(replay) => replay.rewind(),
            Source::Upgrade { begins } => *begins = true,
            Source::Nothing | Source::Upload(_) => {}
        }
    }

    fn retry_buffer_truncated(&self) -> bool {
        matches!(self.source, Source::Upload(_)) && self.client().body_bytes_read() > 0
    }

    /// The body is read anew instead: it need not be one contiguous buffer.
    fn get_retry_buffer(&self) -> Option<Bytes> {
        None
    }

    async fn response_duplex_vec(&mut self, mut tasks: Vec<HttpTask>) -> Result<bool> {
        if self.req_header().version == Version::HTTP_10 {
            tasks.retain_mut(|task| self.is_for_http10(task));
            if tasks.is_empty() {
                return Ok(false);
            }
        }
        for task in &tasks {
            if let HttpTask::Header(response, _) = task {
                self.answered(response);
            }
        }
        self.client_mut().response_duplex_vec(tasks).await
    }

    async fn write_response_header(&mut self, response: Box<ResponseHeader>, end: bool) -> Result<()> {
        self.answered(&response);
        self.client_mut().write_response_header(response).await?;
        if end {
            self.client_mut().finish_body().await
        } else {
            Ok(())
        }
    }

    async fn write_response_header_ref(&mut self, response: &ResponseHeader, end: bool) -> Result<()> {
        self.write_response_header(Box::new(response.clone()), end).await
    }

    async fn write_body(&mut self, data: Bytes, end: bool) -> Result<()> {
        self.client_mut().write_response_body(data, end).await
    }

    async fn write_trailers(&mut self, trailers: HeaderMap) -> Result<()> {
        self.client_mut().write_response_trailers(trailers).await
    }

    async fn finish(&mut self) -> Result<()> {
        self.client_mut().finish_body().await
    }

    async fn shutdown(&mut self, _code: u32, _ctx: &str) {
        self.client_mut().shutdown().await;
    }

    fn req_header(&self) -> &RequestHeader {
        self.client().req_header()
    }

    fn req_header_mut(&mut self) -> &mut RequestHeader {
        self.client_mut().req_header_mut()
    }

    fn request_summary(&self) -> String {
        self.client().request_summary()
    }

    fn pseudo_raw_h1_request_header(&self) -> Bytes {
        self.client().to_h1_raw()
    }

    fn response_written(&self) -> Option<&ResponseHeader> {
        self.client().response_written()
    }

    fn body_bytes_sent(&self) -> usize {
        self.client().body_bytes_sent()
    }

    fn body_bytes_read(&self) -> usize {
        self.client().body_bytes_read()
    }

    fn digest(&self) -> Option<&Digest> {
        self.client().digest()
    }

    fn digest_mut(&mut self) -> Option<&mut Digest> {
        self.client_mut().digest_mut()
    }

    fn client_addr(&self) -> Option<&SocketAddr> {
        self.client().client_addr()
    }

    fn server_addr(&self) -> Option<&SocketAddr> {
        self.client().server_addr()
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.client_mut().set_read_timeout(timeout);
    }

    fn get_read_timeout(&self) -> Option<Duration> {
        self.client().get_read_timeout()
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.client_mut().set_write_timeout(timeout);
    }

    fn get_write_timeout(&self) -> Option<Duration> {
        self.client().get_write_timeout()
    }

    fn set_total_drain_timeout(&mut self, timeout: Option<Duration>) {
        self.client_mut().set_total_drain_timeout(timeout);
    }

    fn get_total_drain_timeout(&self) -> Option<Duration> {
        self.client().get_total_drain_timeout()
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

type CustomReader = Box<dyn Stream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>;
