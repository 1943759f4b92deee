//! A request followed as far as to its backends, without a socket: which route takes it, what each filter does to it, and what
//! a backend would get or Veil itself would answer. It asks the routes and filters themselves.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header;
use pingora::http::{RequestHeader, ResponseHeader};
use serde::Serialize;

use super::Config;
pub use super::asked::{Asked, RehearsalError, url};
use super::effects::{AnswerBefore, Before};
use super::own_answer::Own;
use crate::client::forwarded;
use crate::filter::{Besides, BodyChange, Filter, FilterError, Settled, Workshop};
use crate::request::RequestCtx;
use crate::request::jump::jump;
use crate::request::path::{self, PathError, Paths};
use crate::request::problem::{self, Problem};
use crate::request::syntax::{host_name, request_uri};
use crate::request::target;
use crate::route::{Fit, PathPattern, RouteConfig, Router};
use crate::script::{Seen, Store};

/// How it went.
pub struct Rehearsal<'a> {
    /// Routes that were asked whether they take it, until one did.
    pub considered: Vec<Considered>,
    pub route: Option<&'a RouteConfig>,
    /// Those of the route, until one ended the request.
    pub filters: Vec<Filtered>,
    pub ends: Ends,
    /// What filters do to the head that a backend gets: `filter request_headers sets x-tenant: acme`.
    pub on_sent: Vec<String>,
    /// What filters do to the answer, a backend's or Veil's own: `filter response_headers sets x-frame-options: DENY`.
    pub on_answer: Vec<String>,
    /// The answer's head as the client gets it.
    pub answer: Box<ResponseHeader>,
    /// Its body, where it is known.
    pub body: Option<Bytes>,
    /// More on a refusal.
    pub why: Option<String>,
    /// Path and query in their one spelling, where that is another.
    pub respelt: Option<String>,
    /// What is known of the request in the end.
    pub ctx: RequestCtx,
    /// As the filters have left it.
    pub head: RequestHeader,
    reroute: Option<Option<Arc<str>>>,
}

/// Where it ends.
pub enum Ends {
    /// Veil answers itself; a problem's code says why.
    Answered(Option<&'static str>),
    /// A backend of this pool gets this.
    Sent(Option<String>, Box<RequestHeader>),
}

#[derive(Debug, Serialize)]
pub struct Considered {
    pub route: String,
    pub fit: Fit,
    /// Why its condition fails on the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct Filtered {
    pub filter: &'static str,
    /// What it did to the request: `sets X-Tier: gold`.
    pub effects: Vec<String>,
    /// None where the request goes on.
    pub answers: Option<String>,
}

/// Where requests are followed: each route's filters are made once, and remember those that have passed.
pub struct Stage<'a> {
    config: &'a Config,
    store: Arc<Store>,
    built: RefCell<HashMap<String, Rc<[Named]>>>,
}

impl<'a> Stage<'a> {
    pub fn new(config: &'a Config) -> Self {
        Self {
            config,
            store: Arc::default(),
            built: RefCell::default(),
        }
    }

    /// Follows a request.
    ///
    /// # Errors
    /// What a filter needs is not there.
    pub async fn rehearse(&self, asked: Asked) -> Result<Rehearsal<'a>, RehearsalError> {
        let mut asked = asked;
        asked.ctx.tables = self.config.tables.for_requests();
        let strict = asked.paths;
        let (considered, route) = match spelling(strict, &asked.head) {
            Ok(_) => found(self.config, &asked.listener, &asked.head, &asked.ctx),
            Err(_) => (Vec::new(), Err(problem::BAD_PATH)),
        };
        let paths = route.ok().and_then(|route| route.paths).unwrap_or(strict);
        let spelling = spelling(paths, &asked.head);
        let listener = asked.listener.clone();
        let mut rehearsal = Rehearsal::new(asked, considered, route.ok());
        match (route, spelling) {
            (Ok(route), Ok(spelling)) => {
                rehearsal.respell(spelling)?;
                let mut next = Some(route);
                while let Some(route) = next {
                    let filters = self.filters(route)?;
                    next = match rehearsal.pass(route, &filters).await {
                        true => rehearsal.jump(self.config, &listener),
                        false => None,
                    };
                }
            }
            (Err(problem), Ok(_)) => rehearsal.refused(problem, &[]),
            (_, Err(error)) => {
                rehearsal.why = Some(error.to_string());
                rehearsal.refused(problem::BAD_PATH, &[]);
            }
        }
        Ok(rehearsal)
    }

    fn filters(&self, route: &RouteConfig) -> Result<Rc<[Named]>, RehearsalError> {
        if let Some(filters) = self.built.borrow().get(&route.name()) {
            return Ok(Rc::clone(filters));
        }
        let name = route.name();
        let workshop = Workshop {
            store: Some(&self.store),
            route: Some(&name),
            ..Workshop::default()
        };
        let built = route.filters.iter();
        let built = built.map(|filter| Ok::<Named, FilterError>((filter.name(), filter.build(&workshop)?)));
        let built: Rc<[Named]> = built.collect::<Result<_, _>>()?;
        self.built.borrow_mut().insert(route.name(), Rc::clone(&built));
        Ok(built)
    }
}

