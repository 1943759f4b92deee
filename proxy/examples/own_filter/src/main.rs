//! Veil with a filter of one's own, `opening_hours: { from: 8, until: 18 }`, which refuses requests at other hours (UTC), and with a
//! selection of one's own, `first_fit`.

mod first_fit;

use std::alloc::System;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use schemars::JsonSchema;
use serde::Deserialize;
use veil::extension::{
    BodyChange, Counted, Filter, FilterError, Problem, RequestCtx, RequestHeader, ResponseHeader, Settings, Verdict,
    Workshop, register_filter, register_selection,
};

/// `opening_hours: { from: 8, until: 18 }`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OpeningHours {
    /// The first hour, from 0 to 23.
    from: u8,
    /// The hour after the last one, from 1 to 24.
    until: u8,
}

impl Settings for OpeningHours {
    fn build(&self, _: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError> {
        if self.from >= self.until || self.until > 24 {
            let what = format!("nobody is served from {} until {}", self.from, self.until);
            return Err(FilterError(what));
        }
        Ok(Arc::new(self.clone()))
    }
}

impl Filter for OpeningHours {
    fn on_request(&self, _: &mut RequestHeader, _: &mut RequestCtx) -> Verdict {
        match (self.from..self.until).contains(&hour()) {
            true => Verdict::Continue,
            false => Verdict::Refuse(CLOSED),
        }
    }

    fn on_response(&self, response: &mut ResponseHeader, _: &RequestHeader, _: &RequestCtx) -> Option<BodyChange> {
        let hours = format!("{}-{}", self.from, self.until);
        let _ = response.insert_header("X-Opening-Hours", hours);
        None
    }
}

/// Of the day, in UTC.
fn hour() -> u8 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_secs() / 3600 % 24) as u8
}

const CLOSED: Problem = Problem::new(http::StatusCode::FORBIDDEN, "closed", "nobody is served at this hour");

/// Counts, so that the limit on a script's memory holds.
#[global_allocator]
static ALLOCATOR: Counted<System> = Counted(System);

fn main() -> ExitCode {
    register_filter::<OpeningHours>("opening_hours");
    register_selection::<first_fit::FirstFit>("first_fit");
    veil::main(None)
}
