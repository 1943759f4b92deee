//! The request's phases as Pingora calls them: who is asked at which point. What is decided lies elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Method, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, ErrorType, RetryType};

use crate::body::{self, Violation};
use crate::client::connection::Connection;
use crate::client::forwarded;
use crate::exchange::{Exchange, has_begun_to_answer, host};
use crate::filter::Verdict;
use crate::request::path::{self, PathError};
use crate::request::problem::{self, Problem, X_REQUEST_ID};
use crate::request::{RequestCtx, RequestId};
use crate::route::{NoRoute, Route};
use crate::state::Shared;
use crate::upstream::retry::{Failure, Suspicion};
use crate::yaml::units::Duration;

/// Milliseconds after which nobody waits for the head of this attempt's answer any more; workers drop what is past it.
/// A client may send it too, and is not waited for longer than it says.
pub const VEIL_DEADLINE_MS: &str = "Veil-Deadline-Ms";

/// Tells the connections of one race from those of others, and from those that are kept.
static NEXT_RACE: AtomicU64 = AtomicU64::new(1);

/// Our phases.
pub struct Edge {
    shared: Arc<Shared>,
}

impl Edge {
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

#[async_trait]
impl ProxyHttp for Edge {
    type CTX = Exchange;

    fn new_ctx(&self) -> Exchange {
        Exchange::new(&self.shared)
    }

    /// None: Pingora's own modules would run on every request for nothing.
    fn init_downstream_modules(&self, _: &mut HttpModules) {}

    async fn early_request_filter(&self, session: &mut Session, exchange: &mut Exchange) -> pingora::Result<()> {
        let connection = Connection::of(session).ok_or_else(|| Error::new(ErrorType::InternalError))?;
        connection.begin_request();
        let head = session.req_header();
        let peer = connection.peer;
        let request = RequestCtx {
            id: request_id(head),
            peer,
            client: forwarded::client(peer.ip(), head, &connection.listener),
            scheme: forwarded::scheme(peer.ip(), head, &connection.listener),
            received: Instant::now(),
        };
        exchange.client_deadline = client_deadline(head, request.received);
        exchange.connection = Some(Arc::clone(connection));
        exchange.request = Some(request);
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, exchange: &mut Exchange) -> pingora::Result<bool> {
        let route = match find_route(session, exchange) {
            Ok(route) => route,
            Err((problem, allow)) => return refuse(session, exchange, problem, allow).await,
        };
        exchange.served_by(Arc::clone(&route), session.req_header());
        for filter in &route.filters {
            match filter.on_request(session.req_header_mut(), exchange.request()) {
                Verdict::Continue => {}
                Verdict::Answer(response) => return answer(session, exchange, *response).await,
                Verdict::Refuse(problem) => return refuse(session, exchange, problem, None).await,
            }
        }
        let admission = match exchange.admit() {
            Ok(admission) => admission,
            Err(problem) => return refuse(session, exchange, problem, None).await,
        };
        let read = body::take(
            &mut session.downstream_session,
            &exchange.body_limits,
            &exchange.state.body_budget,
        );
        let read = read.await;
        drop(admission);
        match read {
            Ok(taken) => {
                exchange.taken = taken;
                exchange.starts_to_be_served();
                Ok(false)
            }
            Err(error) => {
                session.set_keepalive(None);
                match error.problem() {
                    Some(problem) => refuse(session, exchange, problem, None).await,
                    // Nobody is left to answer.
                    None => Ok(true),
                }
            }
        }
    }

