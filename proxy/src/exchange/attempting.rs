//! The third stage: the request has come in, and backends are asked for an answer, one after another. The fourth: an
//! answer has begun.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use http::{HeaderValue, Method};
use pingora::http::RequestHeader;
use pingora::protocols::TcpKeepalive;
use pingora::proxy::Session;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource};
use tokio::time::timeout_at;

use super::Rules;
use super::arrived::Arrived;
use super::outcome::{refusal_of, timeout_of};
use super::refusal::Refusal;
use super::routed::Routed;
use super::trial::Trial;
use crate::body::Taken;
use crate::client::proxy_protocol::Ends;
use crate::pool::{Backend, Death, Key, Lease, Pool, Refused, TimeoutsConfig};
use crate::request::Scheme;
use crate::request::deadline::Deadline;
use crate::request::problem::Problem;
use crate::request::trace::Trace;
use crate::request::traffic::Traffic;
use crate::upstream::link::Dial;
use crate::upstream::race::Race;
use crate::upstream::reach::Idle;
use crate::upstream::retry::{Attempt, Suspicion, is_idempotent};

pub struct Attempting {
    pub routed: Routed,
    pub(super) pool: Arc<Pool>,
    /// The way back to the client's own session; taken when no backend will be asked any more.
    pub(super) taken: Option<Taken>,
    /// When the head of an answer has to be there, over all attempts.
    pub(super) deadline: Option<Deadline>,
    /// What the policy of retries has to know of those so far.
    pub(super) attempt: Attempt,
    pub(super) tried: Vec<Arc<Backend>>,
    /// Those that died on it, unbidden.
    pub(super) deaths: Vec<Death>,
    /// Whose connection was lost, with its deaths before; whether it has died is yet to be found out.
    pub(super) lost: Option<(Arc<Backend>, u64)>,
    /// The attempt under way, or the last one.
    pub(super) trial: Option<Trial>,
    /// The place for the next attempt, where it had to be sure before an answer was given up.
    pub(super) next: Option<Lease>,
    /// Why there is a further attempt.
    pub(super) setback: Option<Setback>,
    /// A kept connection was found closed, which is forgiven once.
    pub(super) was_stale: bool,
    /// Somebody has been asked.
    pub(super) has_asked: bool,
    /// Those that failed, where a collector is told of them.
    pub(super) failures: Vec<FailedAttempt>,
}

/// An attempt that came to nothing, as a trace tells of it.
pub(super) struct FailedAttempt {
    pub backend: Arc<Backend>,
    pub span: u64,
    pub began: Instant,
    pub took: Duration,
    /// What metrics call it.
    pub cause: &'static str,
    /// Of an answer that was given up, or broke off.
    pub status: Option<u16>,
}

/// A backend's answer has begun.
pub struct Answered {
    pub attempting: Attempting,
    /// From the attempt's start to the answer's head.
    pub latency: Duration,
}

/// What became of the attempt before.
#[derive(Clone, Copy)]
pub(super) struct Setback {
    /// What metrics call it.
    pub cause: &'static str,
    /// What the client is told if nobody else is left; none where it has a backend's own words.
    pub problem: Option<Problem>,
}

impl Attempting {
    pub fn new(
        routed: Routed,
        pool: Arc<Pool>,
        taken: Taken,
        deadline: Option<Deadline>,
        head: &RequestHeader,
    ) -> Self {
        taken.progress().hold_place(Arc::clone(pool.demand()));
        Self {
            attempt: Attempt {
                idempotent: is_idempotent(&head.method, routed.route.idempotent),
                ..Attempt::default()
            },
            routed,
            pool,
            taken: Some(taken),
            deadline,
            tried: Vec::new(),
            deaths: Vec::new(),
            lost: None,
            trial: None,
            next: None,
            setback: None,
            was_stale: false,
            has_asked: false,
            failures: Vec::new(),
        }
    }

    /// What was known before a route was found.
    pub fn into_arrived(self) -> Arrived {
        self.routed.arrived
    }

    /// Takes a place at a backend that has not been tried.
    pub async fn begin(&mut self, rules: &Rules, head: &RequestHeader) -> Result<(), Refusal> {
        if let Some(deadline) = self.deadline.filter(|deadline| deadline.has_passed(Instant::now())) {
            return Err(timeout_of(deadline.clock).into());
        }
        let lease = match self.next.take() {
            Some(lease) => lease,
            None => self.place(rules, head).await?,
        };
        if let Some(setback) = self.setback {
            rules.shared.metrics.retry(self.pool.name(), setback.cause);
            let notes = &mut self.routed.arrived.request.notes;
            notes.trace = notes.trace.map(Trace::of_next_attempt);
        }
        self.attempt.sent += 1;
        self.trial = Some(Trial::new(lease, Instant::now()));
        Ok(())
    }

