//! A session that stands in for the client's once its body is held. Pingora asks it for the body as it would ask the
//! client, and before each attempt calls [`Session::enable_retry_buffering`]: there the body begins anew, whole, for the
//! next backend. All else goes on to the client's own session, which is put back at the end, so that its connection can
//! carry the next request.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;
use http::HeaderMap;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::Digest;
use pingora::protocols::http::custom::CustomMessageWrite;
use pingora::protocols::http::custom::server::Session;
use pingora::protocols::http::{HttpTask, ServerSession};
use pingora::protocols::l4::socket::SocketAddr;
use pingora::{Error, ErrorType, OrErr, Result};
use tokio::sync::oneshot;

use super::budget::Share;
use super::buffer::Body;

/// The way back to the client's own session.
pub struct Held {
    home: oneshot::Receiver<Box<ServerSession>>,
    length: u64,
}

impl Held {
    /// Bytes of the body.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Lets the body go and puts the client's own session back. To be called once no backend will be asked any more:
    /// before an answer of the proxy's own is written, and in `logging` at the latest.
    pub fn release(mut self, downstream: &mut Box<ServerSession>) {
        drop(std::mem::replace(downstream, nobody()));
        *downstream = self
            .home
            .try_recv()
            .expect("a replay sends its session home when it is dropped");
    }
}

/// Puts a replay of `body` in the place of `downstream`.
pub(super) fn swap(downstream: &mut Box<ServerSession>, body: Body, share: Share) -> Held {
    let (home, receiver) = oneshot::channel();
    let held = Held {
        home: receiver,
        length: body.length(),
    };
    let client = std::mem::replace(downstream, nobody());
    let replay = Replay {
        client: Some(client),
        body: Some((body, share)),
        next: 0,
        home: Some(home),
    };
    **downstream = ServerSession::new_custom(Box::new(replay));
    held
}

/// A session that must not be touched, only replaced.
fn nobody() -> Box<ServerSession> {
    Box::new(ServerSession::new_custom(Box::new(())))
}

struct Replay {
    /// There until the drop.
    client: Option<Box<ServerSession>>,
    /// There until nobody can ask for it again.
    body: Option<(Body, Share)>,
    /// Index of the piece to send next.
    next: usize,
    home: Option<oneshot::Sender<Box<ServerSession>>>,
}

impl Replay {
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

    fn is_sent(&self) -> bool {
        self.body.as_ref().is_none_or(|(body, _)| self.next >= body.pieces())
    }

    fn next_piece(&mut self) -> Result<Option<Bytes>> {
        if self.is_sent() {
            return Ok(None);
        }
        let Some((body, _)) = &self.body else { return Ok(None) };
        let piece = body
            .piece(self.next)
            .or_err(ErrorType::InternalError, "reading a held body")?;
        self.next += 1;
        Ok(Some(piece))
    }

    /// Frees the body when the client's answer has begun: from then on there is no other attempt.
    fn answered(&mut self, response: &ResponseHeader) {
        if !response.status.is_informational() && self.is_sent() {
            self.body = None;
        }
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        if let (Some(client), Some(home)) = (self.client.take(), self.home.take()) {
            // Nobody waits for it when the request itself was given up; then the connection ends with it.
            let _ = home.send(client);
        }
    }
}

#[async_trait]
impl Session for Replay {
    async fn read_body_bytes(&mut self) -> Result<Option<Bytes>> {
        self.next_piece()
    }

    async fn read_body_or_idle(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        // A piece is ready at once, so a caller that polls this among other things never loses one.
        if !no_body_expected && let Some(piece) = self.next_piece()? {
            return Ok(Some(piece));
        }
        self.client_mut().read_body_or_idle(true).await
    }

    async fn drain_request_body(&mut self) -> Result<()> {
        self.body = None;
        Ok(())
    }

    fn is_body_done(&mut self) -> bool {
        self.is_sent()
    }

    fn is_body_empty(&mut self) -> bool {
        false
    }

    fn enable_retry_buffering(&mut self) {
        self.next = 0;
    }

    fn retry_buffer_truncated(&self) -> bool {
        false
    }

    /// The body is read anew instead: it need not be one contiguous buffer.
    fn get_retry_buffer(&self) -> Option<Bytes> {
        None
    }

    async fn response_duplex_vec(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
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
        Error::e_explain(ErrorType::InternalError, "a replay has no custom messages")
    }

    fn take_custom_message_writer(&mut self) -> Option<Box<dyn CustomMessageWrite>> {
        None
    }

    fn restore_custom_message_writer(&mut self, _writer: Box<dyn CustomMessageWrite>) -> Result<()> {
        Error::e_explain(ErrorType::InternalError, "a replay has no custom messages")
    }
}

type CustomReader = Box<dyn Stream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>;
