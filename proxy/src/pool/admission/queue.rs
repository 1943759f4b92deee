//! A pool's queue: requests that wait, first come first served, while every backend that could serve them is full.
//! Bounded in length and in time, so that overload is told early instead of being served late.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::body::Demand;
use crate::pool::choose::key::Key;
use crate::pool::members::backend::Backend;
use crate::yaml::units::Duration;

/// `queue: { length: 100, timeout: 2s }`. Comes to bear only with `max_conns`.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct QueueConfig {
    /// Requests that may wait at a time; 0 turns all away that find no place.
    pub length: usize,
    /// How long one waits at most: 2s unless given, in front of workers of this program's own 30s.
    pub timeout: Option<Duration>,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            length: 100,
            timeout: None,
        }
    }
}

/// Where nothing else is said: overload is told early.
pub const USUAL_PATIENCE: Duration = Duration::from_secs(2);
/// In front of workers that are as large as this machine, waiting is the quickest way.
pub const PATIENCE_WITH_OWN_WORKERS: Duration = Duration::from_secs(30);

/// Why a request gets no backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("no backend can serve the request")]
    Nobody,
    #[error("all backends are full, and so is the queue")]
    QueueFull,
    #[error("all backends stayed full for as long as a request may wait")]
    QueueTimeout,
}

/// Requests that wait for a `P`; they get none once nobody can serve them any more.
pub struct Queue<P> {
    most: usize,
    patience: std::time::Duration,
    /// Contended only while the pool is saturated; see `length`.
    waiting: Mutex<VecDeque<Waiter<P>>>,
    /// Let in while the pool was saturated, and busy with their bodies: they may come to wait.
    expected: AtomicUsize,
    /// How many wait: read on every release, so that the lock is taken only when somebody does.
    length: AtomicUsize,
    overflows: AtomicU64,
    timeouts: AtomicU64,
    /// What those who have waited long want of the answers that hold places.
    demand: Arc<Demand>,
}

struct Waiter<P> {
    key: Key,
    tried: Vec<Arc<Backend>>,
    answer: oneshot::Sender<Option<P>>,
}

impl<P> Queue<P> {
    /// `usual` is how long one waits where the configuration does not say.
    pub fn new(config: &QueueConfig, usual: Duration) -> Self {
        Self {
            most: config.length,
            patience: config.timeout.unwrap_or(usual).get(),
            waiting: Mutex::default(),
            expected: AtomicUsize::new(0),
            length: AtomicUsize::new(0),
            overflows: AtomicU64::new(0),
            timeouts: AtomicU64::new(0),
            demand: Arc::default(),
        }
    }

    /// Expects one more, if there may be a place in the queue for it.
    pub fn expect(&self) -> Result<(), Refused> {
        let one_more = |expected| (self.length() + expected < self.most).then_some(expected + 1);
        let expected = self
            .expected
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        expected.map(drop).map_err(|_| self.overflow())
    }

    /// One that was expected need not be any more.
    pub fn expect_no_more(&self) {
        self.expected.fetch_sub(1, Ordering::AcqRel);
    }

    /// Takes a place in the line, if there is one.
    pub fn join(&self, key: &Key, tried: &[Arc<Backend>]) -> Result<Place<P>, Refused> {
        let mut waiting = self.waiting.lock();
        if waiting.len() >= self.most {
            waiting.retain(|waiter| !waiter.answer.is_closed());
        }
        if waiting.len() >= self.most {
            return Err(self.overflow());
        }
        let (answer, receiver) = oneshot::channel();
        waiting.push_back(Waiter {
            key: key.clone(),
            tried: tried.to_vec(),
            answer,
        });
        self.length.store(waiting.len(), Ordering::Release);
        Ok(Place(receiver))
    }

    /// Waits until its turn has come, as long as one may.
    pub async fn wait(&self, place: Place<P>) -> Result<P, Refused> {
        let (half, mut turn) = (self.patience / 2, place.0);
        if let Ok(answer) = timeout(half, &mut turn).await {
            return answer.ok().flatten().ok_or(Refused::Nobody);
        }
        let _asking = self.demand.ask();
        if let Ok(answer) = timeout(self.patience - half, turn).await {
            return answer.ok().flatten().ok_or(Refused::Nobody);
        }
        self.timeouts.fetch_add(1, Ordering::Relaxed);
        Err(Refused::QueueTimeout)
    }

    pub fn demand(&self) -> &Arc<Demand> {
        &self.demand
    }

    /// Offers what has become free to those who wait, in order, until one takes it; says whether one has.
    pub fn offer(&self, offer: impl Fn(&Key, &[Arc<Backend>]) -> Option<P>) -> bool {
        let taken = {
            let mut waiting = self.waiting.lock();
            let taken = first_to_take(&mut waiting, offer);
            self.length.store(waiting.len(), Ordering::Release);
            taken
        };
        // One that gives up in this moment leaves it; it comes back as free.
        taken.is_some_and(|(waiter, taken)| waiter.answer.send(Some(taken)).is_ok())
    }

    /// Answers those who wait, in order, as `answer` has it; who is to wait on gets none.
    pub fn serve(&self, answer: impl Fn(&Key, &[Arc<Backend>]) -> Option<Option<P>>) {
        while self.length() > 0 {
            let Some((waiter, answer)) = self.next(&answer) else {
                return;
            };
            // One that gave up leaves what it would have got; the loop hands it on.
            drop(waiter.answer.send(answer));
        }
    }

    /// The first that can be answered now.
    fn next(&self, answer: impl Fn(&Key, &[Arc<Backend>]) -> Option<Option<P>>) -> Option<(Waiter<P>, Option<P>)> {
        let mut waiting = self.waiting.lock();
        waiting.retain(|waiter| !waiter.answer.is_closed());
        let found = waiting
            .iter()
            .enumerate()
            .find_map(|(index, waiter)| Some((index, answer(&waiter.key, &waiter.tried)?)));
        let answered = found.and_then(|(index, answer)| Some((waiting.remove(index)?, answer)));
        self.length.store(waiting.len(), Ordering::Release);
        answered
    }

    fn overflow(&self) -> Refused {
        self.overflows.fetch_add(1, Ordering::Relaxed);
        Refused::QueueFull
    }

    pub fn length(&self) -> usize {
        self.length.load(Ordering::Acquire)
    }

    pub fn overflows(&self) -> u64 {
        self.overflows.load(Ordering::Relaxed)
    }

    pub fn timeouts(&self) -> u64 {
        self.timeouts.load(Ordering::Relaxed)
    }
}

/// Removes those who gave up before the one that takes what is offered.
fn first_to_take<P>(
    waiting: &mut VecDeque<Waiter<P>>,
    offer: impl Fn(&Key, &[Arc<Backend>]) -> Option<P>,
) -> Option<(Waiter<P>, P)> {
    let mut place = 0;
    while let Some(waiter) = waiting.get(place) {
        if waiter.answer.is_closed() {
            waiting.remove(place);
        } else if let Some(taken) = offer(&waiter.key, &waiter.tried) {
            return waiting.remove(place).map(|waiter| (waiter, taken));
        } else {
            place += 1;
        }
    }
    None
}

/// A place in the line.
pub struct Place<P>(oneshot::Receiver<Option<P>>);
