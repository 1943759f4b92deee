//! The second stage: it is known who serves the request. The route's filters look at its head, and its body is read.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use http::{Method, Version, header};
use pingora::http::RequestHeader;
use pingora::proxy::Session;

use super::arrived::Arrived;
use super::attempting::Attempting;
use super::refusal::Refusal;
use super::{Rules, hop, outcome};
use crate::body::{self, AnswerLimits, Keeping, Limits, ReadError, Taken, Whole};
use crate::client::forwarded;
use crate::client::listener::Listener;
use crate::filter::Recall;
use crate::observe::metrics::Metrics;
use crate::pool::Pool;
use crate::request::RequestCtx;
use crate::request::deadline::Patience;
use crate::request::expression::Groups;
use crate::request::path::{self, PathError, Paths, Slashes};
use crate::request::problem::{self, Problem};
use crate::request::spelling::Spelling;
use crate::request::syntax::promised_length;
use crate::request::trace::TRACEPARENT;
use crate::route::{Mirror, NoRoute, Route, Router};

pub struct Routed {
    pub arrived: Arrived,
    pub route: Arc<Route>,
    /// Who serves it, of the route's pools.
    pub pool: Option<Arc<Pool>>,
}

impl Routed {
    /// How the client has sent its target, where that is how a backend gets it.
    pub fn spelling(&self) -> Option<Arc<Spelling>> {
        let listener = self.arrived.connection.listener.config.paths;
        let spelling = self.arrived.request.notes.spelling.clone()?;
        (self.route.paths.unwrap_or(listener) == Paths::AsSent).then_some(spelling)
    }

    /// Reads the body under limits, if the pool has room for the request, and is ready to ask backends then.
    ///
    /// # Errors
    /// Nobody would serve it, or its body is not to be had. Nothing at all is to be said where the client has left.
    pub async fn read_body(&self, rules: &Rules, session: &mut Session) -> Result<(Arc<Pool>, Taken), NotRead> {
        let pool = self.pool.as_ref().ok_or(problem::NO_ROUTE).map_err(Refusal::from)?;
        let admission = pool
            .admit()
            .map_err(|refused| rules.unserved(outcome::refusal_of(refused)));
        let admission = admission.map_err(Refusal::from)?;
        let limits = Limits::new(&rules.state.config.body, &self.route.body);
        let downstream = &mut session.downstream_session;
        let instead = self.route.body.replace.as_ref();
        let instead = instead.map(|text| text.bytes(downstream.req_header(), &self.arrived.request).into());
        let taken = body::take(downstream, &limits, self.keeping(rules), self.patience(pool), instead).await;
        drop(admission);
        match taken {
            Ok(taken) => Ok((Arc::clone(pool), taken)),
            Err(error) => {
                session.set_keepalive(None);
                Err(error.into())
            }
        }
    }

    /// What the route's filters say of the body, where it is kept.
    pub fn look_at(&self, taken: &Taken, head: &RequestHeader) -> Result<(), Problem> {
        if !self.route.looks_at_bodies {
            return Ok(());
        }
        let Some(body) = taken.whole().and_then(|body| body.upgrade()) else {
            return Ok(());
        };
        let beginning = body.beginning(LOOKED_AT).map_err(|_| problem::INTERNAL)?;
        self.route
            .filters
            .iter()
            .try_for_each(|filter| filter.on_body(&beginning, head, &self.arrived.request))
    }

    /// What the route's filters know of a request whose body is kept.
    pub fn recall(&self, taken: &Taken, head: &RequestHeader) -> Option<Recall> {
        if !self.route.looks_at_bodies {
            return None;
        }
        let body = taken.whole()?.upgrade()?;
        let sent = || self.copied(head, Some(&body)).ok();
        let mut filters = self.route.filters.iter();
        filters.find_map(|filter| filter.recall(&body, head, &self.arrived.request, &sent))
    }

