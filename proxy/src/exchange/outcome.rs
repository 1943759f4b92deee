//! How an attempt went: what its backend is told of it, and whether another one follows.

use std::sync::Arc;
use std::time::Instant;

use pingora::proxy::Session;

use super::{Exchange, has_begun_to_answer};
use crate::pool::Outcome;
use crate::request::problem::{self, Problem};
use crate::upstream::retry::{Decision, Ending, Failure};

impl Exchange {
    /// The backend's answer has begun with this status. Says whether the answer is given up for another backend's.
    pub fn answered(&mut self, session: &Session, status: u16, busy: bool) -> bool {
        self.end_race();
        let Some(trial) = &mut self.trial else { return false };
        let latency = trial.began.elapsed();
        trial.answered = Some(latency);
        self.problem = None;
        self.report(if busy {
            Outcome::Busy
        } else {
            Outcome::Answered { status, latency }
        });
        if status < 400 {
            return false;
        }
        let failure = if busy { Failure::Busy } else { Failure::Status(status) };
        let elsewhere = self.decide(failure, session) == Decision::Retry;
        self.given_up = elsewhere && self.reserve_next(session.req_header());
        self.given_up
    }

    /// Whether the error at hand is only the end of an answer that was given up; says so once.
    pub fn has_given_up(&mut self) -> bool {
        std::mem::take(&mut self.given_up)
    }

    /// Whether a failed attempt is followed by another.
    pub fn failed(&mut self, failure: Failure, session: &Session) -> bool {
        self.end_race();
        if matches!(failure, Failure::Connect) {
            self.attempt.sent = self.attempt.sent.saturating_sub(1);
        }
        self.report(match failure {
            Failure::Connect => Outcome::ConnectFailed,
            // Or clients in a hurry could eject every backend.
            Failure::TimedOut if self.client_has_given_up() => Outcome::Cancelled,
            Failure::TimedOut => Outcome::TimedOut,
            Failure::Busy => Outcome::Busy,
            Failure::Died | Failure::Status(_) => Outcome::Reset,
        });
        if let (Failure::Died, Some(trial)) = (failure, &self.trial) {
            self.lost = Some((Arc::clone(trial.lease.backend()), trial.deaths_before));
        }
        let decision = self.decide(failure, session);
        // After a retry, this is told only if nobody else is left.
        self.problem = problem_of(match decision {
            Decision::GiveUp(ending) => ending,
            Decision::Retry => failure.ending(),
        });
        decision == Decision::Retry
    }

    fn decide(&mut self, failure: Failure, session: &Session) -> Decision {
        let Some(service) = &self.service else {
            return Decision::GiveUp(Ending::BadGateway);
        };
        if let Some(trial) = &self.trial {
            self.tried.push(Arc::clone(trial.lease.backend()));
        }
        self.cause = cause_label(failure);
        let kept = self.taken.as_ref().is_some_and(|taken| taken.whole().is_some());
        self.attempt.replayable = kept || session.body_bytes_read() == 0;
        self.attempt.answering = has_begun_to_answer(session);
        service
            .route
            .retry
            .decide(failure, &self.attempt, &self.state.retry_budget, Instant::now())
    }

    /// The kept connection was closed by the backend in the moment of its use. Once that is no failure, and the same
    /// backend may be asked again; but whether it has taken the request nobody knows, so that it is a retry.
    pub fn found_stale(&mut self, session: &Session) -> bool {
        let retries = self
            .service
            .as_ref()
            .is_some_and(|service| service.route.retry.attempts > 1);
        if self.stale || !retries || !self.attempt.idempotent {
            return self.failed(Failure::Died, session);
        }
        self.stale = true;
        self.cause = "stale";
        self.attempt.sent = self.attempt.sent.saturating_sub(1);
        self.report(Outcome::Cancelled);
        true
    }

    pub(super) fn report(&mut self, outcome: Outcome) {
        let Some(trial) = self.trial.as_mut().filter(|trial| !trial.reported) else {
            return;
        };
        trial.reported = true;
        trial.lease.report(outcome);
        let pool = self.service.as_ref().and_then(|service| service.pool.as_ref());
        let pool = pool.map_or("", |pool| pool.name());
        self.shared
            .metrics
            .attempt(pool, trial.lease.backend().name(), outcome_label(outcome));
    }

    fn client_has_given_up(&self) -> bool {
        self.client_deadline.is_some_and(|deadline| deadline <= Instant::now())
    }
}

/// What the client is told; nothing where it has an answer already.
fn problem_of(ending: Ending) -> Option<Problem> {
    match ending {
        Ending::BadGateway => Some(problem::UPSTREAM_FAILED),
        Ending::GatewayTimeout => Some(problem::UPSTREAM_TIMEOUT),
        Ending::Pass | Ending::Cut => None,
    }
}

fn cause_label(failure: Failure) -> &'static str {
    match failure {
        Failure::Connect => "connect",
        Failure::Died => "died",
        Failure::TimedOut => "timeout",
        Failure::Busy => "busy",
        Failure::Status(_) => "status",
    }
}

pub(super) fn outcome_label(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Answered { .. } => "answered",
        Outcome::Busy => "busy",
        Outcome::ConnectFailed => "connect_failed",
        Outcome::Reset => "reset",
        Outcome::TimedOut => "timed_out",
        Outcome::Cancelled => "cancelled",
    }
}
