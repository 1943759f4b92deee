//! A pool: the backends that serve the same requests, which of them may, and whose turn it is.
//!
//! Backends stand in two tiers. Requests go to the primaries; to the backups when no primary is eligible; and when
//! nobody at all is, to any that is merely believed to be down (the panic tier): the checks may be wrong, and an
//! attempt may succeed where giving up cannot. Those an operator drained, that drain themselves or whose process is
//! known not to run are not offered even then.

pub mod backend;
mod clock;
pub mod discovery;
pub mod ejection;
pub mod health;
pub mod key;
pub mod lease;
mod queue;
mod random;
pub mod select;
pub mod spawn;
pub mod status;

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use pingora::http::RequestHeader;
use serde::Deserialize;
use serde_yaml::with::singleton_map_recursive;
use tokio::sync::{Notify, watch};

pub use self::backend::{Backend, BackendConfig, Health, Standing};
use self::clock::Moment;
use self::health::{Check, HealthConfig};
pub use self::key::Key;
pub use self::lease::{Lease, Outcome};
use self::queue::Queue;
pub use self::queue::{QueueConfig, Refused};
use self::select::{Candidates, Select, SelectConfig};
use self::spawn::{SpawnConfig, SpawnError, Workers};
pub use self::status::{BackendStatus, PoolStatus};
use crate::units::Duration;

/// `pools: { blur: {…} }`: `backends` that run elsewhere, workers to `spawn` here, or both.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct PoolConfig {
    #[serde(with = "singleton_map_recursive")]
    pub select: SelectConfig,
    pub backends: Vec<BackendConfig>,
    pub spawn: Option<SpawnConfig>,
    pub health: Option<HealthConfig>,
    pub queue: QueueConfig,
    pub timeouts: TimeoutsConfig,
}

/// How long each step with a backend may take.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct TimeoutsConfig {
    pub connect: Duration,
    /// Between two writes of the request.
    pub send: Duration,
    /// Between two reads of the response.
    pub read: Duration,
    /// How long an unused connection is kept.
    pub idle: Duration,
}

impl Default for TimeoutsConfig {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            send: Duration::from_secs(10),
            read: Duration::from_secs(60),
            idle: Duration::from_secs(30),
        }
    }
}

pub struct Pool {
    name: String,
    config: PoolConfig,
    members: ArcSwap<Members>,
    check: Option<Arc<Check>>,
    workers: Option<Workers>,
    queue: Queue,
    /// Contended only by failures that might eject: one at a time, or two backends could each count on the other.
    ejecting: Mutex<()>,
    panics: AtomicU64,
    /// Told of every change of a backend's health.
    changed: Notify,
}

struct Members {
    primaries: Tier,
    backups: Tier,
}

