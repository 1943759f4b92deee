//! A request on its way. What is known of it grows from stage to stage, and each stage's type says what that is:
//!
//! - [`Arrived`]: its head has been read; who sent it, and until when the answer is awaited.
//! - [`Routed`]: who serves it, and so which filters and limits hold.
//! - [`Attempting`]: it has come in as a whole, and backends are asked, one after another.
//! - [`Answered`]: one of them has begun an answer, which goes to the client.
//!
//! [`phases`] leads it from one to the next. Where the way ends early, a [`Refusal`] says with what.

mod arrived;
mod attempting;
mod body_changes;
mod coming_in;
mod finish;
mod hedge;
mod hop;
mod outcome;
mod own_answer;
pub mod phases;
mod refusal;
pub mod refused_head;
mod routed;
mod routing;
mod trial;

use std::sync::Arc;

use http::StatusCode;
use pingora::proxy::Session;

use self::arrived::Arrived;
use self::attempting::{Answered, Attempting};
use self::body_changes::BodyChanges;
use self::outcome::timeout_of;
use self::refusal::Refusal;
use self::routed::Routed;
use crate::filter::{Filter, Transform, Witness};
use crate::request::RequestCtx;
use crate::request::deadline::Clock;
use crate::request::pages::Unserved;
use crate::request::problem::{self, Problem};
use crate::state::{Shared, State};

/// What a request carries from phase to phase.
pub struct Exchange {
    rules: Rules,
    stage: Stage,
    /// That another route answers in place of an error, before it does: its name, where it is one of that name.
    way_on: Option<Option<Arc<str>>>,
    /// The answer that Veil has given itself.
    refused: Option<Problem>,
    /// Of the answer that is on its way.
    changes: BodyChanges,
    /// Who wants to see it as the backend gives it, if anybody.
    witness: Option<Witness>,
    /// The same, for the answer that has begun.
    watching: Option<Box<dyn Transform>>,
}

/// What the request is served by: the state that it began under, and what all share.
struct Rules {
    shared: Arc<Shared>,
    state: Arc<State>,
}

impl Rules {
    /// What is said where no backend is there to be asked, or has a place.
    fn unserved(&self, problem: Problem) -> Problem {
        self.state.config.problems.unserved(problem)
    }

    /// The same, where the last backend did not take the connection in time.
    fn unserved_in_time(&self, problem: Problem) -> Problem {
        match self.state.config.problems.unserved {
            Unserved::Unavailable => problem,
            Unserved::BadGateway => timeout_of(Clock::Connect),
        }
    }
}

#[derive(Default)]
enum Stage {
    /// No head yet.
    #[default]
    Expected,
    Arrived(Arrived),
    Routed(Routed),
    Attempting(Attempting),
    Answered(Answered),
}

impl Exchange {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.metrics.request_began();
        Self {
            rules: Rules {
                shared: Arc::clone(shared),
                state: shared.state.load_full(),
            },
            stage: Stage::Expected,
            way_on: None,
            refused: None,
            changes: BodyChanges::default(),
            witness: None,
            watching: None,
        }
    }

    fn arrived(&self) -> Option<&Arrived> {
        match &self.stage {
            Stage::Expected => None,
            Stage::Arrived(arrived) => Some(arrived),
            _ => Some(&self.routed()?.arrived),
        }
    }

    fn routed(&self) -> Option<&Routed> {
        match &self.stage {
            Stage::Expected | Stage::Arrived(_) => None,
            Stage::Routed(routed) => Some(routed),
            Stage::Attempting(attempting) | Stage::Answered(Answered { attempting, .. }) => Some(&attempting.routed),
        }
    }

    fn attempting(&self) -> Option<&Attempting> {
        match &self.stage {
            Stage::Attempting(attempting) | Stage::Answered(Answered { attempting, .. }) => Some(attempting),
            _ => None,
        }
    }

    /// With what it is served by.
    fn attempting_mut(&mut self) -> Result<(&Rules, &mut Attempting), Refusal> {
        match &mut self.stage {
            Stage::Attempting(attempting) | Stage::Answered(Answered { attempting, .. }) => {
                Ok((&self.rules, attempting))
            }
            _ => Err(problem::INTERNAL.into()),
        }
    }

    fn request(&self) -> Result<&RequestCtx, Refusal> {
        let arrived = self.arrived().ok_or(problem::INTERNAL)?;
        Ok(&arrived.request)
    }

    fn request_mut(&mut self) -> Result<&mut RequestCtx, Refusal> {
        let arrived = match &mut self.stage {
            Stage::Expected => return Err(problem::INTERNAL.into()),
            Stage::Arrived(arrived) => arrived,
            Stage::Routed(routed) => &mut routed.arrived,
            Stage::Attempting(attempting) | Stage::Answered(Answered { attempting, .. }) => {
                &mut attempting.routed.arrived
            }
        };
        Ok(&mut arrived.request)
    }

    /// The route's; none before it is found.
    fn filters(&self) -> &[Arc<dyn Filter>] {
        self.routed().map_or(&[], |routed| &routed.route.filters)
    }

    /// Gives the client its own session back, once no backend will be asked any more.
    async fn let_body_go(&mut self, session: &mut Session) {
        if let Ok((_, attempting)) = self.attempting_mut() {
            attempting.let_body_go(session).await;
        }
    }

    /// Gives the client what it has yet to get of its answer, and its own session back.
    async fn deliver(&mut self, session: &mut Session, error: Option<&pingora::Error>) -> pingora::Result<()> {
        match self.attempting_mut() {
            Ok((_, attempting)) => attempting.deliver(session, error).await,
            Err(_) => Ok(()),
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.rules.shared.metrics.request_left();
    }
}

/// Whether the client has seen a part of an answer; `100 Continue` is none.
fn has_begun_to_answer(session: &Session) -> bool {
    session.response_written().is_some_and(|head| is_final(head.status))
}

/// Whether no other head follows one of this status: that of an upgrade is the last one too.
fn is_final(status: StatusCode) -> bool {
    !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS
}
