//! Why a body could not be read to its end, and what the client is told.

use std::io;

use pingora::{Error, ErrorType};

use super::budget::BudgetError;
use super::framing::Violation;
use crate::request::problem::{self, Problem};

/// Why a body could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("request body is larger than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("request body arrives too slowly")]
    TooSlow,
    #[error("request body did not arrive before its deadline")]
    Late,
    #[error(transparent)]
    Malformed(#[from] Violation),
    #[error("no memory for the request body: {0}")]
    Full(String),
    #[error("keeping the request body failed")]
    Keep(#[from] io::Error),
    #[error("client went away while it sent the request body")]
    Gone(#[source] Box<Error>),
}

impl ReadError {
    /// What to answer, with a connection that closes afterwards; nothing if nobody is left to read it.
    pub fn problem(&self) -> Option<Problem> {
        Some(match self {
            Self::TooLarge { limit } => Problem {
                limit: Some(*limit),
                ..problem::BODY_TOO_LARGE
            },
            Self::TooSlow | Self::Late => problem::REQUEST_TIMEOUT,
            Self::Malformed(violation) => violation.problem(),
            Self::Full(_) => problem::BODY_MEMORY_FULL,
            Self::Keep(_) => problem::INTERNAL,
            Self::Gone(_) => return None,
        })
    }

    /// The problem of a body's reading at the bottom of what Pingora made of it.
    pub fn problem_in(error: &Error) -> Option<Problem> {
        match error.cause.as_ref().and_then(|cause| cause.downcast_ref::<Self>()) {
            Some(failure) => failure.problem(),
            None => Violation::in_error(error).map(Violation::problem),
        }
    }

    pub(super) fn of_downstream(error: Box<Error>) -> Self {
        if let Some(violation) = Violation::in_error(&error) {
            return Self::Malformed(violation);
        }
        match error.etype() {
            ErrorType::ReadTimedout => Self::TooSlow,
            _ => Self::Gone(error),
        }
    }
}

/// Why an exchange ends whose client has its answer whole and still sends: nothing has failed.
pub(super) fn answered_early() -> Box<Error> {
    Error::new_down(ANSWERED_EARLY)
}

/// Whether an exchange ended for no other reason than that.
pub fn is_answered_early(error: &Error) -> bool {
    *error.etype() == ANSWERED_EARLY
}

const ANSWERED_EARLY: ErrorType = ErrorType::Custom("answered early");

impl From<BudgetError> for ReadError {
    fn from(error: BudgetError) -> Self {
        match error {
            BudgetError::NeverFits { total, .. } => Self::TooLarge { limit: total },
            BudgetError::Full { .. } => Self::Full(error.to_string()),
        }
    }
}