/// The path in its one spelling, where that is wanted.
fn spelling(paths: Paths, head: &RequestHeader) -> Result<Option<String>, PathError> {
    match paths {
        Paths::Strict => path::canonical(head.uri.path()).map(|path| Some(path.into_owned())),
        Paths::AsSent => Ok(None),
    }
}

/// The route, or why there is none.
fn found<'a>(
    config: &'a Config,
    listener: &str,
    head: &RequestHeader,
    ctx: &RequestCtx,
) -> (Vec<Considered>, Result<&'a RouteConfig, Problem>) {
    let (mut considered, mut refused) = (Vec::new(), None::<&RouteConfig>);
    let (host, path) = (host(head), ctx.path(head));
    for route in Router::in_order(&config.routes, &host) {
        if refused.is_some_and(|first| !route.r#match.is_beside(&first.r#match)) {
            continue;
        }
        let (fit, why) = match route.r#match.fit(listener, &host, path, head, ctx.notes.jumps > 0) {
            Fit::Takes => held(route, head, ctx),
            fit => (fit, None),
        };
        considered.push(Considered {
            route: route.name(),
            fit,
            why,
        });
        match fit {
            Fit::Takes => return (considered, Ok(route)),
            Fit::ConditionFails => return (considered, Err(problem::SCRIPT_FAILED)),
            Fit::OtherMethod => refused = Some(route),
            _ => {}
        }
    }
    (
        considered,
        Err(refused.map_or(problem::NO_ROUTE, |_| problem::METHOD_NOT_ALLOWED)),
    )
}

fn host(head: &RequestHeader) -> String {
    let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    host_name(host.unwrap_or_default()).to_owned()
}

/// Whether its condition holds; why not, where that cannot be said.
fn held(route: &RouteConfig, head: &RequestHeader, ctx: &RequestCtx) -> (Fit, Option<String>) {
    let held = route
        .when
        .as_ref()
        .map(|when| when.holds(Seen::of(head, ctx), &route.name()));
    match held {
        None | Some(Ok(true)) => (Fit::Takes, None),
        Some(Ok(false)) => (Fit::OtherCondition, None),
        Some(Err(failure)) => (Fit::ConditionFails, Some(failure.to_string())),
    }
}

impl<'a> Rehearsal<'a> {
    fn new(asked: Asked, considered: Vec<Considered>, route: Option<&'a RouteConfig>) -> Self {
        let Asked { head, ctx, answer, .. } = asked;
        Self {
            considered,
            route,
            filters: Vec::new(),
            ends: Ends::Sent(None, Box::new(head.clone())),
            on_sent: Vec::new(),
            on_answer: Vec::new(),
            answer: Box::new(answer),
            body: None,
            why: None,
            respelt: None,
            ctx,
            head,
            reroute: None,
        }
    }

    fn respell(&mut self, spelling: Option<String>) -> Result<(), RehearsalError> {
        let Some(spelling) = spelling.filter(|spelling| spelling != self.head.uri.path()) else {
            return Ok(());
        };
        path::respell(&mut self.head, &spelling).map_err(|_| RehearsalError::Target(spelling))?;
        self.respelt = Some(String::from_utf8_lossy(request_uri(&self.head)).into_owned());
        Ok(())
    }

