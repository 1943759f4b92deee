//! The end of a request: its line in the access log, its numbers, its backend's place.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use pingora::proxy::Session;
use pingora::{Error, ErrorType};

use super::attempting::{Answered, Attempting};
use super::refusal::NO_ANSWER;
use super::{Exchange, Stage, is_final};
use crate::observe::access_log::{AccessLog, Line, RouteLog};
use crate::observe::metrics::{Finished, NO_ROUTE};
use crate::observe::traces::{Attempt, Traced};
use crate::pool::Outcome;
use crate::request::RequestCtx;
use crate::request::syntax::{host, protocol};
use crate::request::trace::Trace;
use crate::script::Seen;

impl Exchange {
    /// Ends the request: its line, its numbers, its backend's place.
    pub(super) fn finish(&mut self, session: &Session, error: Option<&Error>) {
        if let Ok((rules, attempting)) = self.attempting_mut() {
            attempting.end_race(rules);
            attempting.report(Outcome::Cancelled);
        }
        let status = self.request().map_or(CLIENT_LEFT, |request| answered(session, request));
        if let Ok(request) = self.request_mut() {
            request.notes.status = Some(status);
        }
        self.record(session, status, error);
        if let Ok((_, attempting)) = self.attempting_mut() {
            attempting.trial = None;
        }
        // Before the connection ends, by which a client knows that it may come again.
        if let Ok(request) = self.request_mut() {
            request.notes.held.clear();
        }
    }

    fn record(&self, session: &Session, status: u16, error: Option<&Error>) {
        let Some(arrived) = self.arrived() else { return };
        let request = &arrived.request;
        let duration = request.received.elapsed();
        let route = self.routed().map(|routed| &*routed.route.name);
        let (request_bytes, response_bytes) = (session.body_bytes_read() as u64, session.body_bytes_sent() as u64);
        self.rules.shared.metrics.finished(&Finished {
            route: route.unwrap_or(NO_ROUTE),
            status,
            duration,
            request_bytes,
            response_bytes,
        });
        if let Some(traces) = &self.rules.state.traces
            && let Some(trace) = request.notes.trace.filter(Trace::is_sampled)
        {
            self.traced(session, trace, status, error)
                .iter()
                .for_each(|traced| traces.tell(traced));
        }
        let head = session.req_header();
        let logs = self.logs();
        let wanting: Vec<_> = logs.iter().filter(|log| log.wants(Seen::of(head, request))).collect();
        if wanting.is_empty() {
            return;
        }
        let attempting = self.attempting();
        let trial = attempting.and_then(|attempting| attempting.trial.as_ref());
        let trace_id = request.notes.trace.map(|trace| trace.id());
        let script = request.notes.failed_script.place();
        let mut line = Line {
            time: SystemTime::now(),
            id: request.id.as_str(),
            client: None,
            method: request.notes.sent_method.as_ref().unwrap_or(&head.method).as_str(),
            host: host(head),
            path: head.uri.path(),
            protocol: protocol(head.version),
            status,
            code: match arrived.connection.is_stopped() {
                true => Some(STOPPED),
                false => self.refused.map(|problem| problem.code),
            },
            request_bytes,
            response_bytes,
            duration,
            route,
            pool: self.routed().and_then(|routed| Some(routed.pool.as_ref()?.name())),
            backend: trial.map(|trial| trial.backend().name()),
            attempts: attempting.map_or(0, Attempting::attempts),
            upstream: match &self.stage {
                Stage::Answered(Answered { latency, .. }) => Some(*latency),
                _ => None,
            },
            error: self.named(error),
            user: request.notes.user.as_deref(),
            api_key: request.notes.api_key.as_deref(),
            trace_id: trace_id.as_deref(),
            request: head,
            refused_line: None,
            ctx: Some(request),
            response: session.response_written(),
            scheme: request.scheme.as_str(),
            backend_address: wanting
                .iter()
                .any(|log| log.tells_addresses())
                .then(|| Some(trial?.backend().address().to_string()))
                .flatten(),
            upstream_status: request.notes.upstream.map(|(status, _)| status),
            tls: request.notes.tls.as_deref(),
            script: script.as_deref(),
            noted: &request.notes.noted,
        };
        for log in wanting {
            line.client = request
                .client
                .and_then(|client| log.config().client_address.keep(client));
            log.write(&line);
        }
    }