    /// Sends copies elsewhere, where the route says so and the body can be had twice.
    pub fn mirror(&self, taken: &Taken, head: &RequestHeader, metrics: &Metrics) {
        let mut mirrors = self.route.mirrors.iter().peekable();
        if mirrors.peek().is_none() || head.headers.contains_key(header::UPGRADE) {
            return;
        }
        let kept = taken.whole().and_then(|body| body.upgrade());
        let has_body = head.headers.contains_key(header::TRANSFER_ENCODING)
            || promised_length(head).is_some_and(|length| length > 0);
        for mirror in mirrors.filter(|mirror| mirror.wants(head, &self.arrived.request)) {
            let body = kept.clone().filter(|_| mirror.has_body());
            if body.is_none() && has_body && mirror.has_body() {
                metrics.copy(mirror.pool(), "no_body");
                continue;
            }
            let copy = self.mirrored(mirror, head, body.as_deref());
            let is_sent = copy.is_ok_and(|copy| mirror.send(copy, body, &self.arrived.request));
            metrics.copy(mirror.pool(), if is_sent { "sent" } else { "left_out" });
        }
    }

    fn mirrored(&self, mirror: &Mirror, head: &RequestHeader, body: Option<&Whole>) -> pingora::Result<RequestHeader> {
        let request = &self.arrived.request;
        let mut copy = self.bare_copy(head, body)?;
        match (mirror.changes(&mut copy, request)?, request.notes.trace) {
            (false, _) => copy = self.copied(head, body)?,
            (true, Some(trace)) if copy.headers.contains_key(TRACEPARENT) => {
                copy.insert_header(TRACEPARENT, trace.of_copy().to_string())?;
            }
            (true, _) => {}
        }
        mirror.asks(&mut copy, head, request)?;
        Ok(copy)
    }

    /// By which backends are asked.
    pub fn method<'a>(&'a self, head: &'a RequestHeader) -> &'a Method {
        self.arrived.request.notes.method.as_ref().unwrap_or(&head.method)
    }

    /// The head as a backend gets it.
    fn copied(&self, head: &RequestHeader, body: Option<&Whole>) -> pingora::Result<RequestHeader> {
        let (mut copy, request) = (self.bare_copy(head, body)?, &self.arrived.request);
        forwarded::tell_backend(&mut copy, request, &self.route.tells_backends)?;
        if let Some(trace) = request.notes.trace {
            copy.insert_header(TRACEPARENT, trace.of_copy().to_string())?;
        }
        for filter in &self.route.filters {
            filter.on_upstream_request(&mut copy, request);
        }
        Ok(copy)
    }

    /// What is the same whoever gets it.
    fn bare_copy(&self, head: &RequestHeader, body: Option<&Whole>) -> pingora::Result<RequestHeader> {
        let request = &self.arrived.request;
        let mut copy = head.clone();
        request.notes.say_otherwise(&mut copy)?;
        copy.set_version(Version::HTTP_11);
        hop::forget_connection(&mut copy);
        copy.remove_header(&header::EXPECT);
        match body {
            Some(body) => copy.insert_header(header::CONTENT_LENGTH, body.length())?,
            None => drop(copy.remove_header(&header::CONTENT_LENGTH)),
        }
        Ok(copy)
    }

    /// The request has come in; the time that its answer may take runs from here.
    pub fn attempt(self, pool: Arc<Pool>, taken: Taken, head: &RequestHeader) -> Attempting {
        if self.arrived.request.notes.jumps > 0 {
            taken.wait_anew(self.patience(&pool));
        }
        let deadline = self.patience(&pool).deadline(Some(Instant::now()));
        Attempting::new(self, pool, taken, deadline, head)
    }

    /// How the bodies of the request and of its answer are kept.
    fn keeping(&self, rules: &Rules) -> Keeping {
        let config = &rules.state.config;
        let Arrived {
            request, connection, ..
        } = &self.arrived;
        let limits = AnswerLimits::new(
            (&config.answers, &self.route.answers),
            (&config.body, &self.route.body),
            connection.listener.config.timeouts.send.get(),
        );
        Keeping {
            limits: AnswerLimits {
                pace: request.notes.pace,
                ..limits
            },
            budget: Arc::clone(&rules.state.body_budget),
            client: request.account(),
        }
    }

