//! What can be told of the connection that a request came by, and of all of them.

use std::fmt;
use std::time::Duration;

/// How long a connection of HTTP/1 is kept for its client's further requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keeping {
    /// The answer to so many is the last one.
    pub requests: Option<u64>,
    /// The first answer after so long is.
    pub time: Option<Duration>,
    /// Between an answer and the next request; where there is none, the answer is the last one.
    pub idle: Option<Duration>,
}

/// A connection, as far as requests are told of it.
pub trait OnConnection: fmt::Debug + Send + Sync {
    /// Which one of all it is, from 1 on. Nginx: `$connection`.
    fn number(&self) -> u64;

    /// How many requests have come by it. Nginx: `$connection_requests`.
    fn requests(&self) -> u64;

    /// Since it was accepted. Nginx: `$connection_time`.
    fn open_for(&self) -> Duration;

    /// Whether a further request may follow the answer at hand.
    fn is_kept_after(&self, keeping: Option<Keeping>) -> bool;

    /// Whether the present request was there before the one before it had its answer. Nginx: `$pipe`.
    fn is_pipelined(&self) -> bool;

    /// Of all there are.
    fn counts(&self) -> ConnectionCounts;
}

/// Nginx's `stub_status`, as numbers, and what it has no place for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionCounts {
    pub active: u64,
    pub accepted: u64,
    pub requests: u64,
    pub reading: u64,
    pub writing: u64,
    pub waiting: u64,
    pub refused_heads: u64,
}

/// One of the numbers that templates may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    Accepted,
    Active,
    Reading,
    Requests,
    Waiting,
    Writing,
}

impl ConnectionCounts {
    pub fn of(&self, counted: Counted) -> u64 {
        match counted {
            Counted::Accepted => self.accepted,
            Counted::Active => self.active,
            Counted::Reading => self.reading,
            Counted::Requests => self.requests,
            Counted::Waiting => self.waiting,
            Counted::Writing => self.writing,
        }
    }
}