struct Tier {
    backends: Vec<Arc<Backend>>,
    select: Box<dyn Select>,
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
            for (config, address) in resolved(written).map_err(failed)? {
                let before = previous.and_then(|previous| previous.backend(&config.name()));
                backends.push(Arc::new(Backend::new(&config, address, before.as_deref())));
            }
        }
        let workers = match &config.spawn {
            Some(spawn) => Some(Workers::bind(spawn).map_err(|error| failed(error.into()))?),
            None => None,
        };
        backends.extend(workers.iter().flat_map(Workers::backends));
        refuse_twins(&backends).map_err(failed)?;
        if config.health.is_none() {
            // Nobody will ever ask them, so they have to be trusted.
            backends.iter().for_each(|backend| {
                backend.set_health(Health::Up);
            });
        }
        Ok(Arc::new(Self {
            name: name.to_owned(),
            members: ArcSwap::from_pointee(Members::new(&config.select, backends)),
            check: config.health.as_ref().map(|health| Arc::new(Check::new(health))),
            workers,
            queue: Queue::new(&config.queue),
            ejecting: Mutex::new(()),
            panics: AtomicU64::new(0),
            changed: Notify::new(),
            config: config.clone(),
        }))
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

    /// What the pool tells this request apart by.
    pub fn key(&self, head: &RequestHeader, client: IpAddr) -> Key {
        Key::of_request(self.config.select.key(), head, client)
    }

    /// A place at a backend for this key that is none of those already tried; none if there is none right now.
    pub fn pick(self: &Arc<Self>, key: &Key, tried: &[Arc<Backend>]) -> Option<Lease> {
        if let Some(lease) = self.pick_eligible(key, tried) {
            return Some(lease);
        }
        let now = Moment::now();
        let members = self.members.load();
        let untried = |backend: &Backend| !tried.iter().any(|tried| tried.is(backend));
        if members.any(|backend| untried(backend) && backend.standing(now) == Standing::Full) {
            return None;
        }
        let doubtful = |backend: &Backend| untried(backend) && backend.standing(now).is_doubtful();
        for tier in [&members.primaries, &members.backups] {
            if let Some(backend) = tier.claim(key, now, &doubtful, Backend::claim_in_panic) {
                self.panics.fetch_add(1, Ordering::Relaxed);
                return Some(Lease::new(self, backend));
            }
        }
        None
    }

    /// As [`Pool::pick`], but never one that is only hoped to serve: for a request that has an answer already.
    pub fn pick_eligible(self: &Arc<Self>, key: &Key, tried: &[Arc<Backend>]) -> Option<Lease> {
        let now = Moment::now();
        let members = self.members.load();
        let untried = |backend: &Backend| !tried.iter().any(|tried| tried.is(backend));
        let eligible = |backend: &Backend| untried(backend) && backend.standing(now) == Standing::Eligible;
        [&members.primaries, &members.backups]
            .into_iter()
            .find_map(|tier| tier.claim(key, now, &eligible, |backend| backend.claim(now)))
            .map(|backend| Lease::new(self, backend))
    }

    /// As [`Pool::pick`], but waits in the pool's queue while all that could serve are full.
    pub async fn acquire(self: &Arc<Self>, key: &Key, tried: &[Arc<Backend>]) -> Result<Lease, Refused> {
        self.queue.acquire(self, key, tried).await
    }

    /// How many backends may be sent requests right now, those that are merely full included.
    pub fn eligible(&self) -> usize {
        let now = Moment::now();
        let fit = |backend: &&Arc<Backend>| matches!(backend.standing(now), Standing::Eligible | Standing::Full);
        self.members.load().iter().filter(fit).count()
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

    /// Drains a backend or takes it back; says whether there is one of that name.
    pub fn set_drained(self: &Arc<Self>, name: &str, drained: bool) -> bool {
        let Some(backend) = self.backend(name) else {
            return false;
        };
        backend.set_drained(drained);
        tracing::info!(
            pool = self.name,
            backend = name,
            "{}",
            if drained { "drained" } else { "no longer drained" }
        );
        self.released();
        true
    }

    /// Gives a backend another weight, 0 to drain it; says whether there is one of that name.
    pub fn set_weight(self: &Arc<Self>, name: &str, weight: u32) -> bool {
        let Some(backend) = self.backend(name) else {
            return false;
        };
        backend.set_weight(weight);
        self.members
            .store(Arc::new(Members::new(&self.config.select, self.backends())));
        tracing::info!(pool = self.name, backend = name, weight, "weight changed");
        self.released();
        true
    }

    /// Runs the spawned workers and the active checks until told to stop; then stops the workers. So `stop` should
    /// come after the last request has been answered.
    pub async fn run(self: Arc<Self>, stop: watch::Receiver<bool>) {
        let checks = async {
            if let Some(check) = &self.check {
                health::run(&self, check, stop.clone()).await;
            }
        };
        let workers = async {
            if let Some(workers) = &self.workers {
                workers.run(&self, stop.clone()).await;
            }
        };
        tokio::join!(checks, workers);
    }

    /// Returns when every backend has had its first check, and every spawned worker has passed one or had
    /// `start_timeout` for it. [`Pool::run`] must be running.
    pub async fn first_round(&self) {
        let patience = self
            .config
            .spawn
            .as_ref()
            .map(|spawn| spawn.start_timeout.get())
            .unwrap_or_default()
            + self
                .config
                .health
                .as_ref()
                .map(|health| health.timeout.get())
                .unwrap_or_default()
                * 2;
        let all_checked = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if !self
                    .members
                    .load()
                    .any(|backend| backend.health() == Health::Unknown || !backend.is_running())
                {
                    return;
                }
                changed.await;
            }
        };
        if tokio::time::timeout(patience, all_checked).await.is_err() {
            tracing::warn!(
                pool = self.name,
                "not every backend answered its first check within {patience:?}"
            );
        }
    }

    /// A failed attempt, on its way from [`Lease::report`].
    fn failed(&self, backend: &Arc<Backend>, outcome: Outcome) {
        let _one_at_a_time = self.ejecting.lock();
        if backend.failed(|| self.serves_without(backend)) {
            let fail_timeout = backend.tolerance().fail_timeout;
            tracing::warn!(
                pool = self.name,
                backend = backend.name(),
                "ejected for {fail_timeout:?}: {outcome}"
            );
            self.changed.notify_waiters();
        }
    }

    fn serves_without(&self, backend: &Backend) -> bool {
        let now = Moment::now();
        self.members
            .load()
            .any(|other| !other.is(backend) && matches!(other.standing(now), Standing::Eligible | Standing::Full))
    }

    fn has_checks(&self) -> bool {
        self.check.is_some()
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

/// Returns when `stop` turns true, or when nobody is left who could say so.
async fn stopped(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

impl Standing {
    /// Not fit to serve as far as is known, but nobody said it must not be asked.
    fn is_doubtful(self) -> bool {
        matches!(self, Self::Unchecked | Self::Down | Self::Ejected)
    }
}

impl Members {
    fn new(select: &SelectConfig, backends: Vec<Arc<Backend>>) -> Self {
        let (backups, primaries) = backends.into_iter().partition(|backend| backend.is_backup());
        Self {
            primaries: Tier::new(select, primaries),
            backups: Tier::new(select, backups),
        }
    }

    fn iter(&self) -> impl Iterator<Item = &Arc<Backend>> {
        self.primaries.backends.iter().chain(&self.backups.backends)
    }

    fn any(&self, holds: impl Fn(&Backend) -> bool) -> bool {
        self.iter().any(|backend| holds(backend))
    }
}

impl Tier {
    fn new(select: &SelectConfig, backends: Vec<Arc<Backend>>) -> Self {
        Self {
            select: select.build(&backends),
            backends,
        }
    }

    /// Picks until a claim holds: between pick and claim another request may have taken the last place.
    fn claim(
        &self,
        key: &Key,
        now: Moment,
        offers: &dyn Fn(&Backend) -> bool,
        claim: impl Fn(&Backend) -> bool,
    ) -> Option<&Arc<Backend>> {
        let candidates = Candidates {
            backends: &self.backends,
            now,
            offers,
        };
        (0..=self.backends.len())
            .map_while(|_| self.select.pick(key, &candidates))
            .map(|place| &self.backends[place])
            .find(|backend| claim(backend))
    }
}

/// One backend for each address its name has; with several, each is known by its own address too.
fn resolved(written: &BackendConfig) -> Result<Vec<(BackendConfig, SocketAddr)>, PoolProblem> {
    let unresolved = |source| PoolProblem::Unresolved {
        address: written.address.to_string(),
        source,
    };
    let addresses = written.address.resolve().map_err(unresolved)?;
    let several = addresses.len() > 1;
    let known_by = |address: SocketAddr| match &written.name {
        Some(name) if several => Some(format!("{name}/{address}")),
        Some(name) => Some(name.clone()),
        None if several => Some(address.to_string()),
        None => None,
    };
    Ok(addresses
        .into_iter()
        .map(|address| {
            (
                BackendConfig {
                    name: known_by(address),
                    ..written.clone()
                },
                address,
            )
        })
        .collect())
}

fn refuse_twins(backends: &[Arc<Backend>]) -> Result<(), PoolProblem> {
    let (mut names, mut addresses) = (HashSet::new(), HashSet::new());
    for backend in backends {
        if !names.insert(backend.name()) {
            return Err(PoolProblem::SameName(backend.name().to_owned()));
        }
        if !addresses.insert(backend.address()) {
            return Err(PoolProblem::SameAddress(backend.address()));
        }
    }
    Ok(())
}

#[derive(Debug, thiserror::Error)]
#[error("pool {pool:?}: {problem}")]
pub struct PoolError {
    pub pool: String,
    #[source]
    pub problem: PoolProblem,
}

#[derive(Debug, thiserror::Error)]
pub enum PoolProblem {
    #[error("backend {address}: the name cannot be resolved: {source}")]
    Unresolved { address: String, source: io::Error },
    #[error("two backends are called {0:?}")]
    SameName(String),
    #[error("two backends have the address {0}")]
    SameAddress(SocketAddr),
    #[error(transparent)]
    Spawn(#[from] SpawnError),
}

#[cfg(test)]
mod tests;
