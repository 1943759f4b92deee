//! Which route has a request, and what its filters say: from one to another, until one keeps it.

use std::sync::Arc;

use http::{Method, StatusCode, header};
use pingora::http::RequestHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorType};

use super::arrived::Arrived;
use super::attempting::{Answered, Attempting};
use super::refusal::Refusal;
use super::routed::{self, NotRead, Routed};
use super::{Exchange, Stage};
use crate::filter::{Settled, Verdict};
use crate::pool::Pool;
use crate::request::jump::jump;
use crate::request::notes::PLAIN_HTTP;
use crate::request::problem;

/// What has become of a request behind the filters of a route.
pub(super) enum Passed {
    On,
    /// To the route of this name, or else to that of its target.
    Elsewhere(Option<Arc<str>>),
    Answered,
}

impl Exchange {
    /// Finds its route, if that is not named, and shows it to that route's filters.
    pub(super) async fn passes(&mut self, session: &mut Session, named: Option<Arc<str>>) -> pingora::Result<Passed> {
        let arrived = self.arrived().ok_or_else(|| Error::new(ErrorType::InternalError))?;
        let (router, listener) = (&self.rules.state.router, &arrived.connection.listener);
        let way = match named {
            Some(name) => routed::named(router, &name)?,
            None => routed::find(router, listener, session, &arrived.request)?,
        };
        let is_plain = arrived.connection.speaks_plainly() && arrived.request.notes.jumps == 0;
        let route = Arc::clone(&way.route);
        self.is_served_by(way, session.req_header())?;
        if is_plain {
            return self.is_sent_away(session);
        }
        for filter in &route.filters {
            let verdict = filter.on_request(session.req_header_mut(), self.request_mut()?);
            // Most filters have no more to say, and are not waited for.
            if matches!(verdict, Verdict::Continue) {
                continue;
            }
            match verdict.settled().await {
                Settled::Continue => {}
                Settled::Amend(amend) => amend(session.req_header_mut(), self.request_mut()?),
                Settled::Reroute(to) => return Ok(Passed::Elsewhere(to)),
                Settled::Answer(response) => {
                    // Who answers in own words means them.
                    let may_give_way = response.body().length() == 0;
                    if may_give_way && let Some(route) = self.hands_over(response.status(), session.req_header_mut()) {
                        self.request_mut()?.notes.location = response.headers().get(header::LOCATION).cloned();
                        return Ok(Passed::Elsewhere(route));
                    }
                    self.answer(session, *response).await?;
                    return Ok(Passed::Answered);
                }
                Settled::Refuse(problem, besides) => {
                    return match self.hands_over(problem.status, session.req_header_mut()) {
                        Some(route) => Ok(Passed::Elsewhere(route)),
                        None => Err(Refusal::with(problem, besides).into()),
                    };
                }
            }
        }
        Ok(Passed::On)
    }

    /// Whoever speaks plain HTTP where TLS is spoken: no filter is asked, but a page of the route's may be for that.
    fn is_sent_away(&mut self, session: &mut Session) -> pingora::Result<Passed> {
        session.set_keepalive(None);
        self.request_mut()?.notes.known_as = Some(PLAIN_HTTP);
        match self.hands_over(problem::PLAIN_HTTP.status, session.req_header_mut()) {
            Some(route) => Ok(Passed::Elsewhere(route)),
            None => Err(Refusal::from(problem::PLAIN_HTTP).into()),
        }
    }

    /// Whether another route answers in place of a backend's answer.
    pub(super) fn intercepts(&self, status: StatusCode, head: &RequestHeader) -> bool {
        let Some(request) = self.request().ok().filter(|request| !request.notes.is_handed_over) else {
            return false;
        };
        let mut filters = self.filters().iter();
        let instead = filters.find_map(|filter| filter.instead(status.as_u16(), head, request));
        instead.is_some_and(|instead| instead.intercepts)
    }

    /// Whether another route answers in place of a status; that route's name, if it is named. One that is found by its path
    /// is asked for a page, whatever the client wanted done.
    fn hands_over(&mut self, status: StatusCode, head: &mut RequestHeader) -> Option<Option<Arc<str>>> {
        let request = self.request().ok().filter(|request| !request.notes.is_handed_over)?;
        let mut filters = self.filters().iter();
        let instead = filters.find_map(|filter| filter.instead(status.as_u16(), head, request))?;
        let notes = &mut self.request_mut().ok()?.notes;
        notes.is_handed_over = true;
        notes.answer_with = instead.status;
        if instead.target.is_some() {
            notes.target = instead.target;
            if !matches!(head.method, Method::GET | Method::HEAD) {
                notes.sent_method = Some(head.method.clone());
                head.set_method(Method::GET);
            }
        }
        Some(instead.route)
    }

    /// Lets another route answer in place of a status, if that can be done without a backend; whether it has.
    pub(super) async fn is_answered_elsewhere(
        &mut self,
        session: &mut Session,
        status: StatusCode,
    ) -> pingora::Result<bool> {
        let way_on = self.way_on.take();
        let Some(mut named) = way_on.or_else(|| self.hands_over(status, session.req_header_mut())) else {
            return Ok(false);
        };
        while self.leaves_its_route().is_ok() {
            match self.passes(session, named.take()).await {
                Ok(Passed::Answered) => return Ok(true),
                Ok(Passed::Elsewhere(route)) => named = route,
                // Nobody asks a backend any more, and a page that is not there is none.
                Ok(Passed::On) | Err(_) => break,
            }
        }
        Ok(false)
    }

