//! A pool: the backends that serve the same requests, which of them may, and whose turn it is.
//!
//! Backends stand in two tiers. Requests go to the primaries; to the backups when no primary is eligible; and when
//! nobody at all is, to any that is merely believed to be down (the panic tier): the checks may be wrong, and an
//! attempt may succeed where giving up cannot. Those an operator drained, that drain themselves or whose process is
//! known not to run are not offered even then.

mod alone;
pub mod backend;
mod choice;
mod clock;
mod config;
pub mod discovery;
pub mod ejection;
pub mod health;
pub mod hedge;
pub mod key;
pub mod lease;
mod members;
mod orders;
mod prospect;
mod queue;
mod random;
mod run;
pub mod select;
pub mod spawn;
pub mod status;
pub mod sticky;
mod template;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

pub use self::alone::Death;
pub use self::backend::{Backend, BackendConfig, Health, Standing};
use self::choice::untried;
use self::clock::Moment;
use self::config::some_time;
pub use self::config::{PoolConfig, TimeoutsConfig};
use self::discovery::{Found, Source};
use self::health::Check;
use self::hedge::Hedge;
pub use self::key::Key;
pub use self::lease::{Lease, Outcome};
use self::members::Members;
pub use self::members::{PoolError, PoolProblem};
pub use self::orders::{Order, Orders};
pub use self::prospect::{CookieSeen, Prospect};
use self::queue::Queue;
pub use self::queue::{Admission, QueueConfig, Refused};
use self::run::stopped;
use self::spawn::Workers;
pub use self::status::{BackendStatus, PoolStatus};
use self::sticky::Sticky;

pub struct Pool {
    name: String,
    config: PoolConfig,
    members: ArcSwap<Members>,
    /// The backends that are written in the configuration, and the spawned workers.
    fixed: Vec<Arc<Backend>>,
    sources: Vec<Arc<Source>>,
    /// Those of the pool before a reload; whoever is found again under its name takes over what is known of it.
    inherited: Vec<Arc<Backend>>,
    /// Contended by sources with news and by admins who change weights.
    regrouping: Mutex<()>,
    /// Told whenever the members have changed.
    regrouped: watch::Sender<()>,
    check: Option<Arc<Check>>,
    workers: Option<Arc<Workers>>,
    queue: Queue,
    sticky: Option<Sticky>,
    hedge: Option<Hedge>,
    /// Contended only by failures that might eject: one at a time, or two backends could each count on the other.
    ejecting: Mutex<()>,
    panics: AtomicU64,
    /// Whether `run` has begun.
    begun: AtomicBool,
    /// Told of every change of a backend's health.
    changed: Notify,
}

impl Pool {
    /// Resolves the backends' names and binds the spawned workers' sockets. `previous` is the pool of that name before
    /// a reload: backends take over the live state of those that had their name.
    pub fn new(name: &str, config: &PoolConfig, previous: Option<&Pool>) -> Result<Arc<Self>, PoolError> {
        let failed = |problem| PoolError {
            pool: name.to_owned(),
            problem,
        };
        let mut backends = Vec::new();
        for written in &config.backends {
            for Found { config, address } in members::resolved(written).map_err(failed)? {
                let before = previous.and_then(|previous| previous.backend(&config.name()));
                backends.push(Arc::new(Backend::new(&config, address, before.as_deref())));
            }
        }
        let workers = match (&config.spawn, previous) {
            // The same workers go on: a reload is no reason to load their models again.
            (Some(spawn), Some(previous)) if previous.config.spawn.as_ref() == Some(spawn) => previous.workers.clone(),
            (Some(spawn), _) => Some(Arc::new(Workers::bind(spawn).map_err(|error| failed(error.into()))?)),
            (None, _) => None,
        };
        if let (Some(workers), Some(previous)) = (&workers, previous) {
            let orders = previous.orders();
            workers.backends().for_each(|worker| orders::follow(&orders, &worker));
        }
        backends.extend(workers.iter().flat_map(|workers| workers.backends()));
        let names = backends
            .iter()
            .map(|backend| (backend.name().to_owned(), backend.address()));
        members::refuse_twins(names).map_err(failed)?;
        let source = |config| {
            let before = previous.and_then(|previous| previous.source(config));
            Arc::new(Source::new(config, before))
        };
        let before = previous.and_then(|previous| previous.sticky.as_ref());
        let pool = Arc::new(Self {
            name: name.to_owned(),
            members: ArcSwap::from_pointee(Members::new(&config.select, Vec::new())),
            fixed: backends,
            sources: config.discover.iter().map(source).collect(),
            inherited: previous.map(Pool::backends).unwrap_or_default(),
            regrouping: Mutex::new(()),
            regrouped: watch::Sender::new(()),
            check: config.checks().as_ref().map(|health| Arc::new(Check::new(health))),
            workers,
            queue: Queue::new(&config.queue),
            sticky: config.sticky.as_ref().map(|sticky| Sticky::new(sticky, before)),
            hedge: config.hedge.as_ref().map(Hedge::new),
            ejecting: Mutex::new(()),
            panics: AtomicU64::new(0),
            begun: AtomicBool::new(false),
            changed: Notify::new(),
            config: config.clone(),
        });
        pool.regroup();
        pool.trust_the_unchecked();
        Ok(pool)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a pool made of this configuration would be the same one, so that this one can live on with its workers.
    /// Host names may have come to mean other addresses.
    pub fn is_as(&self, config: &PoolConfig) -> bool {
        self.config == *config && config.backends.iter().all(|backend| backend.address.is_literal())
    }

    pub fn timeouts(&self) -> &TimeoutsConfig {
        &self.config.timeouts
    }

    /// How many backends may be sent requests right now, those that are merely full included.
    pub fn eligible(&self) -> usize {
        let now = Moment::now();
        self.members
            .load()
            .iter()
            .filter(|backend| backend.standing(now).is_fit())
            .count()
    }

    pub fn backends(&self) -> Vec<Arc<Backend>> {
        self.members.load().iter().cloned().collect()
    }

    pub fn backend(&self, name: &str) -> Option<Arc<Backend>> {
        self.members
            .load()
            .iter()
            .find(|backend| backend.name() == name)
            .cloned()
    }

    /// A backend's health or process has changed.
    fn noticed_change(self: &Arc<Self>) {
        self.changed.notify_waiters();
        self.released();
    }

    /// A place may have become free, or a backend fit to serve.
    fn released(self: &Arc<Self>) {
        self.queue.serve(self);
    }
}

#[cfg(test)]
mod tests;
