//! Sends requests to backends: hands out leases, has requests wait for them, and takes the outcomes back.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use super::queue::{Queue, Refused};
use super::silence::{Silence, knock};
use crate::pool::choose::chooser::{Chooser, MOST_TRIED};
use crate::pool::choose::key::Key;
use crate::pool::clock::Moment;
use crate::pool::hedge::Hedge;
use crate::pool::members::backend::{Backend, Standing};
use crate::pool::members::outcome::Outcome;
use crate::pool::members::passive::PassiveHealth;
use crate::pool::transport::{Connection, Transport};

pub struct Dispatcher {
    chooser: Arc<Chooser>,
    transport: Arc<Transport>,
    passive: PassiveHealth,
    queue: Queue<Lease>,
    hedge: Option<Hedge>,
    silence: Arc<Silence>,
    /// Those who wait for a vacancy and do not stand in the queue.
    watchers: AtomicUsize,
    /// Told when a place has become free or a backend fit to serve, for those who do not stand in the queue.
    vacancies: Notify,
}

impl Dispatcher {
    pub fn new(
        chooser: Arc<Chooser>,
        transport: Arc<Transport>,
        passive: PassiveHealth,
        queue: Queue<Lease>,
        hedge: Option<Hedge>,
    ) -> Arc<Self> {
        Arc::new(Self {
            chooser,
            transport,
            passive,
            queue,
            hedge,
            silence: Arc::default(),
            watchers: AtomicUsize::new(0),
            vacancies: Notify::new(),
        })
    }

    pub fn chooser(&self) -> &Chooser {
        &self.chooser
    }

    pub fn queue(&self) -> &Queue<Lease> {
        &self.queue
    }

    /// Hears of vacancies while it lives.
    pub fn watch_vacancies(&self) -> Watcher<'_> {
        self.watchers.fetch_add(1, Ordering::SeqCst);
        Watcher(self)
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
        if tried.is_empty() && self.silence.refuses() {
            return Err(Refused::Nobody);
        }
        let lease = self.acquire_from_somebody(key, tried).await;
        if let Err(Refused::Nobody) = lease
            && let Some(since) = self.silence.begin(tried)
        {
            let (chooser, transport) = (Arc::clone(&self.chooser), Arc::clone(&self.transport));
            tokio::spawn(knock(Arc::downgrade(&self.silence), chooser, transport, since));
        }
        lease
    }

    async fn acquire_from_somebody(self: &Arc<Self>, key: &Key, tried: &[Arc<Backend>]) -> Result<Lease, Refused> {
        if tried.len() >= MOST_TRIED {
            return Err(Refused::Nobody);
        }
        // Who comes while others wait waits behind them.
        if self.queue.length() == 0
            && let Some(lease) = self.pick_eligible(key, tried)
        {
            return Ok(lease);
        }
        if !self.may_wait(tried) {
            return self.pick(key, tried).ok_or(Refused::Nobody);
        }
        let place = self.queue.join(key, tried)?;
        if self.chooser.has_vacancy() {
            // It may have become free between the pick and the joining.
            self.serve_queue();
        }
        match self.queue.wait(place).await {
            Err(Refused::QueueTimeout) if !self.chooser.could_serve(tried) => {
                self.pick(key, tried).ok_or(Refused::Nobody)
            }
            waited => waited,
        }
    }

    /// Whether somebody could serve, and is merely full, or is about to be started again.
    fn may_wait(&self, tried: &[Arc<Backend>]) -> bool {
        self.chooser.could_serve(tried) || self.chooser.awaits(tried)
    }

    /// Gives leases to those who wait, in order, until there are no more of either. For when backends have come, gone or
    /// changed.
    pub fn serve(self: &Arc<Self>) {
        self.silence.end();
        self.serve_queue();
        self.tell_watchers();
    }

    fn serve_queue(self: &Arc<Self>) {
        self.queue.serve(|key, tried| match self.pick_eligible(key, tried) {
            Some(lease) => Some(Some(lease)),
            None if self.may_wait(tried) => None,
            None => Some(self.pick(key, tried)),
        });
    }

    /// A place at this backend has become free: it goes to who has waited longest of those that may have it.
    fn vacated(self: &Arc<Self>, backend: &Arc<Backend>) {
        if self.queue.length() > 0 {
            let now = Moment::now();
            let offer = |key: &Key, tried: &[Arc<Backend>]| {
                let takes = !backend.is_among(tried) && backend.claim(now, key.upload_bytes());
                takes.then(|| Lease::new(self, Arc::clone(backend), key))
            };
            while self.queue.length() > 0 && backend.standing(now) == Standing::Eligible && self.queue.offer(offer) {}
        }
        self.tell_watchers();
    }

    fn tell_watchers(&self) {
        if self.watchers.load(Ordering::SeqCst) > 0 {
            self.vacancies.notify_waiters();
        }
    }

    /// An attempt at a backend has ended.
    pub fn note(self: &Arc<Self>, backend: &Backend, outcome: Outcome) {
        if let Outcome::Answered { latency, .. } = outcome {
            self.silence.end();
            if let Some(hedge) = &self.hedge {
                hedge.record(latency);
            }
        }
        if self.passive.note(backend, outcome) && self.queue.length() > 0 {
            self.serve_queue();
        }
    }

    /// How long an attempt may go without an answer before another backend is asked too; none where that is not wanted.
    pub fn hedge_after(&self) -> Option<Duration> {
        self.hedge.as_ref()?.after()
    }
}

