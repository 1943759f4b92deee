//! A backend: one address that serves a pool's requests. What the configuration says of it is fixed; what happens to it
//! is kept in atomics, so that nothing on a request's way waits, and outlives a reload under the backend's name.

mod config;
mod occupancy;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::timeout;

pub use self::config::BackendConfig;
use self::occupancy::Occupancy;
use crate::pool::clock::Moment;
use crate::pool::members::ejection::{Ejection, Tolerance};

/// A member of a pool.
#[derive(Debug)]
pub struct Backend {
    name: String,
    address: SocketAddr,
    backup: bool,
    configured_weight: u32,
    max_conns: u32,
    tolerance: Tolerance,
    slow_start: Duration,
    spawned: bool,
    live: Arc<Live>,
}

/// What is known of a backend right now.
#[derive(Debug)]
struct Live {
    weight: AtomicU32,
    occupancy: Occupancy,
    requests: AtomicU64,
    failures: AtomicU64,
    health: AtomicU8,
    /// When the last check began that it passed.
    well_at: AtomicU64,
    /// When it last became fit to serve after a failed check or a death; `slow_start` counts from here.
    recovered_at: AtomicU64,
    /// By the admin's command.
    drained: AtomicBool,
    /// By its own word: its health check says `draining`.
    draining: AtomicBool,
    /// Whether its process runs; always so for a backend that is not ours to start.
    running: AtomicBool,
    /// Whether its process keeps dying.
    degraded: AtomicBool,
    deaths: watch::Sender<u64>,
    ejection: Ejection,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            weight: AtomicU32::new(1),
            occupancy: Occupancy::default(),
            requests: AtomicU64::default(),
            failures: AtomicU64::default(),
            health: AtomicU8::default(),
            well_at: AtomicU64::default(),
            recovered_at: AtomicU64::default(),
            drained: AtomicBool::default(),
            draining: AtomicBool::default(),
            running: AtomicBool::new(true),
            degraded: AtomicBool::default(),
            deaths: watch::Sender::new(0),
            ejection: Ejection::default(),
        }
    }
}

/// What the active checks say.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Not checked yet.
    Unknown,
    Up,
    Down,
}

/// Whether a backend may be sent requests, or the first reason why not.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    Eligible,
    /// A spawned worker whose process does not run.
    Stopped,
    /// Taken out by the admin, or of weight 0.
    Drained,
    /// Takes itself out.
    Draining,
    Unchecked,
    Down,
    Ejected,
    /// Has `max_conns` requests in flight, or one that has to be alone.
    Full,
}

impl Standing {
    /// Whether it serves, be it full at the moment.
    pub(in crate::pool) fn is_fit(self) -> bool {
        matches!(self, Self::Eligible | Self::Full)
    }

    /// Not fit to serve as far as is known, but nobody said it must not be asked.
    pub(in crate::pool) fn is_doubtful(self) -> bool {
        matches!(self, Self::Unchecked | Self::Down | Self::Ejected)
    }
}

impl Backend {
    /// `previous` is the backend that had this name before: it lends its live state, and its health too unless it was
    /// found at another address. A weight that an admin set stays until the configuration says another.
    pub fn new(config: &BackendConfig, address: SocketAddr, previous: Option<&Backend>) -> Self {
        let live = previous.map(|previous| Arc::clone(&previous.live)).unwrap_or_default();
        if previous.is_none_or(|previous| previous.configured_weight != config.weight) {
            live.weight.store(config.weight, Ordering::Relaxed);
        }
        if previous.is_some_and(|previous| previous.address != address) {
            live.health.store(Health::Unknown as u8, Ordering::Release);
            live.ejection.forgive();
        }
        Self {
            name: config.name(),
            address,
            backup: config.backup,
            configured_weight: config.weight,
            max_conns: config.max_conns.unwrap_or(u32::MAX),
            tolerance: Tolerance {
                max_fails: config.max_fails,
                fail_timeout: config.fail_timeout.get(),
            },
            slow_start: config.slow_start.get(),
            spawned: false,
            live,
        }
    }

