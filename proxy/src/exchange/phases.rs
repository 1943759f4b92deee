//! The request's phases as Pingora calls them: who is asked at which point. What is decided lies elsewhere.

use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::protocols::Digest;
use pingora::proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, ErrorType};

use crate::body::{self, Violation};
use crate::client::connection::Connection;
use crate::client::forwarded::{self, Telling};
use crate::exchange::arrived::{Arrived, VEIL_DEADLINE_MS};
use crate::exchange::attempting::{Answered, Attempting};
use crate::exchange::outcome::{Stale, Verdict};
use crate::exchange::refusal::Refusal;
use crate::exchange::routed::{self, NotRead, Routed, Way};
use crate::exchange::routing::Passed;
use crate::exchange::{Exchange, Stage, has_begun_to_answer, hop, is_final};
use crate::request::deadline::{Clock, Expired};
use crate::request::problem;
use crate::request::syntax::asks_for_another_protocol;
use crate::state::Shared;
use crate::upstream::retry::{Failure, Suspicion};

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
        let connection = Connection::of(session).map(Arc::clone);
        let connection = connection.ok_or_else(|| Error::new(ErrorType::InternalError))?;
        connection.begin_request();
        let head = session.req_header_mut();
        hop::forget_unnamed_upgrade(head);
        let tables = exchange.rules.state.tables.clone();
        let mut arrived = Arrived::over(connection, head, tables);
        if let Some(traces) = &exchange.rules.state.traces {
            arrived.request.notes.trace = Some(arrived.trace(traces, head));
        }
        let (peer, listener) = (arrived.connection.peer().ip(), &arrived.connection.listener);
        arrived.request.notes.unproved = forwarded::forget_lies(head, peer, listener);
        exchange.stage = Stage::Arrived(arrived);
        body::settle_on_arrival(head).map_err(|_| Refusal::from(Violation::Authority.problem()))?;
        body::violation_over_http2(head).map_or(Ok(()), |violation| Err(Refusal::from(violation.problem()).into()))
    }

    async fn request_filter(&self, session: &mut Session, exchange: &mut Exchange) -> pingora::Result<bool> {
        let slashes = exchange.request()?.notes.slashes;
        exchange.request_mut()?.path = routed::other_path(session.req_header(), slashes)?;
        let mut named = None;
        loop {
            match exchange.passes(session, named.take()).await? {
                Passed::On => {}
                Passed::Elsewhere(route) => {
                    exchange.leaves_its_route()?;
                    named = route;
                    continue;
                }
                Passed::Answered => return Ok(true),
            }
            exchange.goes_where_scripts_want()?;
            match exchange.comes_in(session).await {
                Ok(None) => return Ok(false),
                Ok(Some(answer)) => return exchange.answer(session, *answer).await.map(|()| true),
                Err(NotRead::ClientLeft) => return Ok(true),
                Err(NotRead::Refused(refusal)) if exchange.gives_way_before(&refusal, session) => {
                    named = exchange.way_on.take().flatten();
                    exchange.leaves_its_route()?;
                }
                Err(NotRead::Refused(refusal)) => return Err(refusal.into()),
            }
        }
    }

    async fn upstream_peer(&self, session: &mut Session, exchange: &mut Exchange) -> pingora::Result<Box<HttpPeer>> {
        let (_, attempting) = exchange.attempting_mut()?;
        if attempting.learn_of_death().await == Suspicion::Poison {
            return Err(Refusal::from(problem::POISON_BODY).into());
        }
        if exchange.way_on.is_some() {
            exchange.goes_on_elsewhere(session).await?;
        }
        exchange.begins(session).await?;
        let (rules, attempting) = exchange.attempting_mut()?;
        let mut peer = attempting
            .peer(rules, session.req_header())
            .ok_or(Refusal::from(problem::INTERNAL))?;
        attempting.enter_race(rules, session, &mut peer);
        if asks_for_another_protocol(session.req_header()) {
            hop::let_protocol_change(&mut peer);
        }
        Ok(peer)
    }

    async fn connected_to_upstream(
        &self,
        _: &mut Session,
        _reused: bool,
        _: &HttpPeer,
        _descriptor: RawFd,
        _: Option<&Digest>,
        exchange: &mut Exchange,
    ) -> pingora::Result<()> {
        let (_, attempting) = exchange.attempting_mut()?;
        attempting.connected();
        Ok(())
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        head: &mut RequestHeader,
        exchange: &mut Exchange,
    ) -> pingora::Result<()> {
        let attempting = exchange.attempting().ok_or(Refusal::from(problem::INTERNAL))?;
        let Arrived {
            request, connection, ..
        } = &attempting.routed.arrived;
        if asks_for_another_protocol(session.req_header()) {
            hop::wish_for_another_protocol(head)?;
        }
        request.notes.say_otherwise(head)?;
        let tellings = &attempting.routed.route.tells_backends;
        forwarded::tell_backend(head, request, tellings)?;
        if tellings.has(Telling::Deadline) {
            let patience = attempting.patience().as_millis() as u64;
            head.insert_header(VEIL_DEADLINE_MS, HeaderValue::from(patience))?;
        }
        if !head.headers.contains_key(header::HOST) {
            // HTTP/1.0 may do without; HTTP/1.1, which we speak to backends, may not.
            head.insert_header(header::HOST, connection.listener.own_host())?;
        }
        let http1 = attempting.pool.transport().http1();
        if attempting.is_in_race() {
            head.insert_header(header::CONNECTION, "close")?;
        }
        hop::ends_with_answer(head, http1)?;
        for filter in exchange.filters() {
            filter.on_upstream_request(head, request);
        }
        body::settle_authority(head).map_err(|_| Refusal::from(Violation::Authority.problem()).into())
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        head: &mut ResponseHeader,
        exchange: &mut Exchange,
    ) -> pingora::Result<()> {
        let (rules, attempting) = exchange.attempting_mut()?;
        if !is_final(head.status) {
            return match attempting.announced(head) {
                true => Ok(()),
                false => Err(unusable("the answer is announced without an end")),
            };
        }
        if head.status == StatusCode::SWITCHING_PROTOCOLS && !session.is_upgrade_req() {
            return Err(unusable("the protocol changes unasked"));
        }
        if head.status == StatusCode::SWITCHING_PROTOCOLS && !hop::is_as_asked(session.req_header(), head) {
            return Err(unusable("the protocol changes to another one than was asked for"));
        }
        // A 503 with Retry-After says that nothing was done with the request.
        let busy = head.status == 503 && head.headers.contains_key(header::RETRY_AFTER);
        match attempting.answered(rules, session, head.status.as_u16(), busy) {
            Verdict::Pass { latency } => {
                let notes = &mut attempting.routed.arrived.request.notes;
                notes.upstream = Some((head.status.as_u16(), latency));
                notes.of_backend = rules.state.logs.wanted_of(head);
                if notes.trace.is_some_and(|trace| trace.is_sampled()) {
                    notes.server_timing = head.headers.get("server-timing").cloned();
                }
                if head.status.as_u16() >= 300 && exchange.intercepts(head.status, session.req_header()) {
                    return Err(Refusal::from(problem::intercepted(head.status)).into());
                }
                exchange.is_answered(latency);
                Ok(())
            }
            Verdict::GiveUp => Err(Error::new_up(ErrorType::HTTPStatus(head.status.as_u16()))),
        }
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        head: &mut ResponseHeader,
        exchange: &mut Exchange,
    ) -> pingora::Result<()> {
        hop::own(head);
        exchange.watching = exchange.witness.as_ref().and_then(|witness| witness(head));
        exchange.changes = exchange.dress(head, session)?;
        let replaced = exchange.changes.replaced.take();
        let taken = exchange.attempting().and_then(|attempting| attempting.taken.as_ref());
        if let Some(taken) = taken {
            let is_wanted = session.req_header().method != Method::HEAD;
            taken.replace_body(replaced.filter(|_| is_wanted));
            taken.end_connection(!exchange.keeps_connection());
        }
        let cookie = match &exchange.stage {
            Stage::Answered(answered) => answered.cookie(session.req_header()),
            _ => None,
        };
        match cookie {
            Some(cookie) => head.append_header(header::SET_COOKIE, cookie).map(|_| ()),
            None => Ok(()),
        }
    }

    fn response_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        last: bool,
        exchange: &mut Exchange,
    ) -> pingora::Result<Option<Duration>> {
        if let Some(watching) = &mut exchange.watching {
            watching.next(body.as_deref().unwrap_or_default(), last);
        }
        if exchange.changes.transforms() {
            *body = Some(exchange.changes.apply(body.take().unwrap_or_default(), last));
        }
        Ok(None)
    }

    fn fail_to_connect(
        &self,
        session: &mut Session,
        _: &HttpPeer,
        exchange: &mut Exchange,
        mut error: Box<Error>,
    ) -> Box<Error> {
        let retry = exchange.attempting_mut().is_ok_and(|(rules, attempting)| {
            let failure = attempting.failure_to_connect(&error);
            attempting.failed(rules, failure, session)
        });
        let retry = retry || exchange.gives_way_after(&error, session);
        error.set_retry(retry);
        error
    }

    fn error_while_proxy(
        &self,
        _: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        exchange: &mut Exchange,
        _reused: bool,
    ) -> Box<Error> {
        exchange.has_no_answer_yet(session);
        let retry = exchange.attempting_mut().is_ok_and(|(rules, attempting)| {
            if attempting.has_given_up() {
                return true;
            }
            if let Some(clock) = Expired::clock_in(&error) {
                return attempting.failed(rules, Failure::TimedOut(clock), session);
            }
            match error.esource() {
                ErrorSource::Upstream if attempting.is_over_kept_connection() => match Stale::behind(&error) {
                    Some(stale) => attempting.found_stale(rules, session, stale),
                    None => attempting.failed(rules, attempting.failure(&error), session),
                },
                ErrorSource::Upstream => attempting.failed(rules, attempting.failure(&error), session),
                _ => false,
            }
        });
        let is_of_client = match Expired::clock_in(&error) {
            Some(clock) => clock == Clock::Client,
            None => *error.esource() == ErrorSource::Downstream,
        };
        let retry = retry || !is_of_client && exchange.gives_way_after(&error, session);
        error.set_retry(retry);
        error
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, exchange: &mut Exchange) -> FailToProxy {
        let begun = has_begun_to_answer(session);
        let Some(refusal) = exchange.refusal_after(error, begun).await else {
            return FailToProxy {
                error_code: 0,
                can_reuse_downstream: false,
            };
        };
        let error_code = refusal.problem.status.as_u16();
        let holds_answer = exchange.attempting().is_some_and(Attempting::holds_answer);
        if holds_answer && refusal.problem != problem::POISON_BODY {
            // What came of an answer says more than Veil could; the line tells that it is not whole.
            exchange.refused = Some(refusal.problem);
            return FailToProxy {
                error_code,
                can_reuse_downstream: false,
            };
        }
        if begun {
            exchange.refused = Some(refusal.problem);
        } else {
            exchange.let_body_go(session).await;
            if exchange.attempting().is_some() {
                // Pingora ends the connection after a failure, and says so only when told to.
                session.set_keepalive(None);
            }
            // The client may have left, which its line says by the status.
            let _ = exchange.refuse(session, refusal).await;
        }
        FailToProxy {
            error_code,
            can_reuse_downstream: true,
        }
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, exchange: &mut Exchange) {
        let error = error.filter(|error| !body::is_answered_early(error));
        let delivered = exchange.deliver(session, error).await;
        exchange.finish(session, error.or(delivered.as_ref().err().map(Box::as_ref)));
    }

    /// The access line says it, and what changes in a pool is logged there.
    fn suppress_error_log(&self, _: &Session, _: &Exchange, _: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(&self, _: &Session, _: &Exchange, _: &Error, _: ProxyWarnLogContext) -> bool {
        true
    }
}