    async fn place(&mut self, rules: &Rules, head: &RequestHeader) -> Result<Lease, Refusal> {
        let key = self.key(head);
        if Suspicion::after(self.deaths.len() as u32) == Suspicion::Suspect {
            // The place at the one that died would keep its successor from being idle.
            self.trial = None;
            let patience = self.time_left().min(ALONE_PATIENCE);
            let alone = self.pool.acquire_quarantined(&key, &self.tried, &self.deaths, patience);
            return alone.await.ok_or_else(|| self.nobody_left(rules, Refused::Nobody));
        }
        let place = within(self.deadline, self.pool.acquire(&key, &self.tried)).await;
        let place = place.map_err(|deadline| self.told().unwrap_or(timeout_of(deadline.clock)))?;
        place.map_err(|refused| self.nobody_left(rules, refused))
    }

    /// The last failure's problem, where there was one: it says more than that nobody is left to ask.
    fn nobody_left(&self, rules: &Rules, refused: Refused) -> Refusal {
        self.told()
            .unwrap_or_else(|| rules.unserved(refusal_of(refused)))
            .into()
    }

    pub(super) fn told(&self) -> Option<Problem> {
        self.setback?.problem
    }

    /// How to reach the backend whose turn it is.
    pub fn peer(&mut self, rules: &Rules, head: &RequestHeader) -> Option<Box<HttpPeer>> {
        let dial = self.dial(rules, head)?;
        let backend = self.trial.as_ref()?.backend();
        let mut peer = Box::new(HttpPeer::new(backend.address().as_inet(), false, String::new()));
        let (timeouts, left) = (self.timeouts(), self.time_left());
        // While a kept body is sent, no answer has begun, and whoever waits for one is not asked in between.
        let send = timeouts.send.get();
        peer.options.write_timeout = Some(if self.has_kept_body() { left.min(send) } else { send });
        peer.options.read_timeout = Some(timeouts.read.get());
        peer.options.tcp_keepalive = Some(probes(send));
        peer.options.custom_l4 = Some(dial);
        Some(peer)
    }

    fn dial(&mut self, rules: &Rules, head: &RequestHeader) -> Option<Arc<Dial>> {
        let (client, patience) = (self.ends(), self.patience_to_connect());
        // One that had ended was probably not the only one.
        let idle = (!self.was_stale).then(|| Idle {
            most: self.timeouts().idle.get(),
            is_precious: !self.attempt.idempotent || self.routed.route.retry.attempts < 2,
        });
        let (trial, taken) = (self.trial.as_mut()?, self.taken.as_ref()?);
        let dial = Arc::new(Dial {
            backend: Arc::clone(trial.backend()),
            transport: Arc::clone(self.pool.transport()),
            client,
            idle,
            patience,
            to_head: *self.routed.method(head) == Method::HEAD,
            progress: Arc::clone(taken.progress()),
            traffic: rules.state.logs.tell_of_traffic().then(|| Arc::new(Traffic::begin())),
            spelling: self.routed.spelling().filter(|_| !self.pool.transport().is_shared()),
            made: OnceLock::new(),
        });
        trial.dial = Some(Arc::clone(&dial));
        Some(dial)
    }

    /// Of the client's connection, as a backend that wants to know is told.
    pub(super) fn ends(&self) -> Ends {
        let (request, connection) = (&self.routed.arrived.request, &self.routed.arrived.connection);
        let ip = request.account();
        let port = if ip == request.peer.ip() {
            request.peer.port()
        } else {
            0
        };
        Ends {
            client: SocketAddr::new(ip, port),
            server: connection.local(),
        }
    }

    /// The attempt has its connection.
    pub fn connected(&mut self) {
        let Some(trial) = &mut self.trial else {
            return;
        };
        let raced = trial.race.as_ref().and_then(Race::connection);
        if let Some(connection) = raced.or(trial.made().map(|made| made.connection)) {
            trial.lease.connected(connection);
        }
    }

    /// What the route says of time, and the pool where it says nothing.
    pub(super) fn timeouts(&self) -> TimeoutsConfig {
        self.routed.route.timeouts.over(self.pool.timeouts())
    }

    /// Whether its connection had been kept from an earlier request.
    pub fn is_over_kept_connection(&self) -> bool {
        let made = self.trial.as_ref().and_then(Trial::made);
        made.is_some_and(|made| made.is_kept)
    }

