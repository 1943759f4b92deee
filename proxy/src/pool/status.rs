//! A pool as the admin sees it: `/pools` and the metrics are made of this.

use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};

use super::Pool;
use super::backend::{Backend, Health, Standing};
use super::clock::Moment;
use super::discovery::SourceStatus;

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PoolStatus {
    pub name: String,
    pub eligible: usize,
    /// Whether a process of its own keeps dying.
    pub degraded: bool,
    pub in_flight: u32,
    /// Bytes of the uploads in flight.
    pub in_flight_bytes: u64,
    /// Requests waiting for a place.
    pub queued: usize,
    /// Requests turned away because the queue was full, or that waited in vain.
    pub queue_overflows: u64,
    pub queue_timeouts: u64,
    /// Requests sent to a doubtful backend because nobody was eligible.
    pub panics: u64,
    pub discovery: Vec<SourceStatus>,
    pub backends: Vec<BackendStatus>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct BackendStatus {
    pub name: String,
    pub address: String,
    pub backup: bool,
    pub weight: u32,
    pub standing: Standing,
    pub health: Health,
    pub in_flight: u32,
    pub in_flight_bytes: u64,
    /// Requests that it takes at a time; none where it takes any number.
    pub max_conns: Option<u32>,
    pub requests: u64,
    pub failures: u64,
    pub ejections: u64,
    /// How often its process ended unbidden; 0 for a backend that is not ours to start.
    pub deaths: u64,
    /// Whether its process keeps dying.
    pub degraded: bool,
}

impl Pool {
    pub fn status(&self) -> PoolStatus {
        let now = Moment::now();
        let backends: Vec<_> = self
            .backends()
            .iter()
            .map(|backend| BackendStatus::of(backend, now))
            .collect();
        PoolStatus {
            name: self.name().to_owned(),
            eligible: self.eligible(),
            degraded: backends.iter().any(|backend| backend.degraded),
            in_flight: backends.iter().map(|backend| backend.in_flight).sum(),
            in_flight_bytes: backends.iter().map(|backend| backend.in_flight_bytes).sum(),
            queued: self.queue.length(),
            queue_overflows: self.queue.overflows(),
            queue_timeouts: self.queue.timeouts(),
            panics: self.panics.load(Ordering::Relaxed),
            discovery: self.sources.iter().map(|source| source.status()).collect(),
            backends,
        }
    }
}

impl BackendStatus {
    fn of(backend: &Backend, now: Moment) -> Self {
        Self {
            name: backend.name().to_owned(),
            address: backend.address().to_string(),
            backup: backend.is_backup(),
            weight: backend.weight(),
            standing: backend.standing(now),
            health: backend.health(),
            in_flight: backend.in_flight(),
            in_flight_bytes: backend.in_flight_bytes(),
            max_conns: backend.max_conns(),
            requests: backend.requests(),
            failures: backend.failures(),
            ejections: backend.ejections(),
            deaths: backend.deaths(),
            degraded: backend.is_degraded(),
        }
    }
}
