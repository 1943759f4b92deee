//! How an attempt went: what its backend is told of it, and whether another one follows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::Session;
use pingora::{Error, ErrorType, RetryType};

use super::attempting::{Attempting, FailedAttempt, Setback};
use super::{Rules, has_begun_to_answer};
use crate::pool::{Outcome, Refused};
use crate::program;
use crate::request::deadline::Clock;
use crate::request::notes::Asked;
use crate::request::problem::{self, Problem};
use crate::request::trace::Trace;
use crate::upstream::retry::{Decision, Ending, Failure};

/// What becomes of a backend's answer that has begun.
pub enum Verdict {
    /// It goes to the client.
    Pass { latency: Duration },
    /// It is dropped, because another backend may give a better one.
    GiveUp,
}

impl Attempting {
    /// The backend announces its answer. Says whether it may: it must not do so without an end.
    pub fn announced(&mut self, head: &ResponseHeader) -> bool {
        self.trial.as_mut().is_none_or(|trial| trial.interim.takes(head))
    }

    /// The backend's answer has begun with this status.
    pub fn answered(&mut self, rules: &Rules, session: &Session, status: u16, busy: bool) -> Verdict {
        self.end_race(rules);
        let latency = self
            .trial
            .as_ref()
            .map_or(Duration::ZERO, |trial| trial.began.elapsed());
        self.report(match busy {
            true => Outcome::Busy,
            false => Outcome::Answered { status, latency },
        });
        self.note_asked(status);
        let failure = if busy { Failure::Busy } else { Failure::Status(status) };
        if status >= 400
            && self.decide(rules, failure, session) == Decision::Retry
            && self.reserve_next(session.req_header())
        {
            self.note_failure(failure, Some(status));
            return Verdict::GiveUp;
        }
        self.setback = None;
        if let Some(trial) = &mut self.trial {
            trial.has_answered = true;
        }
        Verdict::Pass { latency }
    }

    /// Makes sure that there is somebody else, before an answer is given up.
    fn reserve_next(&mut self, head: &RequestHeader) -> bool {
        self.next = self.pool.pick_eligible(&self.key(head), &self.tried);
        self.next.is_some()
    }

    /// Whether the error at hand is only the end of an answer that was given up.
    pub fn has_given_up(&self) -> bool {
        self.next.is_some()
    }

    /// Whether a failed attempt is followed by another.
    pub fn failed(&mut self, rules: &Rules, failure: Failure, session: &Session) -> bool {
        self.end_race(rules);
        if matches!(failure, Failure::Connect | Failure::ConnectTimedOut | Failure::Local) {
            self.attempt.sent = self.attempt.sent.saturating_sub(1);
        }
        self.report(match failure {
            Failure::Connect | Failure::ConnectTimedOut => Outcome::ConnectFailed,
            Failure::TimedOut(clock) if self.is_to_blame(clock) => Outcome::TimedOut,
            Failure::TimedOut(_) => Outcome::Cancelled,
            Failure::Local => Outcome::Cancelled,
            Failure::Busy => Outcome::Busy,
            Failure::Died | Failure::Status(_) => Outcome::Reset,
        });
        if let (Failure::Died, Some(trial)) = (failure, &self.trial) {
            if trial.has_answered {
                // It had answered, and then broke off.
                trial.lease.report(Outcome::Reset);
            }
            let is_lost = !trial.lease.was_cut();
            self.lost = is_lost.then(|| (Arc::clone(trial.backend()), trial.deaths_before));
        }
        self.note_failure(failure, self.status_of_answer());
        if self.status_of_answer().is_none() {
            let is_timeout = matches!(failure, Failure::ConnectTimedOut | Failure::TimedOut(_));
            self.note_asked(if is_timeout { 504 } else { 502 });
        }
        let decision = self.decide(rules, failure, session);
        let ending = match decision {
            Decision::GiveUp(ending) => ending,
            Decision::Retry => failure.ending(),
        };
        let problem = match failure {
            Failure::Connect if !self.is_fit() => Some(rules.unserved(problem::NO_BACKEND)),
            Failure::ConnectTimedOut if !self.is_fit() => Some(rules.unserved_in_time(problem::NO_BACKEND)),
            _ => problem_of(ending, failure),
        };
        self.setback = Some(Setback {
            cause: cause_label(failure),
            problem,
        });
        decision == Decision::Retry
    }

