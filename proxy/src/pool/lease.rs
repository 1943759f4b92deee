//! A request's place at a backend: in flight while it lives, and the way its outcome comes back to the pool.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Pool;
use super::backend::Backend;

/// Held by a request while a backend works on it; dropping it frees the place.
pub struct Lease {
    pool: Arc<Pool>,
    backend: Arc<Backend>,
}

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

impl Lease {
    /// The place must have been claimed.
    pub(super) fn new(pool: &Arc<Pool>, backend: &Arc<Backend>) -> Self {
        Self {
            pool: Arc::clone(pool),
            backend: Arc::clone(backend),
        }
    }

    pub fn backend(&self) -> &Arc<Backend> {
        &self.backend
    }

    /// Tells the pool how the attempt ended: once for an attempt.
    pub fn report(&self, outcome: Outcome) {
        match outcome {
            Outcome::Answered { .. } => self.backend.succeeded(),
            Outcome::ConnectFailed | Outcome::Reset | Outcome::TimedOut => self.pool.failed(&self.backend, outcome),
            Outcome::Busy | Outcome::Cancelled => {}
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.backend.release();
        self.pool.released();
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease({})", self.backend.name())
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