    async fn upstream_peer(&self, session: &mut Session, exchange: &mut Exchange) -> pingora::Result<Box<HttpPeer>> {
        if exchange.learn_of_death().await == Suspicion::Poison {
            return Err(refusal(exchange, problem::POISON_BODY));
        }
        let place = exchange.begin_attempt(session.req_header()).await;
        let address = match place {
            Ok(lease) => lease.backend().address(),
            Err(problem) => return Err(refusal(exchange, problem)),
        };
        let mut peer = Box::new(HttpPeer::new(address, false, String::new()));
        if let Some(timeouts) = exchange.timeouts() {
            let within = |timeout: Duration| Some(timeout.get().min(exchange.time_left()));
            peer.options.connection_timeout = within(timeouts.connect);
            peer.options.total_connection_timeout = within(timeouts.connect);
            peer.options.write_timeout = Some(timeouts.send.get());
            peer.options.read_timeout = within(timeouts.read);
            peer.options.idle_timeout = Some(timeouts.idle.get());
        }
        if let Some(race) = exchange.enter_race(session) {
            // A kept connection could not be raced with, and two that raced are not kept.
            peer.group_key = NEXT_RACE.fetch_add(1, Ordering::Relaxed);
            peer.options.custom_l4 = Some(Arc::new(race));
            peer.options.idle_timeout = Some(std::time::Duration::ZERO);
        }
        Ok(peer)
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        head: &mut RequestHeader,
        exchange: &mut Exchange,
    ) -> pingora::Result<()> {
        let request = exchange.request();
        forwarded::tell_backend(head, request)?;
        head.insert_header(X_REQUEST_ID, request.id.as_str())?;
        if let Some(timeouts) = exchange.timeouts() {
            let patience = timeouts.read.get().min(exchange.time_left());
            head.insert_header(VEIL_DEADLINE_MS, HeaderValue::from(patience.as_millis() as u64))?;
        }
        if let (None, Some(connection)) = (head.headers.get(header::HOST), &exchange.connection) {
            // HTTP/1.0 may do without; HTTP/1.1, which we speak to backends, may not.
            head.insert_header(header::HOST, connection.listener.address.to_string())?;
        }
        if exchange.is_in_race() {
            head.insert_header(header::CONNECTION, "close")?;
        }
        for filter in exchange.filters() {
            filter.on_upstream_request(head, request);
        }
        body::settle_authority(head).map_err(|_| refusal(exchange, Violation::Authority.problem()))
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        head: &mut ResponseHeader,
        exchange: &mut Exchange,
    ) -> pingora::Result<()> {
        if head.status.is_informational() {
            return Ok(());
        }
        // A 503 with Retry-After says that nothing was done with the request.
        let busy = head.status == 503 && head.headers.contains_key(header::RETRY_AFTER);
        match exchange.answered(session, head.status.as_u16(), busy) {
            true => Err(Error::new_up(ErrorType::HTTPStatus(head.status.as_u16()))),
            false => Ok(()),
        }
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        head: &mut ResponseHeader,
        exchange: &mut Exchange,
    ) -> pingora::Result<()> {
        dress(head, session.req_header(), exchange)?;
        match exchange.cookie(session.req_header()) {
            Some(cookie) => head.append_header(header::SET_COOKIE, cookie).map(|_| ()),
            None => Ok(()),
        }
    }

    fn fail_to_connect(
        &self,
        session: &mut Session,
        _: &HttpPeer,
        exchange: &mut Exchange,
        mut error: Box<Error>,
    ) -> Box<Error> {
        error.set_retry(exchange.failed(Failure::Connect, session));
        error
    }

    fn error_while_proxy(
        &self,
        _: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        exchange: &mut Exchange,
        reused: bool,
    ) -> Box<Error> {
        let retry = exchange.has_given_up()
            || match error.esource() {
                ErrorSource::Upstream if reused && matches!(error.retry, RetryType::ReusedOnly) => {
                    exchange.found_stale(session)
                }
                ErrorSource::Upstream => exchange.failed(failure(&error), session),
                _ => false,
            };
        error.set_retry(retry);
        error
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, exchange: &mut Exchange) -> FailToProxy {
        if exchange.learn_of_death().await == Suspicion::Poison && !has_begun_to_answer(session) {
            exchange.is_poison();
            exchange.problem = Some(problem::POISON_BODY);
        }
        let Some(problem) = exchange.problem.or_else(|| problem_in(error)) else {
            return FailToProxy {
                error_code: 0,
                can_reuse_downstream: false,
            };
        };
        exchange.problem = Some(problem);
        if !has_begun_to_answer(session) {
            exchange.let_body_go(session);
            // Pingora ends the connection after a failure, and says so only when told to.
            session.set_keepalive(None);
            // The client may have left, which its line says by the status.
            let _ = refuse(session, exchange, problem, None).await;
        }
        FailToProxy {
            error_code: problem.status.as_u16(),
            can_reuse_downstream: true,
        }
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, exchange: &mut Exchange) {
        exchange.let_body_go(session);
        exchange.finish(session, error);
    }