/// The way from one stage to the next.
impl Exchange {
    pub(super) fn is_served_by(&mut self, way: Way, head: &RequestHeader) -> Result<(), Refusal> {
        let Stage::Arrived(mut arrived) = std::mem::take(&mut self.stage) else {
            return Err(problem::INTERNAL.into());
        };
        let Way { route, captures } = way;
        if !captures.is_empty() || arrived.request.notes.jumps == 0 {
            arrived.request.notes.captures = captures;
        }
        arrived.request.notes.route = Some(Arc::clone(&route.name));
        let pool = route.serving.pool(head, &arrived.request).map(Arc::clone);
        arrived.request.notes.pool = pool.as_ref().map(|pool| pool.name().into());
        if arrived.request.notes.jumps == 0 {
            self.rules.state.retry_budget.deposit(arrived.request.received);
        }
        self.stage = Stage::Routed(Routed { arrived, route, pool });
        Ok(())
    }

    /// To the pool that a script has chosen, if one has.
    fn goes_where_scripts_want(&mut self) -> Result<(), Refusal> {
        let Stage::Routed(routed) = &mut self.stage else {
            return Ok(());
        };
        let notes = &mut routed.arrived.request.notes;
        if let Some(wanted) = notes.wanted_pool.take() {
            let pool = self.rules.state.pools.get(&*wanted).ok_or(problem::SCRIPT_FAILED)?;
            notes.pool = Some(pool.name().into());
            routed.pool = Some(Arc::clone(pool));
        }
        Ok(())
    }

