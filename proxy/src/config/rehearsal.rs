//! A request followed as far as to its backends, without a socket: which route takes it, what each filter does to it, and what
//! a backend would get or Veil itself would answer. It asks the routes and filters themselves.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use http::{Method, StatusCode, header};
use pingora::http::{RequestHeader, ResponseHeader};
use serde::Serialize;

use super::Config;
use super::effects::{AnswerBefore, Before};
use crate::client::forwarded;
use crate::filter::{Filter, FilterError, Settled, Workshop};
use crate::request::jump::jump;
use crate::request::notes::Notes;
use crate::request::path::{self, PathError, Paths};
use crate::request::problem::{self, Problem};
use crate::request::syntax::{host_name, request_uri};
use crate::request::target;
use crate::request::{RequestCtx, RequestId, Scheme};
use crate::route::{Fit, PathPattern, RouteConfig, Router};
use crate::script::Seen;
use crate::yaml::diagnostic::suggest;

/// A request that is not sent.
pub struct Asked {
    pub head: RequestHeader,
    pub ctx: RequestCtx,
    /// By which it came.
    pub listener: String,
    paths: Paths,
}

/// Why a request cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum RehearsalError {
    #[error("{0:?} is not a URL; write https://host/path?query")]
    Url(String),
    #[error("{0:?} cannot be asked for")]
    Target(String),
    #[error("{path:?}: {error}")]
    Path { path: String, error: PathError },
    #[error("there is no listener {listener:?}{}", help.as_deref().map(|help| format!("\n  help: {help}")).unwrap_or_default())]
    NoListener { listener: String, help: Option<String> },
    #[error(transparent)]
    Filter(#[from] FilterError),
}

impl Asked {
    /// `target` is path and query.
    pub fn new(
        method: &Method,
        scheme: Scheme,
        host: &str,
        target: &str,
        client: IpAddr,
    ) -> Result<Self, RehearsalError> {
        let wrong = |_| RehearsalError::Target(target.to_owned());
        let mut head = RequestHeader::build(method.clone(), target.as_bytes(), None).map_err(wrong)?;
        head.insert_header(header::HOST, host).map_err(wrong)?;
        let sent = target.split('?').next().unwrap_or_default();
        let path = path::normal(sent.as_bytes()).map_err(|error| RehearsalError::Path {
            path: target.to_owned(),
            error,
        })?;
        let ctx = RequestCtx {
            id: RequestId::random(),
            peer: (client, 0).into(),
            client: Some(client),
            path: Some(path.as_ref().into()),
            scheme,
            received: Instant::now(),
            tables: None,
            notes: Notes::default(),
        };
        Ok(Self {
            head,
            ctx,
            listener: String::new(),
            paths: Paths::default(),
        })
    }

    /// By this listener, or the first.
    pub fn comes_by(&mut self, listener: Option<&String>, config: &Config) -> Result<(), RehearsalError> {
        let found = match listener {
            Some(name) => config.listeners.get_key_value(name),
            None => config.listeners.iter().next(),
        };
        match (found, listener) {
            (Some((name, listener)), _) => (self.listener, self.paths) = (name.clone(), listener.paths),
            (None, None) => {}
            (None, Some(name)) => {
                let names = config.listeners.keys().map(String::as_str);
                return Err(RehearsalError::NoListener {
                    listener: name.clone(),
                    help: suggest("the listeners", name, names),
                });
            }
        }
        Ok(())
    }
}

fn host(head: &RequestHeader) -> String {
    let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    host_name(host.unwrap_or_default()).to_owned()
}

/// Scheme, host, and path with query.
pub fn url(text: &str) -> Result<(Scheme, &str, String), RehearsalError> {
    let wrong = || RehearsalError::Url(text.to_owned());
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    let (host, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        _ => return Err(wrong()),
    };
    if host.is_empty() {
        return Err(wrong());
    }
    let slash = if target.starts_with('/') { "" } else { "/" };
    let target = target.split('#').next().unwrap_or_default();
    Ok((scheme, host, format!("{slash}{target}")))
}

/// How it went.
pub struct Rehearsal<'a> {
    /// Routes that were asked whether they take it, until one did.
    pub considered: Vec<Considered>,
    pub route: Option<&'a RouteConfig>,
    /// Those of the route, until one ended the request.
    pub filters: Vec<Filtered>,
    pub ends: Ends,
    /// What filters did to an answer of Veil's own: `filter response_headers sets x-frame-options: DENY`.
    pub on_answer: Vec<String>,
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
    /// Veil answers this itself; a problem's code says why.
    Answered(Box<ResponseHeader>, Option<&'static str>),
    /// A backend of this pool gets this.
    Sent(Option<String>, Box<RequestHeader>),
}

#[derive(Debug, Serialize)]
pub struct Considered {
    pub route: String,
    pub fit: Fit,
}

#[derive(Debug, Serialize)]
pub struct Filtered {
    pub filter: &'static str,
    /// What it did to the request: `sets X-Tier: gold`.
    pub effects: Vec<String>,
    /// None where the request goes on.
    pub answers: Option<String>,
}

