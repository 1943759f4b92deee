//! Passive health: what the ends of requests say of their backends.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::backend::Backend;
use super::ejection::EjectionConfig;
use super::roster::Roster;

/// How an attempt at a backend ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Answered {
        status: u16,
        latency: Duration,
    },
    /// Says it has no room; neither a failure nor a success.
    Busy,
    ConnectFailed,
    /// The connection ended before the answer did.
    Reset,
    TimedOut,
    /// Ended by us or by the client; says nothing about the backend.
    Cancelled,
}

/// Counts failures, and takes backends out for them.
pub struct PassiveHealth {
    rules: EjectionConfig,
    roster: Arc<Roster>,
    /// Contended only by failures that might eject: one at a time, or two backends could each count on the other.
    ejecting: Mutex<()>,
}

impl PassiveHealth {
    pub fn new(rules: &EjectionConfig, roster: Arc<Roster>) -> Self {
        Self {
            rules: rules.clone(),
            roster,
            ejecting: Mutex::new(()),
        }
    }

    pub fn note(&self, backend: &Backend, outcome: Outcome) {
        match outcome {
            Outcome::Answered { status, latency } => self.answered(backend, status, latency),
            Outcome::ConnectFailed | Outcome::Reset | Outcome::TimedOut => self.failed(backend, &outcome),
            Outcome::Busy | Outcome::Cancelled => {}
        }
    }

    /// `latency` is until the answer began.
    fn answered(&self, backend: &Backend, status: u16, latency: Duration) {
        let server_errors = backend.answered(status);
        if self.rules.slower_than.is_some_and(|limit| latency > limit.get()) {
            return self.failed(backend, &format_args!("answered after {latency:?}"));
        }
        if self
            .rules
            .consecutive_5xx
            .is_some_and(|most| server_errors >= most.get())
        {
            let _one_at_a_time = self.ejecting.lock();
            let ejected = backend.eject(|| self.roster.serves_without(backend));
            return self.tell(
                backend,
                ejected,
                &format_args!("answered {status}, {server_errors} errors in a row"),
            );
        }
        backend.succeeded();
    }

    /// Counts a failed attempt.
    fn failed(&self, backend: &Backend, reason: &dyn fmt::Display) {
        let _one_at_a_time = self.ejecting.lock();
        let ejected = backend.failed(|| self.roster.serves_without(backend));
        self.tell(backend, ejected, reason);
    }

    fn tell(&self, backend: &Backend, ejected: bool, reason: &dyn fmt::Display) {
        if ejected {
            let fail_timeout = backend.tolerance().fail_timeout;
            tracing::warn!(
                pool = self.roster.pool(),
                backend = backend.name(),
                "ejected for {fail_timeout:?}: {reason}"
            );
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered { status, .. } => write!(f, "answered {status}"),
            Self::Busy => f.write_str("busy"),
            Self::ConnectFailed => f.write_str("connect failed"),
            Self::Reset => f.write_str("connection reset"),
            Self::TimedOut => f.write_str("timed out"),
            Self::Cancelled => f.write_str("cancelled"),
        }
    }
}
