//! The clocks that run while a request is served: whose each is, and until which event it counts.

use std::error;
use std::fmt;
use std::time::{Duration, Instant};

use pingora::{Error, ErrorType};

/// A clock that may run out on a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The backend's, until a connection to it has come about.
    Connect,
    /// The backend's, from one write of the request to the next.
    Send,
    /// The backend's, from one read of its answer to the next.
    Read,
    /// The pool's, over all attempts and the queue, until the head of an answer has come, or the 101 of an upgrade.
    Total,
    /// The client's, who says by itself how long it waits for that head.
    Client,
}

impl Clock {
    /// A name that never changes, for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Send => "send",
            Self::Read => "read",
            Self::Total => "total",
            Self::Client => "client_deadline",
        }
    }

    /// Whether it is one attempt's, so that another backend may still answer in time.
    pub const fn is_of_one_attempt(self) -> bool {
        matches!(self, Self::Connect | Self::Send | Self::Read)
    }
}

/// When a clock runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    pub at: Instant,
    pub clock: Clock,
}

impl Deadline {
    /// What is left of it.
    pub fn left(self, now: Instant) -> Duration {
        self.at.saturating_duration_since(now)
    }

    pub fn has_passed(self, now: Instant) -> bool {
        self.at <= now
    }

    /// The error that ends an attempt.
    pub fn expired(self) -> Box<Error> {
        let context = "waiting for the head of an answer";
        Error::because(ErrorType::ReadTimedout, context, Expired(self.clock))
    }
}

/// How long the head of a request's answer is waited for, over all attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Patience {
    /// From the request's last byte on.
    pub total: Option<Duration>,
    pub client: Option<Instant>,
}

impl Patience {
    /// Whose clock runs out first, if any. `complete` is when the request had come in; none while its body arrives.
    pub fn deadline(&self, complete: Option<Instant>) -> Option<Deadline> {
        let total = complete.zip(self.total).and_then(|(from, total)| {
            Some(Deadline {
                at: from.checked_add(total)?,
                clock: Clock::Total,
            })
        });
        let client = self.client.map(|at| Deadline {
            at,
            clock: Clock::Client,
        });
        [total, client].into_iter().flatten().min_by_key(|deadline| deadline.at)
    }
}

/// The clock that has run out, at the bottom of what Pingora makes of it.
#[derive(Clone, Copy, Debug)]
pub struct Expired(Clock);

impl Expired {
    pub fn clock_in(error: &Error) -> Option<Clock> {
        let cause = error.cause.as_ref()?;
        cause.downcast_ref().map(|Self(clock)| *clock)
    }
}

impl fmt::Display for Expired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ran out", self.0.name())
    }
}

impl error::Error for Expired {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_clock_that_runs_out_first_counts() {
        let now = Instant::now();
        let both = Patience {
            total: Some(2 * SECOND),
            client: Some(now + SECOND),
        };
        let first = both.deadline(Some(now)).unwrap();
        assert_eq!((first.clock, first.left(now)), (Clock::Client, SECOND));
        let first = both.deadline(Some(now - 2 * SECOND)).unwrap();
        assert_eq!((first.clock, first.has_passed(now)), (Clock::Total, true));
    }

    #[test]
    fn the_total_does_not_run_while_the_request_arrives() {
        let total = Patience {
            total: Some(SECOND),
            client: None,
        };
        assert_eq!(total.deadline(None), None);
        assert_eq!(Patience::default().deadline(Some(Instant::now())), None);
        let endless = Patience {
            total: Some(Duration::MAX),
            client: None,
        };
        assert_eq!(endless.deadline(Some(Instant::now())), None);
    }

    #[test]
    fn an_error_tells_whose_clock_it_was() {
        let deadline = Deadline {
            at: Instant::now(),
            clock: Clock::Total,
        };
        assert_eq!(Expired::clock_in(&deadline.expired()), Some(Clock::Total));
        assert_eq!(Expired::clock_in(&Error::new(ErrorType::ReadTimedout)), None);
    }
}