    /// Gives way to another route in place of a status, if a filter says so; whether that one asks backends, too.
    pub(super) fn gives_way(&mut self, status: StatusCode, head: &mut RequestHeader) -> bool {
        let Some(named) = self.hands_over(status, head) else {
            return false;
        };
        self.way_on = Some(named);
        let Ok(request) = self.request_mut() else { return false };
        jump(request).is_ok() && self.leads_to_backends(head)
    }

    fn leads_to_backends(&self, head: &RequestHeader) -> bool {
        let (router, way_on) = (&self.rules.state.router, self.way_on.as_ref());
        let (
            Some(named),
            Some(Arrived {
                connection, request, ..
            }),
        ) = (way_on, self.arrived())
        else {
            return false;
        };
        let route = match named {
            Some(name) => router.named(name),
            None => {
                let found = router.find(&connection.listener.name, request.path(head), head, request);
                found.ok().map(|found| found.route)
            }
        };
        route.is_some_and(|route| route.serving.pool(head, request).is_some())
    }

    /// As [`Self::gives_way`], after an attempt whose request can be sent once more.
    pub(super) fn gives_way_after(&mut self, error: &Error, session: &mut Session) -> bool {
        let may_be_sent = |attempting: &&Attempting| attempting.may_be_sent_again(session);
        let Some(attempting) = self.attempting().filter(may_be_sent) else {
            return false;
        };
        let told = attempting.told().map(Refusal::from);
        let refusal = Refusal::behind(error).or(told).or_else(|| Refusal::in_error(error));
        refusal.is_some_and(|refusal| self.gives_way(refusal.problem.status, session.req_header_mut()))
    }

    /// As [`Self::gives_way`], before anything of the body is read.
    pub(super) fn gives_way_before(&mut self, refusal: &Refusal, session: &mut Session) -> bool {
        let status = refusal.problem.status;
        status.is_server_error() && session.body_bytes_read() == 0 && self.gives_way(status, session.req_header_mut())
    }

    /// Has the backends asked of the route that it gave way to.
    ///
    /// # Errors
    /// What that route's filters say, or that it has none.
    pub(super) async fn goes_on_elsewhere(&mut self, session: &mut Session) -> pingora::Result<()> {
        let Some(taken) = self.attempting_mut()?.1.taken.take() else {
            return Err(Refusal::from(problem::INTERNAL).into());
        };
        match self.is_routed_anew(session).await {
            Ok((routed, _)) if routed.route.body.replace.is_some() => {
                taken.release(&mut session.downstream_session).await;
                self.stage = Stage::Routed(routed);
                match self.comes_in(session).await {
                    Ok(None) => Ok(()),
                    Ok(Some(_)) | Err(NotRead::ClientLeft) => Err(Refusal::from(problem::INTERNAL).into()),
                    Err(NotRead::Refused(refusal)) => Err(refusal.into()),
                }
            }
            Ok((routed, pool)) => {
                if let Err(problem) = routed.look_at(&taken, session.req_header()) {
                    self.stage = Stage::Routed(routed);
                    taken.release(&mut session.downstream_session).await;
                    return Err(Refusal::from(problem).into());
                }
                self.stage = Stage::Attempting(routed.attempt(pool, taken, session.req_header()));
                Ok(())
            }
            Err(error) => {
                taken.release(&mut session.downstream_session).await;
                Err(error)
            }
        }
    }

    async fn is_routed_anew(&mut self, session: &mut Session) -> pingora::Result<(Routed, Arc<Pool>)> {
        let mut named = self.way_on.take().flatten();
        loop {
            self.leaves_its_route()?;
            match self.passes(session, named).await? {
                Passed::On => break,
                Passed::Elsewhere(route) => named = route,
                Passed::Answered => return Err(Refusal::from(problem::INTERNAL).into()),
            }
        }
        let pool = self.routed().and_then(|routed| routed.pool.clone());
        let pool = pool.ok_or(Refusal::from(problem::NO_ROUTE))?;
        match std::mem::take(&mut self.stage) {
            Stage::Routed(routed) => Ok((routed, pool)),
            _ => Err(Refusal::from(problem::INTERNAL).into()),
        }
    }

    /// To the route that its target leads to.
    pub(super) fn leaves_its_route(&mut self) -> Result<(), Refusal> {
        // Another route's answer is none to what the first was asked.
        self.witness = None;
        let mut arrived = match std::mem::take(&mut self.stage) {
            Stage::Routed(Routed { arrived, .. }) => arrived,
            Stage::Attempting(attempting) | Stage::Answered(Answered { attempting, .. }) => attempting.into_arrived(),
            Stage::Arrived(arrived) => arrived,
            Stage::Expected => return Err(problem::INTERNAL.into()),
        };
        let jumped = jump(&mut arrived.request);
        self.stage = Stage::Arrived(arrived);
        jumped.map_err(Refusal::from)
    }
}
