//! A backend: one address that serves a pool's requests. What the configuration says of it is fixed; what happens to it
//! is kept in atomics, so that nothing on a request's way waits, and outlives a reload under the backend's name.

mod change;
mod config;
mod connections;
mod kept;
mod occupancy;
mod standing;
mod tally;
mod trouble;
mod trunks;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

pub use self::config::{BackendConfig, GREATEST_WEIGHT};
use self::connections::Connections;
use self::kept::Kept;
use self::occupancy::Occupancy;
pub use self::standing::{Health, Standing};
use self::tally::Tally;
pub use self::tally::{Counts, Latency};
use self::trouble::Troubles;
pub use self::trouble::{Cause, Trouble};
use self::trunks::Trunks;
use crate::client::endpoint::Endpoint;
use crate::pool::clock::Moment;
use crate::pool::members::ejection::{Ejection, Tolerance};
use crate::pool::members::outcome::Outcome;
use crate::pool::transport::{Channel, Target, Trunk};

/// A member of a pool.
#[derive(Clone, Debug)]
pub struct Backend {
    name: String,
    address: Endpoint,
    /// As it was written, for TLS.
    host: Option<Arc<str>>,
    backup: bool,
    configured_weight: u32,
    max_conns: u32,
    /// How often it may be asked for one request.
    tries: usize,
    /// How many requests it works on at a time; further ones wait there.
    parallel: u32,
    tolerance: Tolerance,
    slow_start: Duration,
    spawned: bool,
    /// How often its process had died when it was chosen for a request.
    deaths_before: u64,
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
    health_changed: watch::Sender<()>,
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
    connections: Connections,
    kept: Kept,
    trunks: Trunks,
    tally: Tally,
    troubles: Troubles,
    /// When it last refused a connection; never while it has taken one since.
    unreachable_at: AtomicU64,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            weight: AtomicU32::new(1),
            occupancy: Occupancy::default(),
            requests: AtomicU64::default(),
            failures: AtomicU64::default(),
            health: AtomicU8::default(),
            health_changed: watch::Sender::new(()),
            well_at: AtomicU64::default(),
            recovered_at: AtomicU64::default(),
            drained: AtomicBool::default(),
            draining: AtomicBool::default(),
            running: AtomicBool::new(true),
            degraded: AtomicBool::default(),
            deaths: watch::Sender::new(0),
            ejection: Ejection::default(),
            connections: Connections::default(),
            kept: Kept::default(),
            trunks: Trunks::default(),
            tally: Tally::default(),
            troubles: Troubles::default(),
            unreachable_at: AtomicU64::default(),
        }
    }
}

impl Backend {
    /// `previous` is the backend that had this name before: it lends its live state, and its health too unless it was
    /// found at another address. A weight that an admin set stays until the configuration says another.
    pub fn new(config: &BackendConfig, address: Endpoint, previous: Option<&Backend>) -> Self {
        let live = previous.map(|previous| Arc::clone(&previous.live)).unwrap_or_default();
        if previous.is_none_or(|previous| previous.configured_weight != config.weight) {
            live.weight.store(config.weight, Ordering::Relaxed);
        }
        if previous.is_some_and(|previous| previous.address != address) {
            live.health.store(Health::Unknown as u8, Ordering::Release);
            live.ejection.forgive();
            live.kept.clear();
            live.trunks.clear();
        }
        Self {
            name: config.name(),
            address,
            host: config.address.host().map(Into::into),
            backup: config.backup,
            configured_weight: config.weight,
            max_conns: config.max_conns.unwrap_or(u32::MAX),
            tries: config.tries.get() as usize,
            parallel: u32::MAX,
            tolerance: Tolerance {
                max_fails: config.max_fails,
                fail_timeout: config.fail_timeout.get(),
            },
            slow_start: config.slow_start.get(),
            spawned: false,
            deaths_before: 0,
            live,
        }
    }

    /// One whose process is ours to start; it does not run yet.
    pub(in crate::pool) fn spawned(config: &BackendConfig, address: Endpoint, parallel: Option<u32>) -> Self {
        let backend = Self {
            spawned: true,
            parallel: parallel.unwrap_or(u32::MAX),
            ..Self::new(config, address, None)
        };
        backend.live.running.store(false, Ordering::Release);
        backend
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn address(&self) -> &Endpoint {
        &self.address
    }

    /// Its host as it was written, for TLS.
    pub fn host(&self) -> Option<&Arc<str>> {
        self.host.as_ref()
    }

    /// Whom to connect to.
    pub fn target(&self) -> Target<'_> {
        Target {
            endpoint: &self.address,
            host: self.host.as_deref(),
        }
    }

    pub fn is_backup(&self) -> bool {
        self.backup
    }

    /// Whether both are the same member of the pool, be it before and after a reload.
    pub fn is(&self, other: &Backend) -> bool {
        Arc::ptr_eq(&self.live, &other.live)
    }

