//! One request of a client's HTTP/2 connection, as Pingora serves it. Pingora's own session for it tells no client of what
//! comes before an answer (103 Early Hints); this one does.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream as Messages;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderName, Response, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::Digest;
use pingora::protocols::http::HttpTask;
use pingora::protocols::http::custom::CustomMessageWrite;
use pingora::protocols::http::custom::server::Session;
use pingora::protocols::http::date::get_cached_date;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::{Error, ErrorType, OrErr, Result};

use crate::request::problem::X_REQUEST_ID;
use crate::request::syntax::plain_number;

pub struct Stream {
    request: RequestHeader,
    chunks: RecvStream,
    answer: SendResponse<Bytes>,
    /// Once the answer's head has gone out.
    body: Option<SendStream<Bytes>>,
    written: Option<Box<ResponseHeader>>,
    /// The answer's last frame is on its way.
    ended: bool,
    bytes_read: usize,
    bytes_sent: usize,
    digest: Arc<Digest>,
}

impl Stream {
    /// What means nothing has gone no further than HTTP/2's library: two lengths, a target with a space.
    pub fn new(request: http::Request<RecvStream>, answer: SendResponse<Bytes>, digest: &Arc<Digest>) -> Self {
        let (parts, chunks) = request.into_parts();
        Self {
            request: RequestHeader::from(parts),
            chunks,
            answer,
            body: None,
            written: None,
            ended: false,
            bytes_read: 0,
            bytes_sent: 0,
            digest: Arc::clone(digest),
        }
    }

    pub fn has_body(&self) -> bool {
        !self.is_empty()
    }

    /// Bytes.
    pub fn promised_length(&self) -> Option<u64> {
        plain_number(self.request.headers.get(header::CONTENT_LENGTH)?.as_bytes())
    }

    fn is_empty(&self) -> bool {
        let promised = self.request.headers.get(header::CONTENT_LENGTH);
        self.bytes_read == 0 && (self.chunks.is_end_stream() || promised.is_some_and(|length| length == "0"))
    }

    fn is_read(&self) -> bool {
        self.is_empty() || self.chunks.is_end_stream()
    }

    async fn read(&mut self) -> Result<Option<Bytes>> {
        let chunk = self.chunks.data().await.transpose();
        let chunk = chunk.or_err(ErrorType::ReadError, "reading a request's body")?;
        if let Some(chunk) = &chunk {
            self.bytes_read += chunk.len();
            // One that has ended takes no more.
            let _ = self.chunks.flow_control().release_capacity(chunk.len());
        }
        Ok(chunk)
    }

    /// Waits until the client gives the stream up.
    async fn given_up(&mut self) -> Result<Reason> {
        let reason = poll_fn(|cx| match &mut self.body {
            Some(body) => body.poll_reset(cx),
            None => self.answer.poll_reset(cx),
        });
        reason.await.or_err(ErrorType::H2Error, "waiting for the client")
    }

    fn begin(&mut self, mut head: Box<ResponseHeader>, end: bool) -> Result<()> {
        if self.ended || self.written.is_some() {
            return Ok(());
        }
        for name in [header::TRANSFER_ENCODING, header::CONNECTION, header::UPGRADE]
            .iter()
            .chain(&HOP_BY_HOP)
        {
            head.remove_header(name);
        }
        if head.status.is_informational() {
            let head = Response::from_parts(head.as_owned_parts(), ());
            let sent = self.answer.send_informational(head);
            return sent.or_err(ErrorType::WriteError, "announcing an answer");
        }
        head.insert_header(header::DATE, get_cached_date())?;
        let mut whole = Response::from_parts(head.as_owned_parts(), ());
        if let Some(id) = whole.headers_mut().get_mut(X_REQUEST_ID) {
            // Not for the table of what may come again: each would take the place of something that does.
            id.set_sensitive(true);
        }
        let body = self.answer.send_response(whole, end);
        self.body = Some(body.or_err(ErrorType::WriteError, "writing an answer's head")?);
        self.written = Some(head);
        self.ended = end;
        Ok(())
    }

