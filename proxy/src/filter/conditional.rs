//! A filter that is not for every request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use pingora::http::{RequestHeader, ResponseHeader};

use super::{BodyChange, Filter, Instead, Recall, Verdict};
use crate::body::Whole;
use crate::request::RequestCtx;
use crate::request::problem::{self, Problem};
use crate::script::{Condition, Seen};

/// Whether its condition holds is found out once, when the head has come, and is remembered with the request.
pub struct Conditional {
    when: Condition,
    /// What the filter is called.
    name: &'static str,
    filter: Arc<dyn Filter>,
    number: u32,
}

impl Conditional {
    pub fn new(when: Condition, name: &'static str, filter: Arc<dyn Filter>) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Self {
            when,
            name,
            filter,
            number: NEXT.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Whether it was for this request; where nobody has asked before, whether it is now.
    fn held(&self, request: &RequestHeader, ctx: &RequestCtx) -> bool {
        let known = ctx.notes.conditions.iter().find(|(number, _)| *number == self.number);
        let now = || self.when.holds(Seen::of(request, ctx), self.name).unwrap_or(false);
        known.map_or_else(now, |(_, held)| *held)
    }
}

impl Filter for Conditional {
    fn on_request(&self, request: &mut RequestHeader, ctx: &mut RequestCtx) -> Verdict {
        let held = self.when.holds(Seen::of(request, ctx), self.name);
        ctx.notes
            .conditions
            .push((self.number, held.as_ref().is_ok_and(|held| *held)));
        match held {
            Ok(true) => self.filter.on_request(request, ctx),
            Ok(false) => Verdict::Continue,
            Err(failure) => {
                ctx.notes
                    .failed_script
                    .set(format!("when of {}", self.name), failure.what);
                Verdict::Refuse(problem::SCRIPT_FAILED)
            }
        }
    }

    fn on_body(&self, body: &[u8], request: &RequestHeader, ctx: &RequestCtx) -> Result<(), Problem> {
        match self.held(request, ctx) {
            true => self.filter.on_body(body, request, ctx),
            false => Ok(()),
        }
    }

    fn recall(
        &self,
        body: &Arc<Whole>,
        request: &RequestHeader,
        ctx: &RequestCtx,
        sent: &dyn Fn() -> Option<RequestHeader>,
    ) -> Option<Recall> {
        match self.held(request, ctx) {
            true => self.filter.recall(body, request, ctx, sent),
            false => None,
        }
    }

    fn on_upstream_request(&self, request: &mut RequestHeader, ctx: &RequestCtx) {
        if self.held(request, ctx) {
            self.filter.on_upstream_request(request, ctx);
        }
    }

    fn instead(&self, status: u16, request: &RequestHeader, ctx: &RequestCtx) -> Option<Instead> {
        match self.held(request, ctx) {
            true => self.filter.instead(status, request, ctx),
            false => None,
        }
    }

    fn on_response(
        &self,
        response: &mut ResponseHeader,
        request: &RequestHeader,
        ctx: &RequestCtx,
    ) -> Option<BodyChange> {
        match self.held(request, ctx) {
            true => self.filter.on_response(response, request, ctx),
            false => None,
        }
    }
}
