//! One attempt at a backend: a place there, and what is known of how it goes.

use std::sync::Arc;
use std::time::Instant;

use pingora::http::ResponseHeader;

use crate::pool::{Backend, Lease};
use crate::upstream::link::{Dial, Made};
use crate::upstream::race::Race;

/// An attempt at a backend.
pub struct Trial {
    pub lease: Lease,
    pub began: Instant,
    /// How it gets its connection, unless it is in a race for one.
    pub dial: Option<Arc<Dial>>,
    /// In which the backend is, if the pool hedges.
    pub race: Option<Race>,
    /// What came before the answer.
    pub interim: Interim,
    /// How often the backend had died before.
    pub deaths_before: u64,
    /// The pool has been told how it went.
    pub reported: bool,
    /// The head of an answer for the client has come.
    pub has_answered: bool,
}

impl Trial {
    pub fn new(lease: Lease, began: Instant) -> Self {
        Self {
            deaths_before: lease.backend().deaths(),
            lease,
            began,
            dial: None,
            race: None,
            interim: Interim::default(),
            reported: false,
            has_answered: false,
        }
    }

    /// The connection that it got.
    pub fn made(&self) -> Option<Made> {
        self.dial.as_ref()?.made()
    }

    pub fn backend(&self) -> &Arc<Backend> {
        self.lease.backend()
    }
}

/// Heads of an attempt that only announce its answer.
#[derive(Default)]
pub struct Interim {
    heads: usize,
    bytes: usize,
}

impl Interim {
    const MOST_HEADS: usize = 32;
    const MOST_BYTES: usize = 64 << 10;

    /// Whether one more is still within what an answer may be announced by.
    pub fn takes(&mut self, head: &ResponseHeader) -> bool {
        let fields = head.headers.iter();
        self.heads += 1;
        self.bytes += fields
            .map(|(name, value)| name.as_str().len() + value.len() + 4)
            .sum::<usize>();
        self.heads <= Self::MOST_HEADS && self.bytes <= Self::MOST_BYTES
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_answer_is_not_announced_without_end() {
        let mut head = ResponseHeader::build(103, None).unwrap();
        let mut interim = Interim::default();
        let taken = (0..100).take_while(|_| interim.takes(&head)).count();
        assert_eq!(taken, Interim::MOST_HEADS);

        head.insert_header("link", "x".repeat(20_000)).unwrap();
        let mut interim = Interim::default();
        assert_eq!((0..100).take_while(|_| interim.takes(&head)).count(), 3);
    }
}
