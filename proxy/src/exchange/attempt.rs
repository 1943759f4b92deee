//! Attempts: a place at a backend that was not asked yet, or a race of two.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header;
use pingora::http::RequestHeader;
use pingora::proxy::Session;

use super::outcome::outcome_label;
use super::{Exchange, Trial};
use crate::body::Taken;
use crate::pool::{Death, Lease, Outcome, Refused};
use crate::request::problem::{self, Problem};
use crate::upstream::race::{Plan, Race, Verdict};
use crate::upstream::retry::Suspicion;

impl Exchange {
    /// A place at a backend that has not been tried; the problem to answer with if there is none.
    pub async fn begin_attempt(&mut self, head: &RequestHeader) -> Result<&Lease, Problem> {
        let pool = self
            .service
            .as_ref()
            .and_then(|service| service.pool.as_ref())
            .ok_or(problem::NO_ROUTE)?;
        let time_left = self.time_left();
        if time_left.is_zero() {
            return Err(problem::UPSTREAM_TIMEOUT);
        }
        let suspect = Suspicion::after(self.deaths.len() as u32) == Suspicion::Suspect;
        let lease = match self.next.take() {
            Some(lease) => lease,
            None if suspect => {
                let key = pool.key(head, self.request().client);
                // The place at the one that died would keep its successor from being idle.
                self.trial = None;
                pool.acquire_quarantined(&key, &self.tried, &self.deaths, time_left.min(ALONE_PATIENCE))
                    .await
                    .ok_or_else(|| self.refusal(Refused::Nobody))?
            }
            None => {
                let key = pool.key(head, self.request().client);
                pool.acquire(&key, &self.tried)
                    .await
                    .map_err(|refused| self.refusal(refused))?
            }
        };
        if !self.cause.is_empty() {
            self.shared.metrics.retry(pool.name(), self.cause);
        }
        self.attempt.sent += 1;
        Ok(&self.trial.insert(Trial::new(lease, Instant::now())).lease)
    }

    /// Enters the attempt at hand into a race with a second backend, where the pool hedges and the request may be sent
    /// twice.
    pub fn enter_race(&mut self, session: &mut Session) -> Option<Race> {
        let service = self.service.as_ref()?;
        let pool = service.pool.as_ref()?;
        let after = pool.hedge_after()?;
        let body = self.taken.as_ref().and_then(Taken::whole);
        let whole =
            body.is_some() || session.is_body_empty() && !session.req_header().headers.contains_key(header::UPGRADE);
        let may_be_sent_twice = self.attempt.idempotent && self.attempt.sent < service.route.retry.attempts;
        if !whole || !may_be_sent_twice || !self.deaths.is_empty() {
            return None;
        }
        let incumbent = Arc::clone(self.trial.as_ref()?.lease.backend());
        let race = Race::new(Plan {
            pool: Arc::clone(pool),
            key: pool.key(session.req_header(), self.request().client),
            tried: self.tried.iter().cloned().chain([incumbent]).collect(),
            budget: Arc::clone(&self.state.retry_budget),
            after,
            connect: pool.timeouts().connect.get(),
            body,
        });
        Some(self.race.insert(race).clone())
    }

    pub fn is_in_race(&self) -> bool {
        self.race.is_some()
    }

    /// An answer has begun, or nobody waits for one any more: the trial becomes that of the race's winner.
    pub(super) fn end_race(&mut self) {
        let (Some(race), Some(trial)) = (self.race.take(), &self.trial) else {
            return;
        };
        let (incumbent, waited) = (Arc::clone(trial.lease.backend()), trial.began.elapsed());
        let pool = self.service.as_ref().and_then(|service| service.pool.as_ref());
        let pool = pool.map_or("", |pool| pool.name()).to_owned();
        match race.verdict() {
            Verdict::Alone => {}
            Verdict::Kept { challenger, outcome } => {
                self.shared.metrics.hedge(&pool, false);
                self.shared
                    .metrics
                    .attempt(&pool, challenger.name(), outcome_label(outcome));
                self.attempt.sent += 1;
                self.tried.push(challenger);
            }
            Verdict::Overtaken { lease, began, failed } => {
                self.shared.metrics.hedge(&pool, true);
                if !failed {
                    trial.lease.was_outrun(waited);
                }
                self.report(if failed { Outcome::Reset } else { Outcome::Cancelled });
                self.attempt.sent += 1;
                self.tried.push(incumbent);
                self.trial = Some(Trial::new(lease, began));
            }
        }
    }

    /// Finds out whether the backend whose connection was lost has died, and what that makes of the request.
    pub async fn learn_of_death(&mut self) -> Suspicion {
        if let Some((backend, before)) = self.lost.take()
            && backend.died_unbidden(before).await
        {
            self.deaths.push(Death::now(backend));
        }
        Suspicion::after(self.deaths.len() as u32)
    }

    /// The last failure's problem, where there was one: it says more than that nobody is left to ask.
    pub(super) fn refusal(&self, refused: Refused) -> Problem {
        self.problem.unwrap_or(match refused {
            Refused::Nobody => problem::NO_BACKEND,
            Refused::QueueFull => problem::QUEUE_FULL,
            Refused::QueueTimeout => problem::QUEUE_TIMEOUT,
        })
    }

    /// Makes sure that there is somebody else, before an answer is given up.
    pub(super) fn reserve_next(&mut self, head: &RequestHeader) -> bool {
        let Some(pool) = self.service.as_ref().and_then(|service| service.pool.as_ref()) else {
            return false;
        };
        let key = pool.key(head, self.request().client);
        self.next = pool.pick_eligible(&key, &self.tried);
        self.next.is_some()
    }
}

/// How long a suspect waits for a worker of its own; a dead one may have to load its models anew.
const ALONE_PATIENCE: Duration = Duration::from_secs(10);
