//! A request on its way through the phases: the rules it began under, whom it asked, and how that went.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::{HeaderValue, Version, header};
use pingora::http::RequestHeader;
use pingora::proxy::Session;

use crate::access_log::Line;
use crate::body::{Limits, RouteBodyConfig, Taken};
use crate::connection::Connection;
use crate::filter::Filter;
use crate::metrics::{Finished, NO_ROUTE};
use crate::pool::{Admission, Backend, Death, Lease, Outcome, Pool, Refused, TimeoutsConfig};
use crate::problem::{self, Problem};
use crate::race::{Plan, Race, Verdict};
use crate::request::{RequestCtx, Scheme};
use crate::retry::{Attempt, Decision, Ending, Failure, Suspicion, is_idempotent};
use crate::route::Route;
use crate::state::{Shared, State};

/// What a request carries from phase to phase.
pub struct Exchange {
    shared: Arc<Shared>,
    pub state: Arc<State>,
    pub connection: Option<Arc<Connection>>,
    pub request: Option<RequestCtx>,
    pub service: Option<Service>,
    /// The way back to the client's own session, where the body has been taken from it.
    pub taken: Option<Taken>,
    /// What the body has to keep to.
    pub body_limits: Limits,
    /// The answer that Veil gives itself.
    pub problem: Option<Problem>,
    /// When the client ceases to wait for the head of its answer, if it says so.
    pub client_deadline: Option<Instant>,
    /// When the request had come in, as far as it is waited for.
    complete: Instant,
    attempt: Attempt,
    tried: Vec<Arc<Backend>>,
    /// Those that died on it, unbidden.
    deaths: Vec<Death>,
    /// Whose connection was lost, with its deaths before; whether it has died is yet to be found out.
    lost: Option<(Arc<Backend>, u64)>,
    /// The attempt under way, or the last one.
    trial: Option<Trial>,
    /// In which the trial's backend is, if the pool hedges.
    race: Option<Race>,
    /// The place for the next attempt, where it had to be sure before the last answer was given up.
    next: Option<Lease>,
    /// An answer is about to be dropped, because `next` may give a better one.
    given_up: bool,
    /// A kept connection was found closed.
    stale: bool,
    /// Why there is a further attempt; empty before the first.
    cause: &'static str,
}

/// Who serves a request.
pub struct Service {
    pub route: Arc<Route>,
    pub pool: Option<Arc<Pool>>,
}

/// One attempt at a backend.
struct Trial {
    lease: Lease,
    began: Instant,
    /// Until the answer's head.
    answered: Option<Duration>,
    deaths_before: u64,
    reported: bool,
}

impl Trial {
    fn new(lease: Lease, began: Instant) -> Self {
        Self {
            deaths_before: lease.backend().deaths(),
            lease,
            began,
            answered: None,
            reported: false,
        }
    }
}

impl Exchange {
    pub fn new(shared: &Arc<Shared>) -> Self {
        shared.metrics.request_began();
        let state = shared.state.load_full();
        Self {
            shared: Arc::clone(shared),
            taken: None,
            body_limits: Limits::new(&state.config.body, &RouteBodyConfig::default()),
            state,
            connection: None,
            request: None,
            service: None,
            problem: None,
            client_deadline: None,
            complete: Instant::now(),
            attempt: Attempt::default(),
            tried: Vec::new(),
            deaths: Vec::new(),
            lost: None,
            trial: None,
            race: None,
            next: None,
            given_up: false,
            stale: false,
            cause: "",
        }
    }

    pub fn request(&self) -> &RequestCtx {
        self.request.as_ref().expect("the first phase makes it")
    }

    /// The route is found.
    pub fn served_by(&mut self, route: Arc<Route>, head: &RequestHeader) {
        let pool = route
            .pool
            .as_ref()
            .and_then(|name| self.state.pools.get(name))
            .map(Arc::clone);
        self.body_limits = Limits::new(&self.state.config.body, &route.body);
        self.attempt.idempotent = is_idempotent(&head.method, route.idempotent);
        self.state.retry_budget.deposit(self.request().received);
        self.service = Some(Service { route, pool });
    }

    /// Whether the request's body is worth reading; the problem to answer with if its pool has no room for it.
    pub fn admit(&self) -> Result<Option<Admission>, Problem> {
        let pool = self.service.as_ref().and_then(|service| service.pool.as_ref());
        pool.map(|pool| pool.admit())
            .transpose()
            .map_err(|refused| self.refusal(refused))
    }

    /// The request has come in; the time that its answer may take runs from here.
    pub fn starts_to_be_served(&mut self) {
        self.complete = Instant::now();
    }

    /// Until the answer has to begin, over all attempts.
    pub fn time_left(&self) -> Duration {
        let total = self.timeouts().map(|timeouts| timeouts.total.get());
        let ours = total.unwrap_or(Duration::MAX).saturating_sub(self.complete.elapsed());
        let clients = self
            .client_deadline
            .map(|deadline| deadline.saturating_duration_since(Instant::now()));
        clients.map_or(ours, |clients| clients.min(ours))
    }