    /// The route that the target leads to now.
    fn jump<'c>(&mut self, config: &'c Config, listener: &str) -> Option<&'c RouteConfig> {
        if let Err(problem) = jump(&mut self.ctx) {
            self.refused(problem, &[]);
            return None;
        }
        if let Some(name) = self.reroute.take().flatten() {
            return config.routes.iter().find(|route| route.name() == *name);
        }
        let (considered, route) = found(config, listener, &self.head, &self.ctx);
        self.considered.extend(considered);
        route.map_err(|problem| self.refused(problem, &[])).ok()
    }

    /// Whether it goes to another route.
    async fn pass(&mut self, route: &RouteConfig, filters: &[Named]) -> bool {
        if let PathPattern::Regex(expression) = &route.r#match.path {
            let groups = expression.groups(self.ctx.path(&self.head), target::escaped_group);
            self.ctx.notes.captures = groups.unwrap_or_default();
        }
        self.ctx.notes.route = Some(route.name().into());
        let pool = route.pool_for(&self.head, &self.ctx).cloned();
        self.ctx.notes.pool = pool.as_deref().map(Into::into);
        for filter in filters {
            if self.ends_at(filter, filters).await {
                return self.reroute.is_some();
            }
        }
        match self.ctx.notes.wanted_pool.as_deref().map(str::to_owned).or(pool) {
            None => self.refused(problem::NO_ROUTE, filters),
            pool => self.sent(pool, route, filters),
        }
        false
    }

    async fn ends_at(&mut self, (name, filter): &Named, all: &[Named]) -> bool {
        let before = Before::of(&self.head, &self.ctx);
        let settled = filter.on_request(&mut self.head, &mut self.ctx).settled().await;
        let answered = match settled {
            Settled::Continue => None,
            Settled::Amend(amend) => {
                amend(&mut self.head, &mut self.ctx);
                None
            }
            Settled::Reroute(to) => {
                self.reroute = Some(to);
                None
            }
            Settled::Answer(answer) => Some(Own::answer(*answer)),
            Settled::Refuse(problem, besides) => Own::refusal(problem, besides, &self.ctx),
        };
        self.filters.push(Filtered {
            filter: name,
            effects: before.effects(&self.head, &self.ctx),
            answers: answered.as_ref().map(ToString::to_string),
        });
        let Some(answer) = answered else {
            return self.reroute.is_some();
        };
        self.answered(answer, all);
        true
    }

    fn refused(&mut self, problem: Problem, filters: &[Named]) {
        if let Some(answer) = Own::refusal(problem, Besides::default(), &self.ctx) {
            self.answered(answer, filters);
        }
    }

    fn answered(&mut self, answer: Own, filters: &[Named]) {
        self.ends = Ends::Answered(answer.code);
        *self.answer = answer.head;
        self.body = answer.body;
        self.comes_back(filters);
    }

    /// To a backend, which answers as it was said that it does.
    fn sent(&mut self, pool: Option<String>, route: &RouteConfig, filters: &[Named]) {
        let mut head = self.head.clone();
        let _ = self.ctx.notes.say_otherwise(&mut head);
        let _ = forwarded::tell_backend(&mut head, &self.ctx, &route.tells_backends);
        for (name, filter) in filters {
            let before = Before::of(&head, &self.ctx);
            filter.on_upstream_request(&mut head, &self.ctx);
            told(name, before.effects(&head, &self.ctx), &mut self.on_sent);
        }
        self.ends = Ends::Sent(pool, Box::new(head));
        self.ctx.notes.upstream = Some((self.answer.status.as_u16(), Duration::ZERO));
        self.comes_back(filters);
    }

    fn comes_back(&mut self, filters: &[Named]) {
        self.ctx.notes.status = Some(self.answer.status.as_u16());
        self.ctx.notes.answer_type = self.answer.headers.get(header::CONTENT_TYPE).cloned();
        for (name, filter) in filters.iter().rev() {
            let before = AnswerBefore::of(&self.answer, &self.ctx);
            match filter.on_response(&mut self.answer, &self.head, &self.ctx) {
                None => {}
                Some(BodyChange::Replaced(body)) => self.body = Some(body),
                Some(BodyChange::Through(_)) => self.body = None,
            }
            told(name, before.effects(&self.answer, &self.ctx), &mut self.on_answer);
        }
        self.ctx.notes.take_late();
    }
}

fn told(filter: &str, effects: Vec<String>, of: &mut Vec<String>) {
    of.extend(effects.into_iter().map(|effect| format!("filter {filter} {effect}")));
}

/// A filter with its name in YAML.
type Named = (&'static str, Arc<dyn Filter>);
