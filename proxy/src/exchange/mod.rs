//! A request on its way through the phases: the rules it began under, whom it asked, and how that went.

mod attempt;
mod finish;
mod outcome;
pub mod phases;

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderValue;
use pingora::http::RequestHeader;
use pingora::proxy::Session;

use crate::body::{Limits, RouteBodyConfig, Taken};
use crate::client::connection::Connection;
use crate::filter::Filter;
use crate::pool::{Admission, Backend, Death, Lease, Pool, TimeoutsConfig};
use crate::request::problem::Problem;
use crate::request::{RequestCtx, Scheme};
use crate::route::Route;
use crate::state::{Shared, State};
use crate::upstream::race::Race;
use crate::upstream::retry::{Attempt, is_idempotent};

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

    /// Gives the client its own session back, once no backend will be asked any more.
    pub fn let_body_go(&mut self, session: &mut Session) {
        if let Some(taken) = self.taken.take() {
            taken.release(&mut session.downstream_session);
        }
    }

    /// The request is refused because workers die on it.
    pub fn is_poison(&self) {
        self.shared.metrics.poison_body();
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.shared.metrics.request_left();
    }
}

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
