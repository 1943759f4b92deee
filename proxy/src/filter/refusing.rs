//! The status of a refusal, where a filter lets it be chosen.

use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::request::problem::Problem;

/// From 400 to 599; what the filter has unless given.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(try_from = "u16")]
#[schemars(with = "u16", extend("minimum" = 400, "maximum" = 599))]
pub struct RefusingStatus(Option<StatusCode>);

impl RefusingStatus {
    /// The problem with this status.
    pub fn of(self, problem: Problem) -> Problem {
        Problem {
            status: self.0.unwrap_or(problem.status),
            ..problem
        }
    }
}

impl TryFrom<u16> for RefusingStatus {
    type Error = String;

    fn try_from(status: u16) -> Result<Self, String> {
        let known = StatusCode::from_u16(status)
            .ok()
            .filter(|_| (400..=599).contains(&status));
        match known {
            Some(status) => Ok(Self(Some(status))),
            None => Err(format!("{status} refuses nothing; write a status from 400 to 599")),
        }
    }
}
