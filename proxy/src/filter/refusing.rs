//! What becomes of a refusal, where a filter lets it be chosen: its status, and whether the log tells of it.

use http::StatusCode;
use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::request::RequestCtx;
use crate::request::problem::Problem;
use crate::request::syntax::{host, protocol, request_uri};

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

/// At which level Veil's own log tells of each refusal, besides the access line: as often as clients come.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum RefusalLog {
    #[default]
    Off,
    Info,
    Warn,
    Error,
}

impl RefusalLog {
    /// The words are Nginx's, by which programs such as fail2ban know whom to shut out.
    pub fn tell(self, what: impl FnOnce() -> String, request: &RequestHeader, ctx: &RequestCtx) {
        macro_rules! tell {
            ($level:expr) => {
                tracing::event!(
                    $level,
                    connection = ctx.notes.connection.as_ref().map(|connection| connection.number()),
                    client = %ctx.account(),
                    server = "",
                    request = first_line(request),
                    host = host(request),
                    "{}",
                    what()
                )
            };
        }
        match self {
            Self::Off => {}
            Self::Info => tell!(tracing::Level::INFO),
            Self::Warn => tell!(tracing::Level::WARN),
            Self::Error => tell!(tracing::Level::ERROR),
        }
    }
}

fn first_line(request: &RequestHeader) -> String {
    let target = String::from_utf8_lossy(request_uri(request));
    format!("{} {target} {}", request.method, protocol(request.version))
}

/// ` by zone "NAME"`, where there is one.
pub fn by_zone(zone: Option<&str>) -> String {
    zone.map_or_else(String::new, |zone| format!(" by zone \"{zone}\""))
}

/// What Nginx's words say of a dry run.
pub fn noted(dry_run: bool) -> &'static str {
    if dry_run { ", dry run" } else { "" }
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