    /// Whether the attempt's backend is fit to serve. That another one cannot be connected to is no news.
    fn is_fit(&self) -> bool {
        self.trial.as_ref().is_some_and(|trial| trial.backend().is_fit())
    }

    /// Of the attempt's answer, which has begun.
    fn status_of_answer(&self) -> Option<u16> {
        let has_answered = self.trial.as_ref().is_some_and(|trial| trial.has_answered);
        let (status, _) = self.routed.arrived.request.notes.upstream.filter(|_| has_answered)?;
        Some(status)
    }

    /// For logs and templates: who was asked, and what came of it.
    fn note_asked(&mut self, status: u16) {
        let Some(trial) = &self.trial else { return };
        let asked = &mut self.routed.arrived.request.notes.asked;
        asked.push(Asked {
            backend: trial.backend().name().into(),
            status,
            traffic: trial.dial.as_ref().and_then(|dial| dial.traffic.clone()),
            is_of_next_route: !std::mem::replace(&mut self.has_asked, true),
        });
    }

    /// For the trace, where a collector is told of it.
    fn note_failure(&mut self, failure: Failure, status: Option<u16>) {
        let trace = self.routed.arrived.request.notes.trace.filter(Trace::is_sampled);
        let (Some(trace), Some(trial)) = (trace, &self.trial) else {
            return;
        };
        self.failures.push(FailedAttempt {
            backend: Arc::clone(trial.backend()),
            span: trace.attempt(),
            began: trial.began,
            took: trial.began.elapsed(),
            cause: cause_label(failure),
            status,
        });
    }

    fn decide(&mut self, rules: &Rules, failure: Failure, session: &Session) -> Decision {
        if let Some(trial) = &self.trial {
            self.tried.push(Arc::clone(trial.backend()));
        }
        self.setback = Some(Setback {
            cause: cause_label(failure),
            problem: None,
        });
        self.attempt.replayable = self.is_replayable(session);
        self.attempt.answering = has_begun_to_answer(session);
        let (policy, budget) = (&self.routed.route.retry, &rules.state.retry_budget);
        policy.decide(failure, &self.attempt, budget, Instant::now())
    }

    /// Whether the request can be sent to somebody else, as far as the client is concerned.
    pub fn may_be_sent_again(&self, session: &Session) -> bool {
        self.is_replayable(session) && self.taken.is_some() && !has_begun_to_answer(session)
    }

    fn is_replayable(&self, session: &Session) -> bool {
        self.has_kept_body() || session.body_bytes_read() == 0
    }

    /// The kept connection was closed by the backend in the moment of its use. Once that is no failure, and the same
    /// backend may be asked again; but where nobody knows whether it has taken the request, that is a retry.
    pub fn found_stale(&mut self, rules: &Rules, session: &Session, stale: Stale) -> bool {
        let retries = self.routed.route.retry.attempts > 1;
        let was_cut = self.trial.as_ref().is_some_and(|trial| trial.lease.was_cut());
        let may_ask_again = stale == Stale::Unsent || retries && self.attempt.idempotent;
        if self.was_stale || was_cut || !may_ask_again || !self.is_replayable(session) {
            return self.failed(rules, Failure::Died, session);
        }
        self.was_stale = true;
        self.setback = Some(Setback {
            cause: "stale",
            problem: self.told(),
        });
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
    }

    /// How the backend failed.
    pub fn failure(&self, error: &Error) -> Failure {
        match error.etype() {
            ErrorType::ReadTimedout => Failure::TimedOut(Clock::Read),
            ErrorType::WriteTimedout => Failure::TimedOut(self.clock_of_timeout(Clock::Send)),
            _ => Failure::Died,
        }
    }