/// Waits for a vacancy at any backend.
pub struct Watcher<'a>(&'a Dispatcher);

impl Watcher<'_> {
    /// Those that come from now on.
    pub fn next_vacancy(&self) -> impl Future<Output = ()> + '_ {
        let mut vacancy = Box::pin(self.0.vacancies.notified());
        vacancy.as_mut().enable();
        vacancy
    }
}

impl Drop for Watcher<'_> {
    fn drop(&mut self) {
        self.0.watchers.fetch_sub(1, Ordering::SeqCst);
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
    /// The one that the request waits on.
    connection: Option<u64>,
    /// Whether it has been told how the attempt ended.
    reported: AtomicBool,
    /// The place is free already.
    released: bool,
}

impl Lease {
    /// The place must have been claimed.
    fn new(dispatcher: &Arc<Dispatcher>, backend: Arc<Backend>, key: &Key) -> Self {
        Self {
            dispatcher: Arc::clone(dispatcher),
            backend: backend.as_chosen(),
            upload_bytes: key.upload_bytes(),
            alone: false,
            connection: None,
            reported: AtomicBool::new(false),
            released: false,
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

    /// Tells the pool which connection the request waits on.
    pub fn connected(&mut self, connection: Connection) {
        self.connection = Some(self.backend.connected(connection));
    }

    /// Whether the pool has ended the connection.
    pub fn was_cut(&self) -> bool {
        self.connection.is_some_and(|number| self.backend.has_cut(number))
    }

    /// Frees the place, although there may be more to be said of the attempt.
    pub fn release(&mut self) {
        if std::mem::replace(&mut self.released, true) {
            return;
        }
        if let Some(connection) = self.connection.take() {
            self.backend.disconnected(connection);
        }
        self.backend.release(self.upload_bytes);
        if self.alone {
            self.backend.end_quarantine();
        }
        self.dispatcher.vacated(&self.backend);
    }

    /// Tells the pool how the attempt ended: once for an attempt, and once more where an answer broke off.
    pub fn report(&self, outcome: Outcome) {
        self.reported.store(true, Ordering::Relaxed);
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
        if !self.reported.load(Ordering::Relaxed) {
            self.backend.count(Outcome::Cancelled);
        }
        self.release();
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease({})", self.backend.name())
    }
}
