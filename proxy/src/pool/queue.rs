//! A pool's queue: requests that wait, first come first served, while every backend that could serve them is full.
//! Bounded in length and in time, so that overload is told early instead of being served late.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::oneshot;

use super::{Backend, Key, Lease, Pool};
use crate::yaml::units::Duration;

/// `queue: { length: 100, timeout: 2s }`. Comes to bear only with `max_conns`.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct QueueConfig {
    /// Requests that may wait at a time; 0 turns all away that find no place.
    pub length: usize,
    /// How long one waits at most.
    pub timeout: Duration,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            length: 100,
            timeout: Duration::from_secs(2),
        }
    }
}

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

pub struct Queue {
    config: QueueConfig,
    /// Contended only while the pool is saturated; see `length`.
    waiting: Mutex<VecDeque<Waiter>>,
    /// Let in while the pool was saturated, and busy with their bodies: they may come to wait.
    expected: AtomicUsize,
    /// How many wait: read on every release, so that the lock is taken only when somebody does.
    length: AtomicUsize,
    overflows: AtomicU64,
    timeouts: AtomicU64,
}

/// A request that may read its body. Dropped once that is done.
pub struct Admission(Option<Arc<Pool>>);

impl Drop for Admission {
    fn drop(&mut self) {
        if let Some(pool) = &self.0 {
            pool.queue.expected.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

struct Waiter {
    key: Key,
    tried: Vec<Arc<Backend>>,
    answer: oneshot::Sender<Option<Lease>>,
}

impl Queue {
    pub fn new(config: &QueueConfig) -> Self {
        Self {
            config: config.clone(),
            waiting: Mutex::default(),
            expected: AtomicUsize::new(0),
            length: AtomicUsize::new(0),
            overflows: AtomicU64::new(0),
            timeouts: AtomicU64::new(0),
        }
    }

    /// Lets a request in to read its body, if there may be a place in the queue for it by then.
    pub fn admit(&self, pool: &Arc<Pool>, saturated: bool) -> Result<Admission, Refused> {
        if !saturated {
            return Ok(Admission(None));
        }
        let one_more = |expected| (self.length() + expected < self.config.length).then_some(expected + 1);
        let admitted = self
            .expected
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        if admitted.is_err() {
            self.overflows.fetch_add(1, Ordering::Relaxed);
            return Err(Refused::QueueFull);
        }
        Ok(Admission(Some(Arc::clone(pool))))
    }

    pub async fn acquire(&self, pool: &Arc<Pool>, key: &Key, tried: &[Arc<Backend>]) -> Result<Lease, Refused> {
        // Who comes while others wait waits behind them.
        if self.length() == 0
            && let Some(lease) = pool.pick(key, tried)
        {
            return Ok(lease);
        }
        if !pool.could_serve(tried) {
            return pool.pick(key, tried).ok_or(Refused::Nobody);
        }
        let Some(answer) = self.join(key, tried) else {
            self.overflows.fetch_add(1, Ordering::Relaxed);
            return Err(Refused::QueueFull);
        };
        // A place may have become free between the pick and the joining.
        self.serve(pool);
        match tokio::time::timeout(self.config.timeout.get(), answer).await {
            Ok(Ok(lease)) => lease.ok_or(Refused::Nobody),
            Ok(Err(_)) => Err(Refused::Nobody),
            Err(_) => {
                self.timeouts.fetch_add(1, Ordering::Relaxed);
                Err(Refused::QueueTimeout)
            }
        }
    }

    /// Gives places to those who wait, in order, until there are no more of either.
    pub fn serve(&self, pool: &Arc<Pool>) {
        while self.length() > 0 {
            let Some((answer, lease)) = self.next(pool) else { return };
            // A waiter that gave up returns its lease here; the loop hands the place on.
            drop(answer.send(lease));
        }
    }

    /// The first waiter that can be answered now: with a place, or with the news that nobody can serve it any more.
    fn next(&self, pool: &Arc<Pool>) -> Option<(oneshot::Sender<Option<Lease>>, Option<Lease>)> {
        let mut waiting = self.waiting.lock();
        waiting.retain(|waiter| !waiter.answer.is_closed());
        let found = waiting.iter().enumerate().find_map(|(place, waiter)| {
            let lease = pool.pick(&waiter.key, &waiter.tried);
            (lease.is_some() || !pool.could_serve(&waiter.tried)).then_some((place, lease))
        });
        let answered = found.and_then(|(place, lease)| Some((waiting.remove(place)?.answer, lease)));
        self.length.store(waiting.len(), Ordering::Release);
        answered
    }

    fn join(&self, key: &Key, tried: &[Arc<Backend>]) -> Option<oneshot::Receiver<Option<Lease>>> {
        let mut waiting = self.waiting.lock();
        if waiting.len() >= self.config.length {
            waiting.retain(|waiter| !waiter.answer.is_closed());
        }
        if waiting.len() >= self.config.length {
            return None;
        }
        let (answer, receiver) = oneshot::channel();
        waiting.push_back(Waiter {
            key: key.clone(),
            tried: tried.to_vec(),
            answer,
        });
        self.length.store(waiting.len(), Ordering::Release);
        Some(receiver)
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