    /// Whether it is one of those that a request was sent to, as often as it may be. A process that has come in a dead one's
    /// place is not.
    pub(in crate::pool) fn is_among(&self, tried: &[Arc<Backend>]) -> bool {
        let is_it = |tried: &&Arc<Backend>| tried.is(self) && (!self.spawned || tried.deaths_before == self.deaths());
        tried.iter().filter(is_it).count() >= self.tries
    }

    /// As it is at this moment, for a request that is sent to it.
    pub(in crate::pool) fn as_chosen(self: &Arc<Self>) -> Arc<Self> {
        match self.spawned {
            true => Arc::new(Self {
                deaths_before: self.deaths(),
                ..Self::clone(self)
            }),
            false => Arc::clone(self),
        }
    }

    /// Whether a request would be worked on at once, and need not wait there.
    pub(in crate::pool) fn has_idle_hands(&self) -> bool {
        self.in_flight() < self.parallel
    }

    /// Whether it says how many requests it works on at a time.
    pub(in crate::pool) fn counts_hands(&self) -> bool {
        self.parallel < u32::MAX
    }

    /// Whether it is a process of ours that is about to serve again: it has died, and is being started, or loads.
    pub(in crate::pool) fn is_returning(&self, now: Moment) -> bool {
        let started = Moment::from_raw(self.live.recovered_at.load(Ordering::Relaxed));
        let comes = match self.standing(now) {
            Standing::Stopped => true,
            Standing::Unchecked => now.since(started) < LOADING,
            _ => false,
        };
        self.spawned && !self.is_degraded() && comes
    }

    /// A connection of this transport's that no request is on, idle for `most` at most; `ask` as in [`Kept::take`].
    pub fn take_kept(&self, transport: u64, most: Duration, ask: bool) -> Option<Channel> {
        let kept = self.live.kept.take(most, ask)?;
        (kept.endpoint == self.address && kept.transport == transport).then_some(kept)
    }

    /// Keeps a connection for a further request.
    pub fn keep(&self, channel: Channel) {
        if channel.endpoint == self.address {
            self.live.kept.keep(channel);
        }
    }

    /// A connection of this transport's that a further request may share.
    pub fn trunk(&self, transport: u64) -> Option<Trunk> {
        self.live.trunks.find(&self.address, transport)
    }

    /// Lets further requests share a connection.
    pub fn let_share(&self, trunk: Trunk) {
        self.live.trunks.add(trunk);
    }

    /// Ends kept connections that nobody will use.
    pub(in crate::pool) fn sweep_kept(&self, most: Duration) {
        self.live.kept.sweep(most);
        self.live.trunks.sweep(most);
    }

    /// Counts an attempt at it that has ended.
    pub(in crate::pool) fn count(&self, outcome: Outcome) {
        self.live.tally.count(outcome);
        match outcome {
            Outcome::ConnectFailed => self.live.unreachable_at.store(Moment::now().raw(), Ordering::Relaxed),
            // Read first: with every connection good, no processor has to take the line from another.
            Outcome::Answered { .. } | Outcome::Busy if self.live.unreachable_at.load(Ordering::Relaxed) > 0 => {
                self.live.unreachable_at.store(0, Ordering::Relaxed);
            }
            _ => {}
        }
    }

    /// What has become of the requests that it was sent.
    pub fn counts(&self) -> Counts {
        self.live.tally.counts()
    }

    /// Whether the last connection to it was refused, a moment ago.
    pub(in crate::pool) fn is_unreachable(&self) -> bool {
        self.live.unreachable_at.load(Ordering::Relaxed) > 0
    }

    /// Why it is out, and how often it was lately.
    pub fn troubles(&self) -> &Troubles {
        &self.live.troubles
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

    /// Whether it serves as far as is known, be it full at the moment.
    pub fn is_fit(&self) -> bool {
        self.standing(Moment::now()).is_fit()
    }

    /// Tells when its health becomes another.
    pub(in crate::pool) fn health_changes(&self) -> watch::Receiver<()> {
        self.live.health_changed.subscribe()
    }

    /// Returns once it is found to be down anew.
    pub async fn found_down(&self) {
        let mut changes = self.health_changes();
        while changes.changed().await.is_ok() && self.health() != Health::Down {}
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
            // The checks had it down already, and its connections were ended for that.
            return self.health() != Health::Down;
        }
        let mut deaths = self.live.deaths.subscribe();
        let noticed = timeout(NOTICE, deaths.wait_for(|deaths| *deaths > deaths_before)).await;
        matches!(noticed, Ok(Ok(_)))
    }
}

/// How long a process of ours that has not passed a check yet is thought to load.
const LOADING: Duration = Duration::from_secs(30);

/// How long after a lost connection the end of a process is waited for.
const NOTICE: Duration = Duration::from_millis(100);
