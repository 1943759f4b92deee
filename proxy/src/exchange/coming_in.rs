//! A request comes in: its body, what the filters of its route say of that, and whether one of them knows the answer already.

use pingora::http::RequestHeader;
use pingora::proxy::Session;

use super::refusal::Refusal;
use super::routed::NotRead;
use super::{Exchange, Stage};
use crate::body::Taken;
use crate::filter::{Content, Recalled};
use crate::request::problem;

pub(super) type KnownAnswer = Box<http::Response<Content>>;

impl Exchange {
    /// Reads the body; the answer to it, where that is known already.
    pub(super) async fn comes_in(&mut self, session: &mut Session) -> Result<Option<KnownAnswer>, NotRead> {
        let Stage::Routed(routed) = &self.stage else {
            return Err(Refusal::from(problem::INTERNAL).into());
        };
        let (pool, taken) = routed.read_body(&self.rules, session).await?;
        if taken
            .whole()
            .and_then(|body| body.upgrade())
            .is_some_and(|body| self.rules.shared.poison.knows(&body))
        {
            self.rules.shared.metrics.poison_body();
            taken.release(&mut session.downstream_session).await;
            return Err(Refusal::from(problem::POISON_BODY).into());
        }
        if let Err(problem) = routed.look_at(&taken, session.req_header()) {
            taken.release(&mut session.downstream_session).await;
            return Err(Refusal::from(problem).into());
        }
        routed.mirror(&taken, session.req_header(), &self.rules.shared.metrics);
        if let Some(answer) = self.recalls(&taken, session.req_header()).await {
            taken.release(&mut session.downstream_session).await;
            return Ok(Some(answer));
        }
        if let Stage::Routed(routed) = std::mem::take(&mut self.stage) {
            self.stage = Stage::Attempting(routed.attempt(pool, taken, session.req_header()));
        }
        Ok(None)
    }

    /// The answer, or none, and then whoever wants to see a backend's does.
    async fn recalls(&mut self, taken: &Taken, head: &RequestHeader) -> Option<KnownAnswer> {
        let recall = self.routed()?.recall(taken, head)?;
        let recalled = recall.await;
        let word = match &recalled {
            Recalled::Answer(..) => "hit",
            Recalled::Missed(_) => "miss",
            Recalled::Passed(why) => why,
        };
        self.rules.shared.metrics.result_cache(&self.routed()?.route.name, word);
        match recalled {
            Recalled::Answer(answer, held) => {
                self.request_mut().ok()?.notes.held.push(held);
                return Some(answer);
            }
            Recalled::Missed(witness) => self.witness = Some(witness),
            Recalled::Passed(_) => {}
        }
        None
    }
}