    async fn write(&mut self, mut bytes: Bytes, end: bool) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        let Some(body) = &mut self.body else {
            return Error::e_explain(ErrorType::H2Error, "a body without a head");
        };
        self.bytes_sent += bytes.len();
        while !bytes.is_empty() {
            body.reserve_capacity(bytes.len());
            let room = poll_fn(|cx| body.poll_capacity(cx)).await.transpose();
            let room = room.or_err(ErrorType::H2Error, "waiting for the client to take more")?;
            let Some(room) = room else {
                return Error::e_explain(ErrorType::H2Error, "the client takes no more");
            };
            let piece = bytes.split_to(room.min(bytes.len()));
            let sent = body.send_data(piece, end && bytes.is_empty());
            sent.or_err(ErrorType::WriteError, "writing an answer's body")?;
            self.ended = end && bytes.is_empty();
        }
        if end { self.end() } else { Ok(()) }
    }

    fn end(&mut self) -> Result<()> {
        match &mut self.body {
            Some(body) if !self.ended => {
                let sent = body.send_data(Bytes::new(), true);
                sent.or_err(ErrorType::WriteError, "ending an answer")?;
                self.ended = true;
                Ok(())
            }
            // What has not begun is reset when this is dropped.
            _ => Ok(()),
        }
    }

    fn end_with(&mut self, trailers: HeaderMap) -> Result<()> {
        match &mut self.body {
            Some(body) if !self.ended => {
                let sent = body.send_trailers(trailers);
                sent.or_err(ErrorType::WriteError, "writing an answer's trailers")?;
                self.ended = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Takes a part of an answer. Says whether it was the last.
    async fn take(&mut self, task: HttpTask) -> Result<bool> {
        match task {
            HttpTask::Header(head, end) => self.begin(head, end).map(|()| end),
            HttpTask::Body(bytes, end) => self.write(bytes.unwrap_or_default(), end).await.map(|()| end),
            HttpTask::Trailer(Some(trailers)) => self.end_with(*trailers).map(|()| true),
            HttpTask::Trailer(None) | HttpTask::Done => Ok(true),
            HttpTask::UpgradedBody(..) => Error::e_explain(ErrorType::InternalError, "HTTP/2 has no upgrades"),
            HttpTask::Failed(error) => Err(error),
        }
    }
}

const HOP_BY_HOP: [HeaderName; 2] = [
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

#[async_trait]
impl Session for Stream {
    fn req_header(&self) -> &RequestHeader {
        &self.request
    }

    fn req_header_mut(&mut self) -> &mut RequestHeader {
        &mut self.request
    }

    async fn read_body_bytes(&mut self) -> Result<Option<Bytes>> {
        self.read().await
    }

    async fn read_body_or_idle(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        if !no_body_expected && !self.is_read() {
            return self.read().await;
        }
        let reason = self.given_up().await?;
        Error::e_explain(ErrorType::H2Error, format!("the client gave the stream up: {reason}"))
    }

    async fn drain_request_body(&mut self) -> Result<()> {
        while !self.is_read() && self.read().await?.is_some() {}
        Ok(())
    }

    fn is_body_done(&mut self) -> bool {
        self.is_read()
    }

    fn is_body_empty(&mut self) -> bool {
        self.is_empty()
    }

    async fn response_duplex_vec(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        let mut end = false;
        for task in tasks {
            end |= self.take(task).await.map_err(|error| error.into_down())?;
        }
        if end {
            self.end().map_err(|error| error.into_down())?;
        }
        Ok(end)
    }

    async fn write_response_header(&mut self, head: Box<ResponseHeader>, end: bool) -> Result<()> {
        self.begin(head, end)
    }

    async fn write_response_header_ref(&mut self, head: &ResponseHeader, end: bool) -> Result<()> {
        self.begin(Box::new(head.clone()), end)
    }

    async fn write_body(&mut self, bytes: Bytes, end: bool) -> Result<()> {
        self.write(bytes, end).await
    }

    async fn write_trailers(&mut self, trailers: HeaderMap) -> Result<()> {
        self.end_with(trailers)
    }

    async fn finish(&mut self) -> Result<()> {
        self.end()
    }

    async fn shutdown(&mut self, _code: u32, _ctx: &str) {
        if !self.ended {
            self.answer.send_reset(Reason::INTERNAL_ERROR);
        }
    }

    fn request_summary(&self) -> String {
        format!("{} {}", self.request.method, self.request.uri)
    }

    fn pseudo_raw_h1_request_header(&self) -> Bytes {
        Bytes::new()
    }

    fn response_written(&self) -> Option<&ResponseHeader> {
        self.written.as_deref()
    }

    fn body_bytes_sent(&self) -> usize {
        self.bytes_sent
    }

    fn body_bytes_read(&self) -> usize {
        self.bytes_read
    }

    fn digest(&self) -> Option<&Digest> {
        Some(&self.digest)
    }

    fn digest_mut(&mut self) -> Option<&mut Digest> {
        Arc::get_mut(&mut self.digest)
    }

    fn client_addr(&self) -> Option<&SocketAddr> {
        self.digest.socket_digest.as_ref()?.peer_addr()
    }

    fn server_addr(&self) -> Option<&SocketAddr> {
        self.digest.socket_digest.as_ref()?.local_addr()
    }

    // A request is sent again out of what stands in for this session, and all its waits are bounded there.

    fn enable_retry_buffering(&mut self) {}

    fn retry_buffer_truncated(&self) -> bool {
        self.bytes_read > 0
    }

    fn get_retry_buffer(&self) -> Option<Bytes> {
        None
    }

    fn set_read_timeout(&mut self, _: Option<Duration>) {}

    fn get_read_timeout(&self) -> Option<Duration> {
        None
    }

    fn set_write_timeout(&mut self, _: Option<Duration>) {}

    fn get_write_timeout(&self) -> Option<Duration> {
        None
    }

    fn set_total_drain_timeout(&mut self, _: Option<Duration>) {}

    fn get_total_drain_timeout(&self) -> Option<Duration> {
        None
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

type CustomReader = Box<dyn Messages<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>;