    /// Takes a place at a backend; where nobody has one, of another route that answers in place of that, if there is any.
    async fn begins(&mut self, session: &mut Session) -> pingora::Result<()> {
        let (rules, attempting) = self.attempting_mut()?;
        let Err(refusal) = attempting.begin(rules, session.req_header()).await else {
            return Ok(());
        };
        let error: Box<Error> = refusal.into();
        if !self.gives_way_after(&error, session) {
            return Err(error);
        }
        self.goes_on_elsewhere(session).await?;
        let (rules, attempting) = self.attempting_mut()?;
        attempting.begin(rules, session.req_header()).await.map_err(Into::into)
    }

    fn is_answered(&mut self, latency: Duration) {
        self.stage = match std::mem::take(&mut self.stage) {
            Stage::Attempting(attempting) => Stage::Answered(Answered { attempting, latency }),
            stage => stage,
        };
    }

    /// An answer that broke off before the client has seen any of it was none.
    fn has_no_answer_yet(&mut self, session: &Session) {
        if !has_begun_to_answer(session) {
            self.stage = match std::mem::take(&mut self.stage) {
                Stage::Answered(Answered { attempting, .. }) => Stage::Attempting(attempting),
                stage => stage,
            };
        }
    }

    /// What to tell the client in the end; nothing where it has left.
    async fn refusal_after(&mut self, error: &Error, begun: bool) -> Option<Refusal> {
        let Ok((rules, attempting)) = self.attempting_mut() else {
            return Refusal::in_error(error);
        };
        if !begun && attempting.learn_of_death().await == Suspicion::Poison {
            rules.shared.metrics.poison_body();
            attempting.remember_poison(rules);
            return Some(problem::POISON_BODY.into());
        }
        let told = attempting.told().map(Refusal::from);
        Refusal::behind(error).or(told).or_else(|| Refusal::in_error(error))
    }
}

/// A backend's answer that means nothing, or too much.
fn unusable(why: &'static str) -> Box<Error> {
    Error::explain(ErrorType::InvalidHTTPHeader, why).into_up()
}
