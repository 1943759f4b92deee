//! A request's place at a backend: in flight while it lives, and the way its outcome comes back to the pool.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Pool;
use super::alone::Seclusion;
use super::backend::Backend;
use super::clock::Moment;
use super::key::Key;

/// Held by a request while a backend works on it; dropping it frees the place.
pub struct Lease {
    pool: Arc<Pool>,
    backend: Arc<Backend>,
    upload_bytes: u64,
    /// Keeps other requests away.
    seclusion: Option<Seclusion>,
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
    pub(super) fn new(pool: &Arc<Pool>, backend: &Arc<Backend>, key: &Key) -> Self {
        Self {
            pool: Arc::clone(pool),
            backend: Arc::clone(backend),
            upload_bytes: key.upload_bytes(),
            seclusion: None,
        }
    }

    /// The only place that there is while it lives.
    pub(super) fn alone(pool: &Arc<Pool>, backend: &Arc<Backend>, key: &Key, seclusion: Seclusion) -> Self {
        let mut lease = Self::new(pool, backend, key);
        lease.seclusion = Some(seclusion);
        lease
    }

    pub fn backend(&self) -> &Arc<Backend> {
        &self.backend
    }

    /// Tells the pool how the attempt ended: once for an attempt.
    pub fn report(&self, outcome: Outcome) {
        match outcome {
            Outcome::Answered { status, latency } => self.pool.answered(&self.backend, status, latency),
            Outcome::ConnectFailed | Outcome::Reset | Outcome::TimedOut => self.pool.failed(&self.backend, &outcome),
            Outcome::Busy | Outcome::Cancelled => {}
        }
    }

    /// Tells the pool that another backend was faster: this one would have taken longer than `waited`, which is no
    /// failure, but has to be known for what is usual.
    pub fn was_outrun(&self, waited: Duration) {
        if let Some(hedge) = &self.pool.hedge {
            hedge.record(waited);
        }
    }
}

impl Pool {
    /// `latency` is until the answer began.
    pub(super) fn answered(&self, backend: &Backend, status: u16, latency: Duration) {
        if let Some(hedge) = &self.hedge {
            hedge.record(latency);
        }
        let rules = &self.config.ejection;
        let server_errors = backend.answered(status);
        if rules.slower_than.is_some_and(|limit| latency > limit.get()) {
            return self.failed(backend, &format_args!("answered after {latency:?}"));
        }
        if rules.consecutive_5xx.is_some_and(|most| server_errors >= most.get()) {
            let _one_at_a_time = self.ejecting.lock();
            let ejected = backend.eject(|| self.serves_without(backend));
            return self.tell(
                backend,
                ejected,
                &format_args!("answered {status}, {server_errors} errors in a row"),
            );
        }
        backend.succeeded();
    }

    /// Counts a failed attempt.
    pub(super) fn failed(&self, backend: &Backend, reason: &dyn fmt::Display) {
        let _one_at_a_time = self.ejecting.lock();
        let ejected = backend.failed(|| self.serves_without(backend));
        self.tell(backend, ejected, reason);
    }

    fn tell(&self, backend: &Backend, ejected: bool, reason: &dyn fmt::Display) {
        if ejected {
            let fail_timeout = backend.tolerance().fail_timeout;
            tracing::warn!(
                pool = self.name,
                backend = backend.name(),
                "ejected for {fail_timeout:?}: {reason}"
            );
        }
    }

    fn serves_without(&self, backend: &Backend) -> bool {
        let now = Moment::now();
        self.members
            .load()
            .any(|other| !other.is(backend) && other.standing(now).is_fit())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.backend.release(self.upload_bytes);
        self.seclusion = None;
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
