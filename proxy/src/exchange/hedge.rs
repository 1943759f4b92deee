//! Races: where a pool hedges, an attempt may become one between two backends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{Method, header};
use pingora::proxy::Session;
use pingora::upstreams::peer::HttpPeer;

use super::Rules;
use super::attempting::Attempting;
use super::trial::Trial;
use crate::body::Taken;
use crate::pool::Outcome;
use crate::upstream::race::{Plan, Race, Verdict};

/// Tells the connections of one race from those of others, and from those that are kept.
static NEXT_RACE: AtomicU64 = AtomicU64::new(1);

impl Attempting {
    /// Enters the attempt at hand into a race with a second backend, where the pool hedges and the request may be sent
    /// twice.
    pub fn enter_race(&mut self, rules: &Rules, session: &mut Session, peer: &mut HttpPeer) {
        let Some(race) = self.race(rules, session) else { return };
        // A kept connection could not be raced with, and two that raced are not kept.
        peer.group_key = NEXT_RACE.fetch_add(1, Ordering::Relaxed);
        peer.options.custom_l4 = Some(Arc::new(race.clone()));
        peer.options.idle_timeout = Some(Duration::ZERO);
        if let Some(trial) = &mut self.trial {
            trial.dial = None;
            trial.race = Some(race);
        }
    }

    fn race(&self, rules: &Rules, session: &mut Session) -> Option<Race> {
        let after = self.pool.hedge_after()?;
        let body = self.taken.as_ref().and_then(Taken::whole);
        let whole =
            (body.is_some() || session.is_body_empty()) && !session.req_header().headers.contains_key(header::UPGRADE);
        let may_be_sent_twice = self.attempt.idempotent && self.attempt.sent < self.routed.route.retry.attempts;
        if !whole || !may_be_sent_twice || !self.deaths.is_empty() {
            return None;
        }
        let incumbent = Arc::clone(self.trial.as_ref()?.backend());
        Some(Race::new(Plan {
            pool: Arc::clone(&self.pool),
            incumbent: Arc::clone(&incumbent),
            client: self.ends(),
            key: self.key(session.req_header()),
            tried: self.tried.iter().cloned().chain([incumbent]).collect(),
            budget: Arc::clone(&rules.state.retry_budget),
            after,
            connect: self.patience_to_connect(),
            body,
            to_head: session.req_header().method == Method::HEAD,
            progress: Arc::clone(self.taken.as_ref()?.progress()),
        }))
    }

    pub fn is_in_race(&self) -> bool {
        self.trial.as_ref().is_some_and(|trial| trial.race.is_some())
    }

    /// An answer has begun, or nobody waits for one any more: the trial becomes that of the race's winner.
    pub(super) fn end_race(&mut self, rules: &Rules) {
        let Some(trial) = &mut self.trial else { return };
        let Some(race) = trial.race.take() else { return };
        let (incumbent, waited) = (Arc::clone(trial.backend()), trial.began.elapsed());
        let (metrics, pool) = (&rules.shared.metrics, self.pool.name());
        match race.verdict() {
            Verdict::Alone => {}
            Verdict::Kept { challenger } => {
                metrics.hedge(pool, false);
                self.attempt.sent += 1;
                self.tried.push(challenger);
            }
            Verdict::Overtaken { lease, began, failed } => {
                metrics.hedge(pool, true);
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
}