    /// Why no connection to the backend came about.
    pub fn failure_to_connect(&self, error: &Error) -> Failure {
        match error.etype() {
            ErrorType::ConnectTimedout => match self.clock_of_timeout(Clock::Connect) {
                Clock::Connect => Failure::ConnectTimedOut,
                clock => Failure::TimedOut(clock),
            },
            // What Pingora makes of errors before the backend had a part in it.
            ErrorType::InternalError | ErrorType::SocketError | ErrorType::BindError => {
                program::tell_of_lack(error);
                Failure::Local
            }
            _ => Failure::Connect,
        }
    }

    /// The clock that an attempt ran into where it was bounded by `own` and by the wait for the head of an answer.
    fn clock_of_timeout(&self, own: Clock) -> Clock {
        match self.deadline {
            Some(deadline) if deadline.left(Instant::now()) <= EARLY => deadline.clock,
            _ => own,
        }
    }

    /// Whether a backend that did not answer before this clock ran out has failed. Clients in a hurry must not eject
    /// anybody, and neither must those that have waited for their turn or for another backend most of the time.
    fn is_to_blame(&self, clock: Clock) -> bool {
        match clock {
            Clock::Connect | Clock::Send | Clock::Read => true,
            Clock::Total => self.trial.as_ref().is_some_and(|trial| {
                let total = self.timeouts().total();
                trial.began.elapsed() >= total / 2
            }),
            Clock::Client => false,
        }
    }
}

/// What is known of a request whose kept connection had ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stale {
    /// It was not sent: its head met a reset.
    Unsent,
    /// It was sent, and nothing of an answer came.
    Unanswered,
}

impl Stale {
    pub fn behind(error: &Error) -> Option<Self> {
        let is_of_head = || {
            error
                .context
                .as_ref()
                .is_some_and(|context| context.as_str() == WRITING_HEAD)
        };
        match error.etype() {
            ErrorType::WriteError if is_of_head() => Some(Self::Unsent),
            _ => matches!(error.retry, RetryType::ReusedOnly).then_some(Self::Unanswered),
        }
    }
}

/// Pingora's words.
const WRITING_HEAD: &str = "while writing request headers";

/// What the client is told; nothing where it has an answer already.
fn problem_of(ending: Ending, failure: Failure) -> Option<Problem> {
    match (ending, failure) {
        (_, Failure::Local) => Some(problem::LOCAL_LIMIT),
        (Ending::BadGateway, _) => Some(problem::UPSTREAM_FAILED),
        (Ending::GatewayTimeout, Failure::TimedOut(clock)) => Some(timeout_of(clock)),
        (Ending::GatewayTimeout, Failure::ConnectTimedOut) => Some(timeout_of(Clock::Connect)),
        (Ending::GatewayTimeout, _) => Some(problem::UPSTREAM_TIMEOUT),
        (Ending::Pass | Ending::Cut, _) => None,
    }
}

/// How much too early a timer may ring: Pingora's share ticks of 10 ms.
const EARLY: Duration = Duration::from_millis(20);

/// The answer for whoever has waited until this clock ran out.
pub(super) fn timeout_of(clock: Clock) -> Problem {
    Problem {
        reason: Some(clock.name()),
        ..problem::UPSTREAM_TIMEOUT
    }
}

/// The answer for whoever gets no place.
pub(super) fn refusal_of(refused: Refused) -> Problem {
    match refused {
        Refused::Nobody => problem::NO_BACKEND,
        Refused::QueueFull => problem::QUEUE_FULL,
        Refused::QueueTimeout => problem::QUEUE_TIMEOUT,
    }
}

fn cause_label(failure: Failure) -> &'static str {
    match failure {
        Failure::Connect | Failure::ConnectTimedOut => "connect",
        Failure::Local => "local",
        Failure::Died => "died",
        Failure::TimedOut(_) => "timeout",
        Failure::Busy => "busy",
        Failure::Status(_) => "status",
    }
}
