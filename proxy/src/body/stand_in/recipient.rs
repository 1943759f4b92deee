//! The client behind a stand-in, and how far its answer has come.

use std::future::pending;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{TE, TRANSFER_ENCODING};
use http::{HeaderMap, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::{HttpTask, ServerSession};
use pingora::{Error, ErrorType, OrErr, Result};
use tokio::time::{Instant, sleep_until};

use super::away::Away;
use super::source::Source;
use crate::body::answer::{Ending, Flow, Held, Keeping, Outlet, Progress, Room, deliver};
use crate::body::config::Buffering;
use crate::body::protocol::is_http2;
use crate::request::syntax::lists;

/// The client and what it gets.
pub(super) struct Recipient {
    client: Client,
    answer: Answer,
    /// The client has got, or will get, another body than the backend's, of which no part goes on.
    is_replaced: bool,
    /// When a client whose answer went to it as it came had all of it.
    pub had_all: Option<Instant>,
    progress: Arc<Progress>,
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

/// What a stand-in leaves behind.
pub(super) enum Home {
    Here(Box<ServerSession>),
    /// With an answer that is held back.
    Holding(Box<ServerSession>, Box<Held>),
    /// With an answer that went to it as it came.
    Passing(Box<ServerSession>, Outlet),
    Away(Box<Away>),
}

impl Recipient {
    /// A client that waits for its answer.
    pub fn new(client: Box<ServerSession>, keeping: Keeping) -> Self {
        Self::with(client, Answer::Awaited(keeping))
    }

    /// A client whose answer has broken off.
    pub fn cut_off(client: Box<ServerSession>) -> Self {
        Self::with(client, Answer::CutOff)
    }

    fn with(client: Box<ServerSession>, answer: Answer) -> Self {
        Self {
            progress: Progress::new(is_http2(&client)),
            client: Client::Here(client),
            answer,
            is_replaced: false,
            had_all: None,
        }
    }

    /// What is known of its answer.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Whether the head of its answer has yet to come.
    pub fn waits(&self) -> bool {
        matches!(self.answer, Answer::Awaited(_))
    }

    pub fn here(&self) -> Option<&ServerSession> {
        match &self.client {
            Client::Here(client) => Some(client),
            Client::Away(_) | Client::Gone => None,
        }
    }

    /// # Errors
    /// The client is being given its answer.
    pub fn here_mut(&mut self) -> Result<&mut ServerSession> {
        match &mut self.client {
            Client::Here(client) => Ok(client),
            Client::Away(_) | Client::Gone => {
                Error::e_explain(ErrorType::InternalError, "the client is being given its answer")
            }
        }
    }

    pub fn was_upgraded(&self) -> bool {
        self.here().is_some_and(ServerSession::was_upgraded)
    }

    pub fn req_header(&self) -> &RequestHeader {
        match &self.client {
            Client::Here(client) => client.req_header(),
            Client::Away(away) => &away.request,
            Client::Gone => unreachable!("nobody asks what is being dropped"),
        }
    }

    pub fn req_header_mut(&mut self) -> &mut RequestHeader {
        match &mut self.client {
            Client::Here(client) => client.req_header_mut(),
            Client::Away(away) => &mut away.request,
            Client::Gone => unreachable!("nobody asks what is being dropped"),
        }
    }

    pub fn response_written(&self) -> Option<&ResponseHeader> {
        match &self.client {
            Client::Away(away) => Some(&away.response),
            _ => self.here()?.response_written(),
        }
    }

    pub fn body_bytes_read(&self) -> usize {
        match &self.client {
            Client::Away(away) => away.bytes_read,
            _ => self.here().map_or(0, ServerSession::body_bytes_read),
        }
    }

    /// Another attempt begins: what came of an answer before was not whole.
    pub fn begin_anew(&mut self) {
        self.answer = match std::mem::replace(&mut self.answer, Answer::CutOff) {
            Answer::Held(held) => Answer::Awaited(held.flow.keeping()),
            other => other,
        };
        self.is_replaced = false;
        self.progress.begin_anew();
    }

    /// Takes parts of an answer. Says whether the last was among them.
    pub async fn take_all(&mut self, tasks: Vec<HttpTask>, source: &mut Source) -> Result<bool> {
        let mut end = false;
        for task in tasks {
            let trailers = if task.is_end() { self.trailers() } else { None };
            end |= match trailers {
                Some(trailers) => self.take_last(task, trailers, source).await?,
                None => self.take(task, source).await?,
            };
        }
        if let (Answer::Passing(outlet), Client::Here(client), false) = (&mut self.answer, &mut self.client, end) {
            Box::pin(outlet.flush(client)).await?;
        }
        Ok(end)
    }

    pub async fn finish(&mut self) -> Result<()> {
        match &self.answer {
            Answer::Held(..) | Answer::Flowing => Ok(()),
            Answer::CutOff => Error::e_explain(ErrorType::ConnectionClosed, "the answer broke off"),
            Answer::Awaited(_) | Answer::Passing(_) => self.here_mut()?.finish_body().await,
        }
    }

    /// What is left when the stand-in is dropped.
    pub fn go_home(&mut self) -> Option<Home> {
        let answer = std::mem::replace(&mut self.answer, Answer::CutOff);
        Some(match (std::mem::replace(&mut self.client, Client::Gone), answer) {
            (Client::Here(client), Answer::Held(held)) => Home::Holding(client, held),
            (Client::Here(client), Answer::Passing(outlet)) => Home::Passing(client, outlet),
            (Client::Here(client), _) => Home::Here(client),
            (Client::Away(away), _) => Home::Away(away),
            (Client::Gone, _) => return None,
        })
    }

    /// A client of HTTP/1.0 knows neither announcements of answers nor chunks: where an answer has no length, the
    /// connection's end is its end.
    pub fn is_for_http10(&mut self, task: &mut HttpTask) -> bool {
        let HttpTask::Header(response, _) = task else {
            return true;
        };
        if response.status.is_informational() {
            return false;
        }
        let was_chunked = response.remove_header(&TRANSFER_ENCODING).is_some();
        if was_chunked && let Client::Here(client) = &mut self.client {
            client.set_keepalive(None);
        }
        self.progress.leave_open(was_chunked);
        true
    }

    /// Waits for the client, and for the moment from which on it gets its answer as it comes.
    pub async fn idle(&mut self, nothing_more: bool, source: &mut Source) -> Result<Option<Bytes>> {
        loop {
            let until = match &self.answer {
                Answer::Held(held) => Some(held.until),
                _ => None,
            };
            match (&mut self.client, until) {
                (Client::Here(client), None) => {
                    let more = client.read_body_or_idle(nothing_more).await;
                    return match (&more, &self.answer) {
                        // Nobody hears of it: the answer's own time goes on.
                        (Err(_), Answer::Awaited(keeping)) if keeping.limits.outlast_client => pending().await,
                        _ => more,
                    };
                }
                (Client::Here(client), Some(until)) => tokio::select! {
                    biased;
                    left = client.read_body_or_idle(nothing_more) => return left,
                    () = sleep_until(until) => self.let_flow(source),
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
    fn begin(&mut self, head: Box<ResponseHeader>, is_bare: bool, source: &mut Source) -> Option<Box<ResponseHeader>> {
        let (Answer::Awaited(keeping), Client::Here(client)) = (&self.answer, &mut self.client) else {
            return Some(head);
        };
        if self.progress.ends_connection() {
            client.set_keepalive(None);
        }
        // A body that still comes from the client needs its session.
        let passes = keeping.limits.buffering == Buffering::Off || source.is_upload();
        if passes || Held::is_barred(&head) {
            self.answer = Answer::Passing(Outlet::new(client, &keeping.limits));
            self.begun(source);
            return Some(head);
        }
        self.answer = Answer::Held(Box::new(Held::new(head, is_bare, keeping.clone())));
        self.progress.hold(true);
        None
    }

    /// The client sees its answer: there is no other attempt, and the request's body is needed no longer.
    fn begun(&mut self, source: &mut Source) {
        self.progress.hold(false);
        source.answered();
    }

    /// Ceases to hold the answer back.
    fn let_flow(&mut self, source: &mut Source) {
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
        self.begun(source);
    }

    /// Takes one part of an answer. Says whether it was the last.
    async fn take(&mut self, task: HttpTask, source: &mut Source) -> Result<bool> {
        let task = match task {
            HttpTask::Header(head, _) if head.status.is_informational() && head.status != 101 => {
                let task = HttpTask::Header(head, false);
                return match &self.answer {
                    Answer::Awaited(_) => self.here_mut()?.response_duplex_vec(vec![task]).await,
                    _ => Ok(false),
                };
            }
            HttpTask::Header(head, end) => {
                let replacement = self.progress.take_replacement();
                if let Some(body) = replacement {
                    return self.replace(head, body, source).await.map(|()| end);
                }
                match self.begin(head, end, source) {
                    Some(head) => HttpTask::Header(head, end),
                    None => return Ok(end),
                }
            }
            task if self.is_replaced && !matches!(task, HttpTask::Failed(_)) => return Ok(task.is_end()),
            task => task,
        };
        if let HttpTask::Failed(error) = task {
            return Err(error);
        }
        let end = task.is_end();
        match &mut self.answer {
            Answer::Passing(outlet) => {
                if let Client::Here(client) = &mut self.client {
                    // While the client does not take this one.
                    self.progress.flows(0);
                    Box::pin(outlet.pass(client, task)).await?;
                    self.progress.flows(client.body_bytes_sent() as u64);
                    self.had_all = end.then(Instant::now);
                }
                Ok(end)
            }
            Answer::Held(..) | Answer::Flowing => self.keep(task, source).await,
            Answer::Awaited(_) | Answer::CutOff => {
                Error::e_explain(ErrorType::InternalError, "a part of an answer without its head")
            }
        }
    }

    /// Takes an answer of which the client gets the head alone, and this body.
    async fn replace(&mut self, head: Box<ResponseHeader>, body: Bytes, source: &mut Source) -> Result<()> {
        self.is_replaced = true;
        let head = self.begin(head, false, source);
        let body = HttpTask::Body(Some(body), true);
        match (&mut self.answer, &mut self.client) {
            (Answer::Passing(outlet), Client::Here(client)) => {
                if let Some(head) = head {
                    Box::pin(outlet.pass(client, HttpTask::Header(head, false))).await?;
                }
                Box::pin(outlet.pass(client, body)).await
            }
            _ => self.keep(body, source).await.map(|_| ()),
        }
    }

    /// Takes the last part of an answer, and the fields after its body.
    async fn take_last(&mut self, task: HttpTask, trailers: Box<HeaderMap>, source: &mut Source) -> Result<bool> {
        let before = match task {
            HttpTask::Header(head, _) => Some(HttpTask::Header(head, false)),
            HttpTask::Body(Some(bytes), _) => Some(HttpTask::Body(Some(bytes), false)),
            _ => None,
        };
        if let Some(task) = before {
            self.take(task, source).await?;
        }
        self.take(HttpTask::Trailer(Some(trailers)), source).await
    }

    /// The fields after the answer's body, where the client may get them (RFC 9110, section 6.5.1).
    fn trailers(&self) -> Option<Box<HeaderMap>> {
        let trailers = self.progress.take_trailers()?;
        let request = self.req_header();
        let is_welcome = match request.version {
            Version::HTTP_2 => true,
            Version::HTTP_11 => lists(&request.headers, &TE, "trailers"),
            _ => false,
        };
        (is_welcome && !self.is_replaced).then_some(trailers)
    }

    /// Keeps a part of an answer for its client.
    async fn keep(&mut self, task: HttpTask, source: &mut Source) -> Result<bool> {
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
            let passed = flow.push(piece);
            match passed.or_err(ErrorType::InternalError, "keeping an answer")? {
                Some(passed) => self.progress.flows(passed),
                None => {
                    self.progress.stalls();
                    has_room = false;
                }
            }
        }
        if let Some(ending) = ending {
            flow.end(ending);
            return Ok(true);
        }
        if let Answer::Held(held) = &self.answer
            && (!has_room || held.is_due())
        {
            self.let_flow(source);
        }
        match &self.client {
            Client::Away(away) if !has_room => match away.flow.room(self.progress.demand().as_deref()).await {
                Room::There => Ok(end),
                Room::Left => Err(client_left()),
                Room::Wanted => Err(gives_way()),
            },
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

fn gives_way() -> Box<Error> {
    let context = "the client takes little of its answer, and others wait for the backend";
    Error::explain(ErrorType::WriteTimedout, context).into_down()
}

fn client_left() -> Box<Error> {
    Error::explain(ErrorType::ConnectionClosed, "the client left amid its answer").into_down()
}