    /// One whose process is ours to start; it does not run yet.
    pub(in crate::pool) fn spawned(config: &BackendConfig, address: SocketAddr) -> Self {
        let backend = Self {
            spawned: true,
            ..Self::new(config, address, None)
        };
        backend.live.running.store(false, Ordering::Release);
        backend
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn is_backup(&self) -> bool {
        self.backup
    }

    /// Whether both are the same member of the pool, be it before and after a reload.
    pub fn is(&self, other: &Backend) -> bool {
        Arc::ptr_eq(&self.live, &other.live)
    }

    pub(in crate::pool) fn is_among(&self, others: &[Arc<Backend>]) -> bool {
        others.iter().any(|other| other.is(self))
    }

    pub fn standing(&self, now: Moment) -> Standing {
        let live = &*self.live;
        if !live.running.load(Ordering::Acquire) {
            Standing::Stopped
        } else if live.drained.load(Ordering::Acquire) || self.weight() == 0 {
            Standing::Drained
        } else if live.draining.load(Ordering::Acquire) {
            Standing::Draining
        } else if self.health() != Health::Up {
            if self.health() == Health::Down {
                Standing::Down
            } else {
                Standing::Unchecked
            }
        } else if live.ejection.excludes(self.tolerance, now) {
            Standing::Ejected
        } else if self.live.occupancy.is_full(self.max_conns) {
            Standing::Full
        } else {
            Standing::Eligible
        }
    }

    pub fn weight(&self) -> u32 {
        self.live.weight.load(Ordering::Relaxed)
    }

    pub fn configured_weight(&self) -> u32 {
        self.configured_weight
    }

    /// Whether an operator has taken it out.
    pub fn is_drained(&self) -> bool {
        self.live.drained.load(Ordering::Acquire)
    }

    /// The weight, reduced while the backend starts slowly; at least a hundredth of it, so that it is never nothing.
    pub fn share(&self, now: Moment) -> f64 {
        let weight = f64::from(self.weight());
        if self.slow_start.is_zero() {
            return weight;
        }
        let recovered = now.since(Moment::from_raw(self.live.recovered_at.load(Ordering::Relaxed)));
        weight * (recovered.as_secs_f64() / self.slow_start.as_secs_f64()).clamp(0.01, 1.0)
    }

    pub fn health(&self) -> Health {
        match self.live.health.load(Ordering::Acquire) {
            raw if raw == Health::Up as u8 => Health::Up,
            raw if raw == Health::Down as u8 => Health::Down,
            _ => Health::Unknown,
        }
    }

    pub fn is_running(&self) -> bool {
        self.live.running.load(Ordering::Acquire)
    }

    /// Whether its process is ours to start.
    pub fn is_spawned(&self) -> bool {
        self.spawned
    }

    /// Whether it is a process of ours that has not passed a check yet.
    pub fn is_starting(&self) -> bool {
        self.spawned && self.health() == Health::Unknown
    }

    pub fn in_flight(&self) -> u32 {
        self.live.occupancy.in_flight()
    }

    /// Bytes of the uploads in flight, as far as their heads told.
    pub fn in_flight_bytes(&self) -> u64 {
        self.live.occupancy.bytes()
    }

    /// How many requests it takes at a time; none where it takes any number.
    pub fn max_conns(&self) -> Option<u32> {
        (self.max_conns < u32::MAX).then_some(self.max_conns)
    }

    pub fn requests(&self) -> u64 {
        self.live.requests.load(Ordering::Relaxed)
    }

    /// Attempts that failed: no connection, a reset, a timeout.
    pub fn failures(&self) -> u64 {
        self.live.failures.load(Ordering::Relaxed)
    }

    pub fn ejections(&self) -> u64 {
        self.live.ejection.count()
    }

    /// How often its process ended without being told to.
    pub fn deaths(&self) -> u64 {
        *self.live.deaths.borrow()
    }

    /// Whether its process died so often in a row that it is unlikely to last; until it has.
    pub fn is_degraded(&self) -> bool {
        self.live.degraded.load(Ordering::Relaxed)
    }

    /// Returns once the backend's process is dead; never for a backend that is not ours to start.
    pub fn died(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut deaths = self.live.deaths.subscribe();
        let live = Arc::clone(&self.live);
        async move {
            if live.running.load(Ordering::Acquire) {
                // Cannot fail: `live` holds the sender.
                let _ = deaths.changed().await;
            }
        }
    }

    /// Whether a connection was lost because the backend died unbidden. Of a process of ours that is known, in the little
    /// time that it takes to notice; `deaths_before` is how many there were when the request was sent. Of another we know
    /// only that it was neither drained nor about to stop.
    pub async fn died_unbidden(&self, deaths_before: u64) -> bool {
        if matches!(self.standing(Moment::now()), Standing::Drained | Standing::Draining) {
            return false;
        }
        if !self.spawned {
            return true;
        }
        let mut deaths = self.live.deaths.subscribe();
        let noticed = timeout(NOTICE, deaths.wait_for(|deaths| *deaths > deaths_before)).await;
        matches!(noticed, Ok(Ok(_)))
    }

    /// Takes a place among the requests in flight, for an upload of so many bytes, unless `max_conns` are taken or
    /// another request is the trial.
    pub(in crate::pool) fn claim(&self, now: Moment, bytes: u64) -> bool {
        if !self.live.occupancy.take(self.max_conns, bytes) {
            return false;
        }
        if self.live.occupancy.is_quarantined() || !self.live.ejection.admit(self.tolerance, now) {
            self.release(bytes);
            return false;
        }
        self.live.requests.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Takes a place although the backend is not fit to serve: the last resort.
    pub(in crate::pool) fn claim_in_panic(&self, bytes: u64) -> bool {
        let claimed = self.live.occupancy.take(self.max_conns, bytes);
        self.live.requests.fetch_add(u64::from(claimed), Ordering::Relaxed);
        claimed
    }

    /// Keeps further requests away; says whether nobody else does already. Those that it has go on.
    pub(in crate::pool) fn quarantine(&self) -> bool {
        self.live.occupancy.quarantine()
    }

    pub(in crate::pool) fn end_quarantine(&self) {
        self.live.occupancy.end_quarantine();
    }

    /// Takes the only place, once no other request is left.
    pub(in crate::pool) fn claim_quarantined(&self, bytes: u64) -> bool {
        let claimed = self.live.occupancy.take_alone(bytes);
        self.live.requests.fetch_add(u64::from(claimed), Ordering::Relaxed);
        claimed
    }

    /// Gives back the place of an upload of so many bytes.
    pub(in crate::pool) fn release(&self, bytes: u64) {
        self.live.occupancy.give_back(bytes);
    }

    pub(in crate::pool) fn succeeded(&self) {
        self.live.ejection.succeeded();
    }

    /// Counts a failed attempt; says whether it ejects the backend. See [`Ejection::failed`].
    pub(in crate::pool) fn failed(&self, may_eject: impl FnOnce() -> bool) -> bool {
        self.live.failures.fetch_add(1, Ordering::Relaxed);
        self.live.ejection.failed(self.tolerance, Moment::now(), may_eject)
    }

    /// Counts an answer; returns how many of 500 and above there were in a row.
    pub(in crate::pool) fn answered(&self, status: u16) -> u32 {
        self.live.ejection.answered(status)
    }

    pub(in crate::pool) fn eject(&self, may_eject: impl FnOnce() -> bool) -> bool {
        self.live.ejection.eject(self.tolerance, Moment::now(), may_eject)
    }

    pub(in crate::pool) fn tolerance(&self) -> Tolerance {
        self.tolerance
    }

    /// Returns what the health was before. Recovery forgives past failures and begins the slow start.
    pub(in crate::pool) fn set_health(&self, health: Health) -> Health {
        let before = self.health();
        if health == Health::Up && before != Health::Up {
            self.live.ejection.forgive();
            if before == Health::Down {
                self.live.recovered_at.store(Moment::now().raw(), Ordering::Relaxed);
            }
        }
        self.live.health.store(health as u8, Ordering::Release);
        before
    }

    /// It has passed a check that began at this moment.
    pub(in crate::pool) fn set_well(&self, began: Moment) {
        self.live.well_at.store(began.raw(), Ordering::Relaxed);
    }

    /// Whether it has passed a check that began after this moment.
    pub(in crate::pool) fn was_well_since(&self, moment: Moment) -> bool {
        Moment::from_raw(self.live.well_at.load(Ordering::Relaxed)) > moment
    }

    pub(in crate::pool) fn set_drained(&self, drained: bool) {
        self.live.drained.store(drained, Ordering::Release);
    }

    /// Returns whether it was draining before.
    pub(in crate::pool) fn set_draining(&self, draining: bool) -> bool {
        self.live.draining.swap(draining, Ordering::AcqRel)
    }

    pub(in crate::pool) fn set_weight(&self, weight: u32) {
        self.live.weight.store(weight, Ordering::Relaxed);
    }

    pub(in crate::pool) fn set_running(&self) {
        self.live.draining.store(false, Ordering::Release);
        self.live.recovered_at.store(Moment::now().raw(), Ordering::Relaxed);
        self.live.running.store(true, Ordering::Release);
    }

    pub(in crate::pool) fn set_degraded(&self, degraded: bool) {
        self.live.degraded.store(degraded, Ordering::Relaxed);
    }

    /// Takes on what another process knows of this backend.
    pub(in crate::pool) fn suppose(&self, standing: Standing, health: Health, in_flight: u32) {
        let live = &*self.live;
        live.occupancy.assume(in_flight, standing == Standing::Full);
        live.health.store(health as u8, Ordering::Release);
        live.running.store(standing != Standing::Stopped, Ordering::Release);
        live.drained.store(standing == Standing::Drained, Ordering::Release);
        live.draining.store(standing == Standing::Draining, Ordering::Release);
        if standing == Standing::Ejected {
            self.eject(|| true);
        }
    }

    /// Takes the backend out at once: its process does not run. `unbidden` counts it as a death.
    pub(in crate::pool) fn set_stopped(&self, unbidden: bool) {
        self.live.running.store(false, Ordering::Release);
        self.live.deaths.send_modify(|deaths| *deaths += u64::from(unbidden));
    }
}

/// How long after a lost connection the end of a process is waited for.
const NOTICE: Duration = Duration::from_millis(100);
