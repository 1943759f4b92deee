//! Which route has a request, and what its filters say: from one to another, until one keeps it.

use std::sync::Arc;

use http::{StatusCode, header};
use pingora::http::RequestHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorType};

use super::attempting::Answered;
use super::refusal::Refusal;
use super::routed::{self, Routed};
use super::{Exchange, Stage};
use crate::filter::Settled;
use crate::request::jump::jump;
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
        let route = Arc::clone(&way.route);
        self.is_served_by(way, session.req_header())?;
        for filter in &route.filters {
            let verdict = filter.on_request(session.req_header_mut(), self.request_mut()?);
            match verdict.settled().await {
                Settled::Continue => {}
                Settled::Amend(amend) => amend(session.req_header_mut(), self.request_mut()?),
                Settled::Reroute(to) => return Ok(Passed::Elsewhere(to)),
                Settled::Answer(response) => {
                    if let Some(route) = self.hands_over(response.status(), session.req_header()) {
                        self.request_mut()?.notes.location = response.headers().get(header::LOCATION).cloned();
                        return Ok(Passed::Elsewhere(route));
                    }
                    self.answer(session, *response).await?;
                    return Ok(Passed::Answered);
                }
                Settled::Refuse(problem, challenge) => {
                    return match self.hands_over(problem.status, session.req_header()) {
                        Some(route) => Ok(Passed::Elsewhere(route)),
                        None => Err(Refusal::with_challenge(problem, challenge).into()),
                    };
                }
            }
        }
        Ok(Passed::On)
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

    /// Whether another route answers in place of a status; that route's name, if it is named.
    fn hands_over(&mut self, status: StatusCode, head: &RequestHeader) -> Option<Option<Arc<str>>> {
        let request = self.request().ok().filter(|request| !request.notes.is_handed_over)?;
        let mut filters = self.filters().iter();
        let instead = filters.find_map(|filter| filter.instead(status.as_u16(), head, request))?;
        let notes = &mut self.request_mut().ok()?.notes;
        notes.is_handed_over = true;
        notes.answer_with = instead.status;
        if instead.target.is_some() {
            notes.target = instead.target;
        }
        Some(instead.route)
    }

    /// Lets another route answer in place of a status, if that can be done without a backend; whether it has.
    pub(super) async fn is_answered_elsewhere(
        &mut self,
        session: &mut Session,
        status: StatusCode,
    ) -> pingora::Result<bool> {
        let Some(mut named) = self.hands_over(status, session.req_header()) else {
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

    /// To the route that its target leads to.
    pub(super) fn leaves_its_route(&mut self) -> Result<(), Refusal> {
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