    fn client_has_given_up(&self) -> bool {
        self.client_deadline.is_some_and(|deadline| deadline <= Instant::now())
    }

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
                pool.acquire_alone(&key, &self.tried, &self.deaths, time_left.min(ALONE_PATIENCE))
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
    fn end_race(&mut self) {
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
    fn refusal(&self, refused: Refused) -> Problem {
        self.problem.unwrap_or(match refused {
            Refused::Nobody => problem::NO_BACKEND,
            Refused::QueueFull => problem::QUEUE_FULL,
            Refused::QueueTimeout => problem::QUEUE_TIMEOUT,
        })
    }

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

    /// Makes sure that there is somebody else, before an answer is given up.
    fn reserve_next(&mut self, head: &RequestHeader) -> bool {
        let Some(pool) = self.service.as_ref().and_then(|service| service.pool.as_ref()) else {
            return false;
        };
        let key = pool.key(head, self.request().client);
        self.next = pool.pick_eligible(&key, &self.tried);
        self.next.is_some()
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

    /// The sticky cookie that goes out with a backend's answer, where the client needs one.
    pub fn cookie(&self, head: &RequestHeader) -> Option<HeaderValue> {
        let pool = self.service.as_ref()?.pool.as_ref()?;
        let trial = self.trial.as_ref().filter(|trial| trial.answered.is_some())?;
        let request = self.request();
        let key = pool.key(head, request.client);
        pool.cookie(&key, trial.lease.backend(), request.scheme == Scheme::Https)
    }

    /// The route's; none before it is found.
    pub fn filters(&self) -> &[Box<dyn Filter>] {
        self.service.as_ref().map_or(&[], |service| &service.route.filters)
    }

    pub fn timeouts(&self) -> Option<&TimeoutsConfig> {
        Some(self.service.as_ref()?.pool.as_ref()?.timeouts())
    }

    fn report(&mut self, outcome: Outcome) {
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

    /// Gives the client its own session back, once no backend will be asked any more.
    pub fn let_body_go(&mut self, session: &mut Session) {
        if let Some(taken) = self.taken.take() {
            taken.release(&mut session.downstream_session);
        }
    }

    /// Ends the request: its line, its numbers, its backend's place.
    pub fn finish(&mut self, session: &Session, error: Option<&pingora::Error>) {
        self.end_race();
        self.report(Outcome::Cancelled);
        let Some(request) = &self.request else { return };
        let status = match session.response_written() {
            Some(head) if !head.status.is_informational() => head.status.as_u16(),
            _ => CLIENT_LEFT,
        };
        let duration = request.received.elapsed();
        let route = self.service.as_ref().map(|service| service.route.name.as_str());
        let (request_bytes, response_bytes) = (session.body_bytes_read() as u64, session.body_bytes_sent() as u64);
        let route_label = route.unwrap_or(NO_ROUTE);
        self.shared.metrics.finished(&Finished {
            route: route_label,
            status,
            duration,
            request_bytes,
            response_bytes,
        });
        if self.state.access_log.is_on() {
            let head = session.req_header();
            self.state.access_log.write(&Line {
                time: SystemTime::now(),
                id: request.id.as_str(),
                client: self.logged_client(request.client),
                method: head.method.as_str(),
                host: host(head),
                path: head.uri.path(),
                protocol: protocol(head.version),
                status,
                code: self.problem.as_ref().map(|problem| problem.code),
                request_bytes,
                response_bytes,
                duration,
                route,
                pool: self
                    .service
                    .as_ref()
                    .and_then(|service| service.pool.as_ref())
                    .map(|pool| pool.name()),
                backend: self.trial.as_ref().map(|trial| trial.lease.backend().name()),
                attempts: self.attempt.sent,
                upstream: self.trial.as_ref().and_then(|trial| trial.answered),
                error: self.named(error),
            });
        }
        self.trial = None;
    }

    /// What the line calls an error; where Veil has refused the request itself, the rule behind that.
    fn named<'a>(&self, error: Option<&'a pingora::Error>) -> Option<&'a str> {
        match error.map(pingora::Error::etype) {
            None | Some(pingora::ErrorType::HTTPStatus(_)) => self.problem.and_then(|problem| problem.reason),
            Some(etype) => Some(etype.as_str()),
        }
    }

    /// The request is refused because workers die on it.
    pub fn is_poison(&self) {
        self.shared.metrics.poison_body();
    }

    fn logged_client(&self, client: IpAddr) -> Option<IpAddr> {
        self.state.access_log.config().client_address.keep(client)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.shared.metrics.request_left();
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

/// How long a suspect waits for a worker of its own; a dead one may have to load its models anew.
const ALONE_PATIENCE: Duration = Duration::from_secs(10);

fn cause_label(failure: Failure) -> &'static str {
    match failure {
        Failure::Connect => "connect",
        Failure::Died => "died",
        Failure::TimedOut => "timeout",
        Failure::Busy => "busy",
        Failure::Status(_) => "status",
    }
}

fn outcome_label(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Answered { .. } => "answered",
        Outcome::Busy => "busy",
        Outcome::ConnectFailed => "connect_failed",
        Outcome::Reset => "reset",
        Outcome::TimedOut => "timed_out",
        Outcome::Cancelled => "cancelled",
    }
}

/// Nginx's status for a client that left before its answer.
const CLIENT_LEFT: u16 = 499;

/// The host that the client asked for, as it wrote it.
pub fn host(head: &RequestHeader) -> &str {
    let named = head.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
    head.uri
        .authority()
        .map(|authority| authority.as_str())
        .or(named)
        .unwrap_or_default()
}

/// Whether the client has seen a part of an answer; `100 Continue` is none.
pub fn has_begun_to_answer(session: &Session) -> bool {
    session
        .response_written()
        .is_some_and(|head| !head.status.is_informational())
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_11 => "HTTP/1.1",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP",
    }
}