    fn patience(&self, pool: &Pool) -> Patience {
        Patience {
            total: Some(self.route.timeouts.over(pool.timeouts()).total()),
            client: self.arrived.client_deadline,
        }
    }
}

/// Bytes of a body that filters see: a JPEG's size may come after all else that its head holds.
const LOOKED_AT: usize = 1 << 20;

/// Why a body has not been read.
pub enum NotRead {
    Refused(Refusal),
    /// Nobody is left to answer.
    ClientLeft,
}

impl From<Refusal> for NotRead {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<ReadError> for NotRead {
    fn from(error: ReadError) -> Self {
        error
            .problem()
            .map_or(Self::ClientLeft, |problem| Self::Refused(problem.into()))
    }
}

/// What is known of a request once its route is found.
pub struct Way {
    pub route: Arc<Route>,
    pub captures: Groups,
}

/// The path that routes match, if that is not the one that was sent.
pub fn other_path(head: &RequestHeader, slashes: Slashes) -> Result<Option<Box<str>>, Refusal> {
    let sent = head.raw_path();
    let sent = sent.split(|byte| *byte == b'?').next().unwrap_or_default();
    let path = slashes.normal(sent).map_err(bad_path)?;
    Ok((path.as_bytes() != sent).then(|| path.into_owned().into_boxed_str()))
}

/// The route of this name.
pub fn named(router: &Router, name: &str) -> Result<Way, Refusal> {
    let route = router.named(name).ok_or(problem::NO_ROUTE)?;
    Ok(Way {
        route: Arc::clone(route),
        captures: Groups::default(),
    })
}

/// The route for a request. Leaves the path in its
/// one spelling where listener or route are strict.
pub fn find(router: &Router, listener: &Listener, session: &mut Session, request: &RequestCtx) -> Result<Way, Refusal> {
    let head = session.req_header();
    // Who speaks so may take what follows for something else.
    if matches!(head.method, Method::CONNECT | Method::TRACE) || hop::says_close(head) {
        session.set_keepalive(None);
    }
    let head = session.req_header();
    if head.method == Method::CONNECT {
        return Err(problem::METHOD_NOT_ALLOWED.into());
    }
    let spelling = || path::canonical(head.uri.path()).map_err(bad_path);
    let paths = listener.config.paths;
    let mut canonical = match paths {
        Paths::Strict => Some(spelling()?),
        Paths::AsSent => None,
    };
    let (route, captures) = match router.find(&listener.name, request.path(head), head, request) {
        Ok(found) if head.method == Method::TRACE && !found.route.names(&head.method) => {
            return Err(Refusal::of_method(&OF_ANY_ROUTE));
        }
        Ok(found) => (Arc::clone(found.route), found.captures),
        Err(NoRoute::NotFound) => return Err(problem::NO_ROUTE.into()),
        Err(NoRoute::MethodNotAllowed(allowed)) => return Err(Refusal::of_method(&allowed)),
        Err(NoRoute::ConditionFailed(_)) => return Err(problem::SCRIPT_FAILED.into()),
    };
    match route.paths.unwrap_or(paths) {
        Paths::Strict if canonical.is_none() => canonical = Some(spelling()?),
        Paths::Strict => {}
        Paths::AsSent => canonical = None,
    }
    if let Some(Cow::Owned(path)) = canonical {
        path::respell(session.req_header_mut(), &path).map_err(|_| problem::BAD_PATH)?;
    }
    Ok(Way { route, captures })
}

/// What a route takes that names no methods: TRACE has to be named.
const OF_ANY_ROUTE: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::OPTIONS,
    Method::PATCH,
];

fn bad_path(error: PathError) -> Problem {
    Problem {
        reason: Some(error.reason()),
        ..problem::BAD_PATH
    }
}
