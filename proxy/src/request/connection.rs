//! What can be told of the connection that a request came by, and of all of them.

use std::fmt;

/// A connection, as far as requests are told of it.
pub trait OnConnection: fmt::Debug + Send + Sync {
    /// Which one of all it is, from 1 on. Nginx: `$connection`.
    fn number(&self) -> u64;

    /// How many requests have come by it. Nginx: `$connection_requests`.
    fn requests(&self) -> u64;

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
