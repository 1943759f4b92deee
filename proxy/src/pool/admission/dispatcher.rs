//! Sends requests to backends: hands out leases, has requests wait for them, and takes the outcomes back.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::queue::{Queue, QueueConfig, Refused};
use crate::pool::choose::chooser::Chooser;
use crate::pool::choose::key::Key;
use crate::pool::hedge::Hedge;
use crate::pool::members::backend::Backend;
use crate::pool::members::passive::{Outcome, PassiveHealth};

pub struct Dispatcher {
    chooser: Arc<Chooser>,
    passive: PassiveHealth,
    queue: Queue<Lease>,
    hedge: Option<Hedge>,
    /// Told when a place has become free or a backend fit to serve, for those who do not stand in the queue.
    vacancies: Notify,
}

impl Dispatcher {
    pub fn new(chooser: Arc<Chooser>, passive: PassiveHealth, queue: &QueueConfig, hedge: Option<Hedge>) -> Arc<Self> {
        Arc::new(Self {
            chooser,
            passive,
            queue: Queue::new(queue),
            hedge,
            vacancies: Notify::new(),
        })
    }

    pub fn chooser(&self) -> &Chooser {
        &self.chooser
    }

    pub fn queue(&self) -> &Queue<Lease> {
        &self.queue
    }

    pub fn vacancies(&self) -> &Notify {
        &self.vacancies
    }

    /// Lets a request in whose body has not been read yet, or turns it away while that still spares it the upload: all
    /// that could serve it are full, and so many others wait that it would find no place in the queue.
    pub fn admit(self: &Arc<Self>) -> Result<Admission, Refused> {
        if !self.chooser.is_saturated() {
            return Ok(Admission(None));
        }
        self.queue.expect()?;
        Ok(Admission(Some(Arc::clone(self))))
    }

    /// A lease at a backend for this key that is none of those already tried; none if there is none right now.
    pub fn pick(self: &Arc<Self>, key: &Key, tried: &[Arc<Backend>]) -> Option<Lease> {
        let backend = self.chooser.claim(key, tried)?;
        Some(Lease::new(self, backend, key))
    }

    /// As [`Dispatcher::pick`], but never at one that is only hoped to serve.
    pub fn pick_eligible(self: &Arc<Self>, key: &Key, tried: &[Arc<Backend>]) -> Option<Lease> {
        let backend = self.chooser.claim_eligible(key, tried)?;
        Some(Lease::new(self, backend, key))
    }

    /// As [`Dispatcher::pick`], but waits in the queue while all that could serve are full.
    pub async fn acquire(self: &Arc<Self>, key: &Key, tried: &[Arc<Backend>]) -> Result<Lease, Refused> {
        // Who comes while others wait waits behind them.
        if self.queue.length() == 0
            && let Some(lease) = self.pick(key, tried)
        {
            return Ok(lease);
        }
        if !self.chooser.could_serve(tried) {
            return self.pick(key, tried).ok_or(Refused::Nobody);
        }
        let place = self.queue.join(key, tried)?;
        // A place at a backend may have become free between the pick and the joining.
        self.serve_queue();
        self.queue.wait(place).await
    }

    /// Gives leases to those who wait, in order, until there are no more of either. For when a place has become free, or a
    /// backend fit to serve.
    pub fn serve(self: &Arc<Self>) {
        self.serve_queue();
        self.vacancies.notify_waiters();
    }

    fn serve_queue(self: &Arc<Self>) {
        self.queue.serve(|key, tried| {
            let lease = self.pick(key, tried);
            (lease.is_some() || !self.chooser.could_serve(tried)).then_some(lease)
        });
    }

    /// An attempt at a backend has ended.
    pub fn note(&self, backend: &Backend, outcome: Outcome) {
        if let (Outcome::Answered { latency, .. }, Some(hedge)) = (outcome, &self.hedge) {
            hedge.record(latency);
        }
        self.passive.note(backend, outcome);
    }

    /// How long an attempt may go without an answer before another backend is asked too; none where that is not wanted.
    pub fn hedge_after(&self) -> Option<Duration> {
        self.hedge.as_ref()?.after()
    }
}

/// A request that may read its body. Dropped once that is done.
pub struct Admission(Option<Arc<Dispatcher>>);

impl Drop for Admission {
    fn drop(&mut self) {
        if let Some(dispatcher) = &self.0 {
            dispatcher.queue.expect_no_more();
        }
    }
}

/// A request's place at a backend: in flight while it lives, and the way its outcome comes back to the pool. Dropping it
/// frees the place.
pub struct Lease {
    dispatcher: Arc<Dispatcher>,
    backend: Arc<Backend>,
    upload_bytes: u64,
    /// Whether it keeps other requests away.
    alone: bool,
}

impl Lease {
    /// The place must have been claimed.
    fn new(dispatcher: &Arc<Dispatcher>, backend: Arc<Backend>, key: &Key) -> Self {
        Self {
            dispatcher: Arc::clone(dispatcher),
            backend,
            upload_bytes: key.upload_bytes(),
            alone: false,
        }
    }

    /// The only place that there is while it lives: the backend's quarantine ends with it.
    pub fn alone(dispatcher: &Arc<Dispatcher>, backend: Arc<Backend>, key: &Key) -> Self {
        let mut lease = Self::new(dispatcher, backend, key);
        lease.alone = true;
        lease
    }

    pub fn backend(&self) -> &Arc<Backend> {
        &self.backend
    }

    /// Tells the pool how the attempt ended: once for an attempt.
    pub fn report(&self, outcome: Outcome) {
        self.dispatcher.note(&self.backend, outcome);
    }

    /// Tells the pool that another backend was faster: this one would have taken longer than `waited`, which is no
    /// failure, but has to be known for what is usual.
    pub fn was_outrun(&self, waited: Duration) {
        if let Some(hedge) = &self.dispatcher.hedge {
            hedge.record(waited);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.backend.release(self.upload_bytes);
        if self.alone {
            self.backend.end_quarantine();
        }
        self.dispatcher.serve();
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease({})", self.backend.name())
    }
}
