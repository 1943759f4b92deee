//! The second stage: it is known who serves the request. The route's filters look at its head, and its body is read.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use http::Method;
use pingora::http::RequestHeader;
use pingora::proxy::Session;

use super::arrived::Arrived;
use super::attempting::Attempting;
use super::refusal::Refusal;
use super::{Rules, outcome};
use crate::body::{self, AnswerLimits, Keeping, Limits, ReadError, Taken};
use crate::pool::Pool;
use crate::request::deadline::Patience;
use crate::request::path::{self, PathError, Paths};
use crate::request::problem::{self, Problem};
use crate::request::syntax::host;
use crate::route::{NoRoute, Route, Router};

pub struct Routed {
    pub arrived: Arrived,
    pub route: Arc<Route>,
}

impl Routed {
    /// Reads the body under limits, if the pool has room for the request, and is ready to ask backends then.
    ///
    /// # Errors
    /// Nobody would serve it, or its body is not to be had. Nothing at all is to be said where the client has left.
    pub async fn read_body(&self, rules: &Rules, session: &mut Session) -> Result<(Arc<Pool>, Taken), NotRead> {
        let pool = self
            .route
            .pool
            .as_ref()
            .ok_or(problem::NO_ROUTE)
            .map_err(Refusal::from)?;
        let admission = pool.admit().map_err(outcome::refusal_of).map_err(Refusal::from)?;
        let limits = Limits::new(&rules.state.config.body, &self.route.body);
        let downstream = &mut session.downstream_session;
        let taken = body::take(downstream, &limits, self.keeping(rules), self.patience(pool)).await;
        drop(admission);
        match taken {
            Ok(taken) => Ok((Arc::clone(pool), taken)),
            Err(error) => {
                session.set_keepalive(None);
                Err(error.into())
            }
        }
    }

    /// The request has come in; the time that its answer may take runs from here.
    pub fn attempt(self, pool: Arc<Pool>, taken: Taken, head: &RequestHeader) -> Attempting {
        let deadline = self.patience(&pool).deadline(Some(Instant::now()));
        Attempting::new(self, pool, taken, deadline, head)
    }

    /// How the bodies of the request and of its answer are kept.
    fn keeping(&self, rules: &Rules) -> Keeping {
        let config = &rules.state.config;
        let Arrived {
            request, connection, ..
        } = &self.arrived;
        Keeping {
            limits: AnswerLimits::new(
                (&config.answers, &self.route.answers),
                (&config.body, &self.route.body),
                connection.listener.config.timeouts.send.get(),
            ),
            budget: Arc::clone(&rules.state.body_budget),
            client: request.account(),
        }
    }

    fn patience(&self, pool: &Pool) -> Patience {
        Patience {
            total: Some(pool.timeouts().total()),
            client: self.arrived.client_deadline,
        }
    }
}

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

/// The route for a request, and the path that it was found by if that is not the one that was sent. Leaves the path in its
/// one spelling where listener or route are strict.
pub fn find(router: &Router, paths: Paths, session: &mut Session) -> Result<(Arc<Route>, Option<Box<str>>), Refusal> {
    let head = session.req_header();
    if head.method == Method::CONNECT {
        return Err(problem::METHOD_NOT_ALLOWED.into());
    }
    let sent = head.raw_path();
    let sent = sent.split(|byte| *byte == b'?').next().unwrap_or_default();
    let spelling = || path::canonical(head.uri.path()).map_err(bad_path);
    let mut canonical = match paths {
        Paths::Strict => Some(spelling()?),
        Paths::AsSent => None,
    };
    let path = path::normal(sent).map_err(bad_path)?;
    let route = match router.find(host(head), &path, &head.method) {
        Ok(route) if head.method == Method::TRACE && !route.names(&head.method) => {
            return Err(problem::METHOD_NOT_ALLOWED.into());
        }
        Ok(route) => Arc::clone(route),
        Err(NoRoute::NotFound) => return Err(problem::NO_ROUTE.into()),
        Err(NoRoute::MethodNotAllowed(allowed)) => return Err(Refusal::of_method(&allowed)),
    };
    match route.paths.unwrap_or(paths) {
        Paths::Strict if canonical.is_none() => canonical = Some(spelling()?),
        Paths::Strict => {}
        Paths::AsSent => canonical = None,
    }
    let found_by = (path.as_bytes() != sent).then(|| path.into_owned().into_boxed_str());
    if let Some(Cow::Owned(path)) = canonical {
        path::respell(session.req_header_mut(), &path).map_err(|_| problem::BAD_PATH)?;
    }
    Ok((route, found_by))
}

fn bad_path(error: PathError) -> Problem {
    Problem {
        reason: Some(error.reason()),
        ..problem::BAD_PATH
    }
}