    /// The access line says it, and what changes in a pool is logged there.
    fn suppress_error_log(&self, _: &Session, _: &Exchange, _: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(&self, _: &Session, _: &Exchange, _: &Error, _: ProxyWarnLogContext) -> bool {
        true
    }
}

fn request_id(head: &RequestHeader) -> RequestId {
    let given = head
        .headers
        .get(X_REQUEST_ID)
        .and_then(|value| RequestId::parse(value.as_bytes()));
    given.unwrap_or_else(RequestId::random)
}

fn client_deadline(head: &RequestHeader, received: Instant) -> Option<Instant> {
    let milliseconds: u32 = head.headers.get(VEIL_DEADLINE_MS)?.to_str().ok()?.parse().ok()?;
    Some(received + std::time::Duration::from_millis(milliseconds.into()))
}

/// The route, or the problem and what its `Allow` says. Leaves the path in its one spelling.
fn find_route(session: &mut Session, exchange: &Exchange) -> Result<Arc<Route>, (Problem, Option<String>)> {
    let head = session.req_header();
    if head.method == Method::CONNECT {
        return Err((problem::METHOD_NOT_ALLOWED, None));
    }
    let path = path::canonical(head.uri.path()).map_err(|error| (bad_path(error), None))?;
    let found = exchange.state.router.find(host(head), &path, &head.method);
    let route = match found {
        Ok(route) => Arc::clone(route),
        Err(NoRoute::NotFound) => return Err((problem::NO_ROUTE, None)),
        Err(NoRoute::MethodNotAllowed(allowed)) => {
            let allow: Vec<&str> = allowed.iter().map(|method| method.as_str()).collect();
            return Err((problem::METHOD_NOT_ALLOWED, Some(allow.join(", "))));
        }
    };
    if let std::borrow::Cow::Owned(path) = path {
        path::respell(session.req_header_mut(), &path).map_err(|_| (problem::BAD_PATH, None))?;
    }
    Ok(route)
}

fn bad_path(error: PathError) -> Problem {
    Problem {
        reason: Some(error.reason()),
        ..problem::BAD_PATH
    }
}

/// Answers with a problem in a backend's place.
async fn refuse(
    session: &mut Session,
    exchange: &mut Exchange,
    problem: Problem,
    allow: Option<String>,
) -> pingora::Result<bool> {
    exchange.problem = Some(problem);
    let (mut head, body) = problem.response(&exchange.request().id)?;
    if let Some(allow) = allow {
        head.insert_header(header::ALLOW, allow)?;
    }
    send(session, exchange, head, body).await
}

/// Answers with what a filter made.
async fn answer(
    session: &mut Session,
    exchange: &mut Exchange,
    response: http::Response<Bytes>,
) -> pingora::Result<bool> {
    let (parts, body) = response.into_parts();
    let mut head = ResponseHeader::from(parts);
    head.insert_header(header::CONTENT_LENGTH, body.len())?;
    send(session, exchange, head, body).await
}

/// A request's body that has not been read ends its connection with the answer.
async fn send(
    session: &mut Session,
    exchange: &mut Exchange,
    mut head: ResponseHeader,
    content: Bytes,
) -> pingora::Result<bool> {
    exchange.let_body_go(session);
    dress(&mut head, session.req_header(), exchange)?;
    let content = if session.req_header().method == Method::HEAD {
        Bytes::new()
    } else {
        content
    };
    session
        .write_response_header(Box::new(head), content.is_empty())
        .await?;
    session.write_response_body(Some(content), true).await?;
    body::linger(&mut session.downstream_session).await;
    Ok(true)
}

/// What every answer gets on its way out.
fn dress(head: &mut ResponseHeader, request: &RequestHeader, exchange: &Exchange) -> pingora::Result<()> {
    head.insert_header(X_REQUEST_ID, exchange.request().id.as_str())?;
    for filter in exchange.filters().iter().rev() {
        filter.on_response(head, request, exchange.request());
    }
    Ok(())
}

/// An error that ends in this problem.
fn refusal(exchange: &mut Exchange, problem: Problem) -> Box<Error> {
    exchange.problem = Some(problem);
    Error::new_in(ErrorType::HTTPStatus(problem.status.as_u16()))
}

/// What to tell the client of an error that nobody has put into words yet; nothing where it has left.
fn problem_in(error: &Error) -> Option<Problem> {
    if let Some(problem) = body::ReadError::problem_in(error) {
        return Some(problem);
    }
    match (error.esource(), error.etype()) {
        (ErrorSource::Downstream, ErrorType::ReadTimedout) => Some(problem::REQUEST_TIMEOUT),
        // Pingora has looked through Connection for what not to pass on.
        (ErrorSource::Downstream, ErrorType::InvalidHTTPHeader) => Some(Violation::Connection.problem()),
        (ErrorSource::Downstream, _) => None,
        _ => Some(problem::INTERNAL),
    }
}

/// How the backend failed.
fn failure(error: &Error) -> Failure {
    match error.etype() {
        ErrorType::ReadTimedout | ErrorType::WriteTimedout => Failure::TimedOut,
        _ => Failure::Died,
    }
}
