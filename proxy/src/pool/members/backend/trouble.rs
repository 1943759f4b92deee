//! Why a backend is not well: what took it out last, since when, and how often something did lately.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::pool::clock::{Moment, seconds_since_1970};

#[derive(Debug, Default)]
pub struct Troubles(Mutex<History>);

#[derive(Debug, Default)]
struct History {
    last: Option<Trouble>,
    /// When each of the last ones began, the oldest first.
    began: VecDeque<Moment>,
}

/// What took a backend out.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Trouble {
    pub cause: Cause,
    /// In words, such as `status 302, expected 200`.
    pub why: String,
    /// Seconds since 1970.
    pub since: u64,
}

/// Of what kind it is; a label of metrics.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A check had no answer in time.
    Timeout,
    /// A check could not connect, or lost its connection.
    Connection,
    /// A check was answered with another status than wanted.
    Status,
    /// A check's answer had the right status, but not the right fields or body.
    Answer,
    /// Requests failed there.
    Requests,
    /// Its process died.
    Died,
}

impl Cause {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Connection => "connection",
            Self::Status => "status",
            Self::Answer => "answer",
            Self::Requests => "requests",
            Self::Died => "died",
        }
    }
}

impl Troubles {
    pub fn begin(&self, cause: Cause, why: String) {
        let mut history = self.0.lock();
        history.last = Some(Trouble {
            cause,
            why,
            since: seconds_since_1970(),
        });
        if history.began.len() == MOST {
            history.began.pop_front();
        }
        history.began.push_back(Moment::now());
    }

    /// What took it out last, be it over by now.
    pub fn last(&self) -> Option<Trouble> {
        self.0.lock().last.clone()
    }

    /// How many began within the last hour; so many at most are told.
    pub fn lately(&self) -> usize {
        let now = Moment::now();
        let history = self.0.lock();
        history
            .began
            .iter()
            .filter(|began| now.since(**began) <= LATELY)
            .count()
    }
}

const LATELY: Duration = Duration::from_secs(3600);
const MOST: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_long_past_is_not_lately() {
        let troubles = Troubles::default();
        troubles.begin(Cause::Died, "ended".to_owned());
        tokio::time::advance(LATELY / 2).await;
        troubles.begin(Cause::Status, "status 302, expected 200".to_owned());
        assert_eq!(troubles.lately(), 2);
        tokio::time::advance(LATELY * 3 / 4).await;
        assert_eq!(troubles.lately(), 1);
        let last = troubles.last().map(|trouble| (trouble.cause, trouble.why));
        assert_eq!(last, Some((Cause::Status, "status 302, expected 200".to_owned())));
    }
}
