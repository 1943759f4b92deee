//! A session that stands in for the client's while its request goes to backends. Pingora asks it for the body as it would
//! ask the client, and before each attempt calls [`Session::enable_retry_buffering`]: there a kept body begins anew. While
//! the head of an answer is waited for, Pingora waits here for the client too, so that this is where the wait ends when
//! somebody's patience does. Pingora gives it the answer as it would give it to the client: here it is kept, so that it can
//! be had from another backend as long as the client has seen nothing of it, and so that the client takes it at its own
//! pace. The client's own session is put back at the end, so that its connection can carry the next request.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;
use http::header::TRANSFER_ENCODING;
use http::{HeaderMap, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::Digest;
use pingora::protocols::http::custom::CustomMessageWrite;
use pingora::protocols::http::custom::server::Session;
use pingora::protocols::http::{HttpTask, ServerSession};
use pingora::protocols::l4::socket::SocketAddr;
use pingora::{Error, ErrorType, OrErr, Result};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep_until, timeout};

use super::answer::{Ending, Flow, Held, Keeping, Outlet, deliver};
use super::config::Buffering;
use super::replay::{Replay, Whole};
use super::stream::Upload;
use crate::request::deadline::{Deadline, Patience};

/// The way back to the client's own session.
pub struct Taken {
    home: oneshot::Receiver<Home>,
    /// The body itself, where it is kept: then it can be given to a further backend from its first byte.
    whole: Option<Weak<Whole>>,
    holds_answer: Arc<AtomicBool>,
}

/// What a stand-in leaves behind.
enum Home {
    Here(Box<ServerSession>),
    /// With an answer that is held back.
    Holding(Box<ServerSession>, Box<Held>),
    /// With an answer that went to it as it came.
    Passing(Box<ServerSession>, Outlet),
    Away(Box<Away>),
}

impl Taken {
    /// The body itself, for as long as it may be sent again; none where there is no body, and of one that is given on
    /// while it arrives.
    pub fn whole(&self) -> Option<Weak<Whole>> {
        self.whole.clone()
    }

    /// Whether an answer has begun of which the client has seen nothing.
    pub fn holds_answer(&self) -> bool {
        self.holds_answer.load(Ordering::Relaxed)
    }

    /// Lets body and answer go and puts the client's own session back. To be called before an answer of the proxy's own
    /// is written.
    pub async fn release(self, downstream: &mut Box<ServerSession>) {
        *downstream = match self.take_home(downstream) {
            Home::Here(client) | Home::Holding(client, _) | Home::Passing(client, _) => client,
            Home::Away(away) => {
                away.flow.end(Ending::Broken);
                away.come_home().await.0
            }
        };
    }

    /// Gives the client what it has yet to get of its answer, and puts its own session back. To be called once no
    /// backend will be asked any more; `broken` says that the answer broke off: the client gets what came of it, and can
    /// tell that it is not whole.
    ///
    /// # Errors
    /// The client left, or is too slow.
    pub async fn deliver(self, downstream: &mut Box<ServerSession>, broken: bool) -> Result<()> {
        let (mut client, delivered) = match self.take_home(downstream) {
            Home::Holding(mut client, held) => {
                held.flow.end(if broken { Ending::Broken } else { Ending::Whole });
                let delivered = deliver(&mut client, held.head, held.is_bare, &held.flow).await;
                (client, delivered)
            }
            Home::Passing(client, outlet) => {
                if broken {
                    outlet.has_left().await;
                }
                (client, Ok(()))
            }
            Home::Here(client) => (client, Ok(())),
            Home::Away(away) => {
                away.flow.end(if broken { Ending::Broken } else { Ending::Whole });
                away.come_home().await
            }
        };
        let begun = client
            .response_written()
            .is_some_and(|head| !head.status.is_informational());
        if begun && (broken || delivered.is_err()) {
            cut_off(&mut client).await;
            *downstream = nobody();
            let answer = Answer::CutOff;
            **downstream = ServerSession::new_custom(Box::new(StandIn::new(client, Source::Nothing, answer)));
            return if broken { Ok(()) } else { delivered };
        }
        *downstream = client;
        delivered
    }