    /// How long this attempt's answer will be waited for, as its backend is told.
    pub fn patience(&self) -> Duration {
        self.time_left().min(self.timeouts().read.get())
    }

    pub(super) fn patience_to_connect(&self) -> Duration {
        self.time_left().min(self.timeouts().connect.get())
    }

    fn time_left(&self) -> Duration {
        let now = Instant::now();
        self.deadline.map_or(Duration::MAX, |deadline| deadline.left(now))
    }

    /// Whether the request has a body that is sent out of memory.
    pub(super) fn has_kept_body(&self) -> bool {
        self.taken.as_ref().is_some_and(|taken| taken.whole().is_some())
    }

    /// Backends that it was sent to.
    pub fn attempts(&self) -> u32 {
        self.attempt.sent
    }

    /// What the pool tells this request apart by.
    pub(super) fn key(&self, head: &RequestHeader) -> Key {
        let request = &self.routed.arrived.request;
        let key = self.pool.key(head, request.account());
        match &request.notes.key {
            Some(text) => key.told_apart_by(text),
            None => key,
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

    /// Workers have died on its body: whoever sends it again is refused at once.
    pub fn remember_poison(&self, rules: &Rules) {
        let body = self
            .taken
            .as_ref()
            .and_then(Taken::whole)
            .and_then(|body| body.upgrade());
        if let Some(Err(error)) = body.map(|body| rules.shared.poison.remember(&body)) {
            tracing::warn!("a body that kills workers cannot be remembered: {error}");
        }
    }

    /// Gives the client its own session back, without what came of an answer.
    pub async fn let_body_go(&mut self, session: &mut Session) {
        if let Some(taken) = self.taken.take() {
            taken.release(&mut session.downstream_session).await;
        }
    }

    /// Gives the client what it has yet to get of its answer, and its own session back. The backend's place is free
    /// meanwhile, however long that takes.
    pub async fn deliver(&mut self, session: &mut Session, error: Option<&Error>) -> pingora::Result<()> {
        if let Some(trial) = &mut self.trial {
            trial.lease.release();
        }
        let Some(taken) = self.taken.take() else { return Ok(()) };
        let downstream = &mut session.downstream_session;
        match error {
            Some(error) if *error.esource() == ErrorSource::Downstream => {
                taken.release(downstream).await;
                Ok(())
            }
            _ => {
                if error.is_some() && taken.progress().is_open_ended() {
                    self.routed.arrived.connection.cut();
                }
                taken.deliver(downstream, error.is_some()).await
            }
        }
    }

    /// Whether an answer has begun of which the client has seen nothing.
    pub fn holds_answer(&self) -> bool {
        self.taken.as_ref().is_some_and(|taken| taken.progress().is_held())
    }
}

impl Answered {
    /// The sticky cookie that goes out with the answer, where the client needs one.
    pub fn cookie(&self, head: &RequestHeader) -> Option<HeaderValue> {
        let attempting = &self.attempting;
        let served = attempting.trial.as_ref()?.backend();
        let under_tls = attempting.routed.arrived.request.scheme == Scheme::Https;
        attempting.pool.cookie(&attempting.key(head), served, under_tls)
    }
}

/// Waits no longer than until the deadline, which is given back then.
async fn within<T>(deadline: Option<Deadline>, what: impl Future<Output = T>) -> Result<T, Deadline> {
    match deadline {
        Some(deadline) => timeout_at(deadline.at.into(), what).await.map_err(|_| deadline),
        None => Ok(what.await),
    }
}

/// How long a suspect waits for a worker of its own; a dead one may have to load its models anew.
const ALONE_PATIENCE: Duration = Duration::from_secs(10);

/// What the kernel has taken and the backend does not acknowledge counts as not sent: a way that swallows packets says
/// nothing of it, nor does a host that is gone. Where nothing is sent because an answer is waited for, probes find out.
fn probes(send: Duration) -> TcpKeepalive {
    let patience = send.clamp(SHORTEST_PROBE, LONGEST_PROBE);
    TcpKeepalive {
        idle: patience.min(QUIET),
        interval: SHORTEST_PROBE,
        // The timeout decides.
        count: 100,
        user_timeout: patience,
    }
}

/// A connection without a packet for so long is asked whether it still leads anywhere.
const QUIET: Duration = Duration::from_secs(3);

/// What the kernel takes.
const SHORTEST_PROBE: Duration = Duration::from_secs(1);
const LONGEST_PROBE: Duration = Duration::from_secs(3600);