    /// Where its line is to go.
    fn logs(&self) -> &[Arc<AccessLog>] {
        let main = std::slice::from_ref(self.rules.state.logs.main());
        match self.routed().map(|routed| &*routed.route) {
            None => main,
            Some(route) => match &route.access_log {
                RouteLog::Own(_) => &route.own_logs,
                RouteLog::Share(share) if share.wants() => main,
                RouteLog::Share(_) => &[],
            },
        }
    }

    fn traced<'a>(
        &'a self,
        session: &'a Session,
        trace: Trace,
        status: u16,
        error: Option<&'a Error>,
    ) -> Option<Traced<'a>> {
        let request = &self.arrived()?.request;
        let head = session.req_header();
        let (now, at) = (Instant::now(), SystemTime::now());
        let moment = |then: Instant| at - now.saturating_duration_since(then);
        let failures = self.attempting().map_or(&[][..], |attempting| &attempting.failures);
        let failed = failures.iter().map(|failed| Attempt {
            span: failed.span,
            backend: failed.backend.name(),
            address: failed.backend.address().to_string(),
            began: moment(failed.began),
            took: failed.took,
            status: failed.status,
            failure: Some(failed.cause),
            server_timing: None,
        });
        let has_failed = failures.last().is_some_and(|last| last.span == trace.attempt());
        let answered = self.answered_attempt(trace, moment).filter(|_| !has_failed);
        Some(Traced {
            trace,
            began: moment(request.received),
            duration: now.saturating_duration_since(request.received),
            method: head.method.as_str(),
            scheme: request.scheme.as_str(),
            host: host(head),
            path: head.uri.path(),
            protocol: protocol(head.version),
            client: self.logged_client(request.client).map(|client| client.to_string()),
            status,
            route: self.routed().map(|routed| &*routed.route.name),
            request_id: request.id.as_str(),
            error: self.named(error),
            pool: self.routed().and_then(|routed| Some(routed.pool.as_ref()?.name())),
            attempts: failed.chain(answered).collect(),
        })
    }

    /// The one that the answer is of.
    fn answered_attempt(&self, trace: Trace, moment: impl Fn(Instant) -> SystemTime) -> Option<Attempt<'_>> {
        let (attempting, notes) = (self.attempting()?, &self.arrived()?.request.notes);
        let (trial, (status, latency)) = attempting.trial.as_ref().zip(notes.upstream)?;
        let timing = notes.server_timing.as_ref();
        Some(Attempt {
            span: trace.attempt(),
            backend: trial.backend().name(),
            address: trial.backend().address().to_string(),
            began: moment(trial.began),
            took: latency,
            status: Some(status),
            failure: None,
            server_timing: timing.and_then(|timing| timing.to_str().ok()),
        })
    }

    /// What the line calls an error; where Veil has refused the request itself, the rule behind that.
    fn named<'a>(&self, error: Option<&'a Error>) -> Option<&'a str> {
        match error.map(Error::etype) {
            None | Some(ErrorType::HTTPStatus(_)) => self.refused.and_then(|problem| problem.reason),
            Some(etype) => Some(etype.as_str()),
        }
    }

    fn logged_client(&self, client: Option<IpAddr>) -> Option<IpAddr> {
        self.rules.state.logs.main().config().client_address.keep(client?)
    }
}

fn answered(session: &Session, request: &RequestCtx) -> u16 {
    match session.response_written() {
        Some(head) if is_final(head.status) => head.status.as_u16(),
        _ if request.notes.status == Some(NO_ANSWER) => NO_ANSWER,
        _ => CLIENT_LEFT,
    }
}

/// The request was under way when the time ran out that Veil has for its end.
const STOPPED: &str = "stopped";

/// Nginx's status for a client that left before its answer.
const CLIENT_LEFT: u16 = 499;