    fn take_home(mut self, downstream: &mut Box<ServerSession>) -> Home {
        drop(std::mem::replace(downstream, nobody()));
        self.home
            .try_recv()
            .expect("a stand-in sends its session home when it is dropped")
    }
}

/// Lets the client know that its answer ends amid itself: on HTTP/2 by a reset of the stream, on HTTP/1 by the end of the
/// connection, without the last chunk or the length that was promised.
async fn cut_off(client: &mut ServerSession) {
    // It may take nothing any more; either way it had its chance.
    let _ = timeout(CLOSING, client.shutdown()).await;
}

const CLOSING: Duration = Duration::from_secs(5);

/// Puts a stand-in with this body in the place of `downstream`.
pub(super) fn swap(downstream: &mut Box<ServerSession>, source: Source, keeping: Keeping, patience: Patience) -> Taken {
    let (home, receiver) = oneshot::channel();
    let client = std::mem::replace(downstream, nobody());
    let mut stand_in = StandIn::new(client, source, Answer::Awaited(keeping));
    stand_in.patience = patience;
    stand_in.home = Some(home);
    let taken = Taken {
        home: receiver,
        whole: match &stand_in.source {
            Source::Replay(replay) => Some(replay.whole()),
            Source::Nothing | Source::Upgrade { .. } | Source::Upload(_) => None,
        },
        holds_answer: Arc::clone(&stand_in.holds_answer),
    };
    **downstream = ServerSession::new_custom(Box::new(stand_in));
    taken
}

/// A session that must not be touched, only replaced.
fn nobody() -> Box<ServerSession> {
    Box::new(ServerSession::new_custom(Box::new(())))
}

/// Where the request's body comes from.
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
    client: Client,
    source: Source,
    answer: Answer,
    holds_answer: Arc<AtomicBool>,
    /// Until the head of an answer has come.
    patience: Patience,
    /// When the request had come in.
    complete: Option<Instant>,
    home: Option<oneshot::Sender<Home>>,
}

enum Client {
    Here(Box<ServerSession>),
    /// With a task that gives it its answer.
    Away(Box<Away>),
    /// After the drop.
    Gone,
}

enum Answer {
    /// Its head has not come.
    Awaited(Keeping),
    /// The client has seen nothing of it.
    Held(Box<Held>),
    /// It goes to the client apart from what comes of it.
    Flowing,
    /// It goes to the client as it comes.
    Passing(Outlet),
    /// It broke off, and so does what the client gets.
    CutOff,
}

/// A client that is being given its answer, and what is asked of its session meanwhile.
struct Away {
    flow: Arc<Flow>,
    delivery: JoinHandle<(Box<ServerSession>, Result<()>)>,
    request: RequestHeader,
    response: ResponseHeader,
    bytes_read: usize,
}

