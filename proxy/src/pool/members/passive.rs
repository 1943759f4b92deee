//! Passive health: what the ends of requests say of their backends.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::backend::{Backend, Cause, Health};
use super::ejection::EjectionConfig;
use super::outcome::Outcome;
use super::roster::Roster;

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

    /// Says whether it took the backend out.
    pub fn note(&self, backend: &Backend, outcome: Outcome) -> bool {
        backend.count(outcome);
        match outcome {
            Outcome::Answered { status, latency } => self.answered(backend, status, latency),
            Outcome::ConnectFailed => self.failed(backend, &outcome),
            Outcome::Reset | Outcome::TimedOut => {
                backend.reached();
                self.failed(backend, &outcome)
            }
            Outcome::Busy | Outcome::Cancelled => false,
        }
    }

    /// `latency` is until the answer began.
    fn answered(&self, backend: &Backend, status: u16, latency: Duration) -> bool {
        let server_errors = backend.answered(status);
        if self.rules.slower_than.is_some_and(|limit| latency > limit.get()) {
            backend.reached();
            return self.failed(backend, &format_args!("answered after {latency:?}"));
        }
        if (1..=server_errors).contains(&self.rules.consecutive_5xx) {
            let _one_at_a_time = self.ejecting.lock();
            backend.reached();
            let ejected = backend.eject(|| self.roster.serves_without(backend));
            return self.tell(
                backend,
                ejected,
                &format_args!("answered {status}, {server_errors} errors in a row"),
            );
        }
        backend.succeeded();
        false
    }

    /// Counts a failed attempt.
    fn failed(&self, backend: &Backend, reason: &dyn fmt::Display) -> bool {
        if backend.health() == Health::Down {
            // It is out already, and its connections were ended for that.
            return backend.failed(|| false);
        }
        let _one_at_a_time = self.ejecting.lock();
        let ejected = backend.failed(|| self.roster.serves_without(backend));
        self.tell(backend, ejected, reason)
    }

    fn tell(&self, backend: &Backend, ejected: bool, reason: &dyn fmt::Display) -> bool {
        if ejected {
            let fail_timeout = backend.tolerance().fail_timeout;
            backend.troubles().begin(Cause::Requests, reason.to_string());
            tracing::warn!(
                pool = self.roster.pool(),
                backend = backend.name(),
                "ejected for {fail_timeout:?}: {reason}"
            );
        }
        ejected
    }
}