/// Follows a request.
///
/// # Errors
/// What a filter needs is not there.
pub async fn rehearse(config: &Config, asked: Asked) -> Result<Rehearsal<'_>, RehearsalError> {
    let mut asked = asked;
    asked.ctx.tables = config.tables.for_requests();
    let strict = asked.paths;
    let (considered, route) = match spelling(strict, &asked.head) {
        Ok(_) => found(config, &asked.listener, &asked.head, &asked.ctx),
        Err(_) => (Vec::new(), Err(problem::BAD_PATH)),
    };
    let paths = route.ok().and_then(|route| route.paths).unwrap_or(strict);
    let spelling = spelling(paths, &asked.head);
    let Asked {
        head, ctx, listener, ..
    } = asked;
    let mut rehearsal = Rehearsal {
        considered,
        route: route.ok(),
        filters: Vec::new(),
        ends: Ends::Sent(None, Box::new(head.clone())),
        on_answer: Vec::new(),
        why: spelling.as_ref().err().map(ToString::to_string),
        respelt: None,
        ctx,
        head,
        reroute: None,
    };
    match (route, spelling) {
        (Ok(route), Ok(spelling)) => {
            rehearsal.respell(spelling)?;
            let mut next = Some(route);
            while let Some(route) = next {
                next = match rehearsal.pass(route).await? {
                    true => rehearsal.jump(config, &listener),
                    false => None,
                };
            }
        }
        (Err(problem), Ok(_)) => rehearsal.refused(problem, &[]),
        (_, Err(_)) => rehearsal.refused(problem::BAD_PATH, &[]),
    }
    Ok(rehearsal)
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
        let fit = match route.r#match.fit(listener, &host, path, head, ctx.notes.jumps > 0) {
            Fit::Takes => held(route, head, ctx),
            fit => fit,
        };
        considered.push(Considered {
            route: route.name(),
            fit,
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

fn held(route: &RouteConfig, head: &RequestHeader, ctx: &RequestCtx) -> Fit {
    let held = route
        .when
        .as_ref()
        .map(|when| when.holds(Seen::of(head, ctx), &route.name()));
    match held {
        None | Some(Ok(true)) => Fit::Takes,
        Some(Ok(false)) => Fit::OtherCondition,
        Some(Err(_)) => Fit::ConditionFails,
    }
}

impl Rehearsal<'_> {
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
    async fn pass(&mut self, route: &RouteConfig) -> Result<bool, RehearsalError> {
        if let PathPattern::Regex(expression) = &route.r#match.path {
            let groups = expression.groups(self.ctx.path(&self.head), target::escaped_group);
            self.ctx.notes.captures = groups.unwrap_or_default();
        }
        self.ctx.notes.route = Some(route.name().into());
        let pool = route.pool_for(&self.head, &self.ctx).cloned();
        self.ctx.notes.pool = pool.as_deref().map(Into::into);
        let store = Arc::default();
        let workshop = Workshop {
            store: Some(&store),
            ..Workshop::default()
        };
        let built = route
            .filters
            .iter()
            .map(|filter| Ok::<Named, FilterError>((filter.name(), filter.build(&workshop)?)));
        let built: Vec<Named> = built.collect::<Result<_, _>>()?;
        for filter in &built {
            if self.ends_at(filter, &built).await {
                return Ok(self.reroute.is_some());
            }
        }
        let pool = self.ctx.notes.wanted_pool.as_deref().map(str::to_owned).or(pool);
        match pool {
            None => self.refused(problem::NO_ROUTE, &built),
            pool => self.ends = Ends::Sent(pool, Box::new(self.sent(&built))),
        }
        Ok(false)
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
            Settled::Answer(answer) => Some((ResponseHeader::from(answer.into_parts().0), None)),
            Settled::Refuse(problem, challenge) => problem.response(&self.ctx.id).ok().map(|(mut head, _)| {
                if let Some(challenge) = challenge {
                    let _ = head.insert_header(header::WWW_AUTHENTICATE, challenge);
                }
                (head, Some(problem.code))
            }),
        };
        let says = |(head, code): &(ResponseHeader, Option<&str>)| match code {
            Some(code) => format!("{} {code}", head.status.as_u16()),
            None => head.status.as_u16().to_string(),
        };
        self.filters.push(Filtered {
            filter: name,
            effects: before.effects(&self.head, &self.ctx),
            answers: answered.as_ref().map(says),
        });
        let Some((head, code)) = answered else {
            return self.reroute.is_some();
        };
        self.answered(head, code, all);
        true
    }

    fn refused(&mut self, problem: Problem, filters: &[Named]) {
        if let Ok((head, _)) = problem.response(&self.ctx.id) {
            self.answered(head, Some(problem.code), filters);
        }
    }

    fn answered(&mut self, mut head: ResponseHeader, code: Option<&'static str>, filters: &[Named]) {
        self.ctx.notes.status = Some(head.status.as_u16());
        for (name, filter) in filters.iter().rev() {
            let before = AnswerBefore::of(&head, &self.ctx);
            filter.on_response(&mut head, &self.head, &self.ctx);
            let effects = before.effects(&head, &self.ctx).into_iter();
            self.on_answer
                .extend(effects.map(|effect| format!("filter {name} {effect}")));
        }
        self.ends = Ends::Answered(Box::new(head), code);
    }

    /// The head as a backend gets it.
    fn sent(&self, filters: &[Named]) -> RequestHeader {
        let mut head = self.head.clone();
        if let Some(target) = &self.ctx.notes.target {
            let _ = head.set_raw_path(target.as_bytes());
        }
        let _ = forwarded::tell_backend(&mut head, &self.ctx);
        for (_, filter) in filters {
            filter.on_upstream_request(&mut head, &self.ctx);
        }
        head
    }
}

/// A filter with its name in YAML.
type Named = (&'static str, Arc<dyn Filter>);

impl Ends {
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Answered(head, _) => Some(head.status),
            Self::Sent(..) => None,
        }
    }
}