impl Away {
    async fn come_home(self: Box<Self>) -> (Box<ServerSession>, Result<()>) {
        match self.delivery.await {
            Ok(home) => home,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

impl StandIn {
    fn new(client: Box<ServerSession>, source: Source, answer: Answer) -> Self {
        let complete = match &source {
            Source::Nothing | Source::Upgrade { .. } | Source::Replay(_) => Some(Instant::now()),
            Source::Upload(_) => None,
        };
        Self {
            complete,
            patience: Patience::default(),
            client: Client::Here(client),
            source,
            answer,
            holds_answer: Arc::default(),
            home: None,
        }
    }

    fn here(&self) -> Option<&ServerSession> {
        match &self.client {
            Client::Here(client) => Some(client),
            Client::Away(_) | Client::Gone => None,
        }
    }

    /// # Errors
    /// The client is being given its answer.
    fn here_mut(&mut self) -> Result<&mut ServerSession> {
        match &mut self.client {
            Client::Here(client) => Ok(client),
            Client::Away(_) | Client::Gone => {
                Error::e_explain(ErrorType::InternalError, "the client is being given its answer")
            }
        }
    }

    async fn next_piece(&mut self) -> Result<Option<Bytes>> {
        let Client::Here(client) = &mut self.client else {
            return Ok(None);
        };
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
        self.idle(nothing_more).await
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
        if response.remove_header(&TRANSFER_ENCODING).is_some()
            && let Client::Here(client) = &mut self.client
        {
            client.set_keepalive(None);
        }
        true
    }

    /// When the wait for the head of an answer ends.
    fn deadline(&mut self) -> Option<Deadline> {
        if !matches!(self.answer, Answer::Awaited(_)) {
            return None;
        }
        if self.complete.is_none() && self.is_body_done() {
            self.complete = Some(Instant::now());
        }
        self.patience.deadline(self.complete)
    }

    /// Waits for the client, and for the moment from which on it gets its answer as it comes.
    async fn idle(&mut self, nothing_more: bool) -> Result<Option<Bytes>> {
        loop {
            let until = match &self.answer {
                Answer::Held(held) => Some(held.until),
                _ => None,
            };
            match (&mut self.client, until) {
                (Client::Here(client), None) => return client.read_body_or_idle(nothing_more).await,
                (Client::Here(client), Some(until)) => tokio::select! {
                    biased;
                    left = client.read_body_or_idle(nothing_more) => return left,
                    () = sleep_until(until) => self.let_flow(),
                },
                (Client::Away(away), _) => {
                    away.flow.left().await;
                    return Err(client_left());
                }
                (Client::Gone, _) => return Ok(None),
            }
        }
    }

    /// The answer's final head has come.
    fn begin(&mut self, head: Box<ResponseHeader>, is_bare: bool) -> Option<Box<ResponseHeader>> {
        let (Answer::Awaited(keeping), Client::Here(client)) = (&self.answer, &self.client) else {
            return Some(head);
        };
        // A body that still comes from the client needs its session.
        let passes = keeping.limits.buffering == Buffering::Off || matches!(self.source, Source::Upload(_));
        if passes || Held::is_barred(&head) {
            self.answer = Answer::Passing(Outlet::new(client, &keeping.limits));
            self.begun();
            return Some(head);
        }
        self.answer = Answer::Held(Box::new(Held::new(head, is_bare, keeping.clone())));
        self.holds_answer.store(true, Ordering::Relaxed);
        None
    }

    /// The client sees its answer: there is no other attempt, and the request's body is needed no longer.
    fn begun(&mut self) {
        self.holds_answer.store(false, Ordering::Relaxed);
        if let Source::Replay(replay) = &mut self.source {
            replay.answered();
        }
    }

    /// Ceases to hold the answer back.
    fn let_flow(&mut self) {
        let held = match std::mem::replace(&mut self.answer, Answer::Flowing) {
            Answer::Held(held) => held,
            other => {
                self.answer = other;
                return;
            }
        };
        let mut client = match std::mem::replace(&mut self.client, Client::Gone) {
            Client::Here(client) => client,
            other => {
                self.client = other;
                return;
            }
        };
        let Held {
            head, is_bare, flow, ..
        } = *held;
        let flow = Arc::new(flow);
        let away = Away {
            flow: Arc::clone(&flow),
            request: client.req_header().clone(),
            response: (*head).clone(),
            bytes_read: client.body_bytes_read(),
            delivery: tokio::spawn(async move {
                let delivered = deliver(&mut client, head, is_bare, &flow).await;
                flow.leave();
                (client, delivered)
            }),
        };
        self.client = Client::Away(Box::new(away));
        self.begun();
    }

    /// Takes one part of an answer. Says whether it was the last.
    async fn take(&mut self, task: HttpTask) -> Result<bool> {
        let task = match task {
            HttpTask::Header(head, _) if head.status.is_informational() && head.status != 101 => {
                let task = HttpTask::Header(head, false);
                return match &self.answer {
                    Answer::Awaited(_) => self.here_mut()?.response_duplex_vec(vec![task]).await,
                    _ => Ok(false),
                };
            }
            HttpTask::Header(head, end) => match self.begin(head, end) {
                Some(head) => HttpTask::Header(head, end),
                None => return Ok(end),
            },
            task => task,
        };
        if let HttpTask::Failed(error) = task {
            return Err(error);
        }
        let end = task.is_end();
        match &mut self.answer {
            Answer::Passing(outlet) => {
                if let Client::Here(client) = &mut self.client {
                    outlet.pass(client, task).await?;
                }
                Ok(end)
            }
            Answer::Held(..) | Answer::Flowing => self.keep(task).await,
            Answer::Awaited(_) | Answer::CutOff => {
                Error::e_explain(ErrorType::InternalError, "a part of an answer without its head")
            }
        }
    }

    /// Keeps a part of an answer for its client.
    async fn keep(&mut self, task: HttpTask) -> Result<bool> {
        let end = task.is_end();
        let (piece, ending) = match task {
            HttpTask::Body(piece, end) => (piece, end.then_some(Ending::Whole)),
            HttpTask::Trailer(Some(trailers)) => (None, Some(Ending::Trailers(trailers))),
            _ => (None, Some(Ending::Whole)),
        };
        let Some(flow) = self.flow() else {
            return Ok(end);
        };
        let mut has_room = true;
        if let Some(piece) = piece.filter(|piece| !piece.is_empty()) {
            let kept = flow.push(piece);
            has_room = kept.or_err(ErrorType::InternalError, "keeping an answer")?;
        }
        if let Some(ending) = ending {
            flow.end(ending);
            return Ok(true);
        }
        if let Answer::Held(held) = &self.answer
            && (!has_room || held.is_due())
        {
            self.let_flow();
        }
        match &self.client {
            Client::Away(away) if !has_room && !away.flow.room().await => Err(client_left()),
            _ => Ok(end),
        }
    }

    fn flow(&self) -> Option<&Flow> {
        match (&self.answer, &self.client) {
            (Answer::Held(held), _) => Some(&held.flow),
            (_, Client::Away(away)) => Some(&away.flow),
            _ => None,
        }
    }
}

fn client_left() -> Box<Error> {
    Error::explain(ErrorType::ConnectionClosed, "the client left amid its answer").into_down()
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let answer = std::mem::replace(&mut self.answer, Answer::CutOff);
        let home = match (std::mem::replace(&mut self.client, Client::Gone), answer) {
            (Client::Here(client), Answer::Held(held)) => Home::Holding(client, held),
            (Client::Here(client), Answer::Passing(outlet)) => Home::Passing(client, outlet),
            (Client::Here(client), _) => Home::Here(client),
            (Client::Away(away), _) => Home::Away(away),
            (Client::Gone, _) => return,
        };
        let unwanted = match self.home.take() {
            Some(sender) => sender.send(home).err(),
            None => Some(home),
        };
        // Nobody waits for it when the request itself was given up; then the connection ends with it.
        if let Some(Home::Away(away)) = unwanted {
            away.delivery.abort();
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
            _ => self.here_mut()?.drain_request_body().await?,
        }
        Ok(())
    }

    fn is_body_done(&mut self) -> bool {
        match &self.source {
            Source::Replay(replay) => replay.is_sent(),
            Source::Upgrade { .. } if !self.was_upgraded() => !matches!(self.answer, Answer::Awaited(_)),
            _ => self.here_mut().map_or(true, |client| client.is_body_done()),
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
        self.here().is_some_and(ServerSession::is_upgrade_req)
    }

    fn was_upgraded(&self) -> bool {
        self.here().is_some_and(ServerSession::was_upgraded)
    }

    fn enable_retry_buffering(&mut self) {
        match &mut self.source {
            Source::Replay(replay) => replay.rewind(),
            Source::Upgrade { begins } => *begins = true,
            Source::Nothing | Source::Upload(_) => {}
        }
        // What came of an answer before was not whole.
        self.answer = match std::mem::replace(&mut self.answer, Answer::CutOff) {
            Answer::Held(held) => Answer::Awaited(held.flow.keeping()),
            other => other,
        };
        self.holds_answer.store(false, Ordering::Relaxed);
    }

    fn retry_buffer_truncated(&self) -> bool {
        matches!(self.source, Source::Upload(_)) && self.body_bytes_read() > 0
    }

    /// The body is read anew instead: it need not be one contiguous buffer.
    fn get_retry_buffer(&self) -> Option<Bytes> {
        None
    }

    async fn response_duplex_vec(&mut self, mut tasks: Vec<HttpTask>) -> Result<bool> {
        if self.req_header().version == Version::HTTP_10 {
            tasks.retain_mut(|task| self.is_for_http10(task));
        }
        let mut end = false;
        for task in tasks {
            end |= self.take(task).await?;
        }
        if let (Answer::Passing(outlet), Client::Here(client), false) = (&mut self.answer, &mut self.client, end) {
            outlet.flush(client).await?;
        }
        Ok(end)
    }

    async fn write_response_header(&mut self, response: Box<ResponseHeader>, end: bool) -> Result<()> {
        self.here_mut()?.write_response_header(response).await?;
        if end { self.finish().await } else { Ok(()) }
    }

    async fn write_response_header_ref(&mut self, response: &ResponseHeader, end: bool) -> Result<()> {
        self.write_response_header(Box::new(response.clone()), end).await
    }

    async fn write_body(&mut self, data: Bytes, end: bool) -> Result<()> {
        self.here_mut()?.write_response_body(data, end).await
    }

    async fn write_trailers(&mut self, trailers: HeaderMap) -> Result<()> {
        self.here_mut()?.write_response_trailers(trailers).await
    }

    async fn finish(&mut self) -> Result<()> {
        match &self.answer {
            Answer::Held(..) | Answer::Flowing => Ok(()),
            Answer::CutOff => Error::e_explain(ErrorType::ConnectionClosed, "the answer broke off"),
            Answer::Awaited(_) | Answer::Passing(_) => self.here_mut()?.finish_body().await,
        }
    }

    async fn shutdown(&mut self, _code: u32, _ctx: &str) {
        if let Client::Here(client) = &mut self.client {
            client.shutdown().await;
        }
    }

    fn req_header(&self) -> &RequestHeader {
        match &self.client {
            Client::Here(client) => client.req_header(),
            Client::Away(away) => &away.request,
            Client::Gone => unreachable!("nobody asks what is being dropped"),
        }
    }

    fn req_header_mut(&mut self) -> &mut RequestHeader {
        match &mut self.client {
            Client::Here(client) => client.req_header_mut(),
            Client::Away(away) => &mut away.request,
            Client::Gone => unreachable!("nobody asks what is being dropped"),
        }
    }

    fn request_summary(&self) -> String {
        self.here().map_or_else(String::new, ServerSession::request_summary)
    }

    fn pseudo_raw_h1_request_header(&self) -> Bytes {
        self.here().map_or_else(Bytes::new, ServerSession::to_h1_raw)
    }

    fn response_written(&self) -> Option<&ResponseHeader> {
        match &self.client {
            Client::Away(away) => Some(&away.response),
            _ => self.here()?.response_written(),
        }
    }

    /// What is under way is counted when it is there.
    fn body_bytes_sent(&self) -> usize {
        self.here().map_or(0, ServerSession::body_bytes_sent)
    }

    fn body_bytes_read(&self) -> usize {
        match &self.client {
            Client::Away(away) => away.bytes_read,
            _ => self.here().map_or(0, ServerSession::body_bytes_read),
        }
    }

    fn digest(&self) -> Option<&Digest> {
        self.here()?.digest()
    }

    fn digest_mut(&mut self) -> Option<&mut Digest> {
        self.here_mut().ok()?.digest_mut()
    }

    fn client_addr(&self) -> Option<&SocketAddr> {
        self.here()?.client_addr()
    }

    fn server_addr(&self) -> Option<&SocketAddr> {
        self.here()?.server_addr()
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        if let Client::Here(client) = &mut self.client {
            client.set_read_timeout(timeout);
        }
    }

    fn get_read_timeout(&self) -> Option<Duration> {
        self.here()?.get_read_timeout()
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        if let Client::Here(client) = &mut self.client {
            client.set_write_timeout(timeout);
        }
    }

    fn get_write_timeout(&self) -> Option<Duration> {
        self.here()?.get_write_timeout()
    }

    fn set_total_drain_timeout(&mut self, timeout: Option<Duration>) {
        if let Client::Here(client) = &mut self.client {
            client.set_total_drain_timeout(timeout);
        }
    }

    fn get_total_drain_timeout(&self) -> Option<Duration> {
        self.here()?.get_total_drain_timeout()
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
