//! A pool: the backends that serve the same requests, which of them may, and whose turn it is.
//!
//! Backends stand in two tiers. Requests go to the primaries; to the backups when no primary is eligible; and when
//! nobody at all is, to any that is merely believed to be down (the panic tier): the checks may be wrong, and an
//! attempt may succeed where giving up cannot. Those an operator drained, that drain themselves or whose process is
//! known not to run are not offered even then.

mod alone;
pub mod backend;
mod clock;
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
pub mod select;
pub mod spawn;
pub mod status;
pub mod sticky;
mod template;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time;

use arc_swap::ArcSwap;
use http::HeaderValue;
use parking_lot::Mutex;
use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use tokio::sync::{Notify, watch};

pub use self::alone::Death;
pub use self::backend::{Backend, BackendConfig, Health, Standing};
use self::clock::Moment;
use self::discovery::{DiscoverConfig, Found, Source};
use self::ejection::EjectionConfig;
use self::health::{Check, HealthConfig};
use self::hedge::{Hedge, HedgeConfig};
pub use self::key::Key;
pub use self::lease::{Lease, Outcome};
use self::members::Members;
pub use self::members::{PoolError, PoolProblem};
pub use self::orders::{Order, Orders};
pub use self::prospect::{CookieSeen, Prospect};
use self::queue::Queue;
pub use self::queue::{Admission, QueueConfig, Refused};
use self::select::SelectConfig;
use self::spawn::{SpawnConfig, Workers};
pub use self::status::{BackendStatus, PoolStatus};
use self::sticky::{Sticky, StickyConfig};
use crate::units::Duration;

/// `pools: { blur: {…} }`: `backends` that run elsewhere, written here or to be discovered, and workers to `spawn` here.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct PoolConfig {
    #[serde(deserialize_with = "select::bare_or_with_settings")]
    pub select: SelectConfig,
    pub sticky: Option<StickyConfig>,
    pub backends: Vec<BackendConfig>,
    #[serde(deserialize_with = "serde_yaml::with::singleton_map_recursive::deserialize")]
    pub discover: Vec<DiscoverConfig>,
    pub spawn: Option<SpawnConfig>,
    /// Unless given, a pool that spawns this program's own workers asks them whether they are healthy, one that spawns
    /// others whether they answer `/` at all within 5 s, and another pool's backends are trusted until they fail.
    pub health: Option<HealthConfig>,
    pub ejection: EjectionConfig,
    pub queue: QueueConfig,
    pub hedge: Option<HedgeConfig>,
    pub timeouts: TimeoutsConfig,
}

impl PoolConfig {
    fn checks(&self) -> Option<HealthConfig> {
        let of_its_workers = |spawn: &SpawnConfig| match spawn.is_built_in() {
            true => HealthConfig::of_a_blur_worker(),
            false => HealthConfig::of_any_worker(),
        };
        self.health.clone().or_else(|| self.spawn.as_ref().map(of_its_workers))
    }
}

/// How long each step with a backend may take.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct TimeoutsConfig {
    pub connect: Duration,
    /// Between two writes of the request.
    pub send: Duration,
    /// Between two reads of the response.
    pub read: Duration,
    /// From a request's last byte to the head of its answer, over all attempts. Nginx: `proxy_next_upstream_timeout`.
    #[serde(deserialize_with = "some_time")]
    pub total: Duration,
    /// How long an unused connection is kept.
    pub idle: Duration,
}

impl Default for TimeoutsConfig {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            send: Duration::from_secs(10),
            read: Duration::from_secs(60),
            total: Duration::from_secs(120),
            idle: Duration::from_secs(30),
        }
    }
}

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

    /// What the pool tells this request apart by.
    pub fn key(&self, head: &RequestHeader, client: IpAddr) -> Key {
        let key = Key::of_request(self.config.select.key(), head, client);
        match &self.sticky {
            Some(sticky) => key.with_home(head, sticky.cookie()),
            None => key,
        }
    }

    /// A place at a backend for this key that is none of those already tried; none if there is none right now.
    pub fn pick(self: &Arc<Self>, key: &Key, tried: &[Arc<Backend>]) -> Option<Lease> {
        self.pick_eligible(key, tried)
            .or_else(|| self.pick_in_panic(key, tried))
    }

    /// As [`Pool::pick`], but never one that is only hoped to serve: for a request that has an answer already.
    pub fn pick_eligible(self: &Arc<Self>, key: &Key, tried: &[Arc<Backend>]) -> Option<Lease> {
        let now = Moment::now();
        let offers = |backend: &Backend| untried(backend, tried) && backend.standing(now) == Standing::Eligible;
        let claim = |backend: &Backend| backend.claim(now, key.upload_bytes());
        let members = self.members.load();
        let backend = self
            .named_by_cookie(&members, key)
            .filter(|home| offers(home) && claim(home))
            .or_else(|| members.claim(key, now, offers, claim))?;
        Some(Lease::new(self, backend, key))
    }

    /// The backend that the client's sticky cookie names, if it is still there.
    fn named_by_cookie<'a>(&self, members: &'a Members, key: &Key) -> Option<&'a Arc<Backend>> {
        let (sticky, named) = (self.sticky.as_ref()?, key.home()?);
        members.iter().find(|backend| sticky.names(named, backend))
    }

    /// The `Set-Cookie` for a client that this backend has served, where its cookie does not lead to one that is fit: to
    /// this one, or to one that was merely full.
    pub fn cookie(&self, key: &Key, served: &Backend, under_tls: bool) -> Option<HeaderValue> {
        let sticky = self.sticky.as_ref()?;
        let now = Moment::now();
        let members = self.members.load();
        let leads = self
            .named_by_cookie(&members, key)
            .is_some_and(|home| home.is(served) || home.standing(now).is_fit());
        (!leads).then(|| sticky.set(served, under_tls))
    }

    /// How long an attempt may go without an answer before another backend is asked too; none where that is not wanted.
    pub fn hedge_after(&self) -> Option<time::Duration> {
        self.hedge.as_ref()?.after()
    }

    fn pick_in_panic(self: &Arc<Self>, key: &Key, tried: &[Arc<Backend>]) -> Option<Lease> {
        if self.could_serve(tried) {
            // They are full, which is no reason to doubt what is known of the others.
            return None;
        }
        let now = Moment::now();
        let offers = |backend: &Backend| untried(backend, tried) && backend.standing(now).is_doubtful();
        let members = self.members.load();
        let backend = members.claim(key, now, offers, |backend| backend.claim_in_panic(key.upload_bytes()))?;
        self.panics.fetch_add(1, Ordering::Relaxed);
        Some(Lease::new(self, backend, key))
    }

    /// Whether a backend not yet tried is fit to serve, be it full at the moment.
    fn could_serve(&self, tried: &[Arc<Backend>]) -> bool {
        let now = Moment::now();
        self.members
            .load()
            .any(|backend| untried(backend, tried) && backend.standing(now).is_fit())
    }

    /// Lets a request in whose body has not been read yet, or turns it away while that still spares it the upload: all
    /// that could serve it are full, and so many others wait that it would find no place in the queue.
    pub fn admit(self: &Arc<Self>) -> Result<Admission, Refused> {
        let members = self.members.load();
        let saturated = || {
            let now = Moment::now();
            let standing = |wanted| move |backend: &Backend| backend.standing(now) == wanted;
            members.any(standing(Standing::Full)) && !members.any(standing(Standing::Eligible))
        };
        self.queue.admit(
            self,
            members.any(|backend| backend.max_conns().is_some()) && saturated(),
        )
    }

    /// As [`Pool::pick`], but waits in the pool's queue while all that could serve are full.
    pub async fn acquire(self: &Arc<Self>, key: &Key, tried: &[Arc<Backend>]) -> Result<Lease, Refused> {
        self.queue.acquire(self, key, tried).await
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
        self.regroup();
        tracing::info!(pool = self.name, backend = name, weight, "weight changed");
        true
    }

    /// Runs the spawned workers, the discovery and the active checks until told to stop; then stops the workers. So `stop` should
    /// come after the last request has been answered.
    pub async fn run(self: Arc<Self>, stop: watch::Receiver<bool>) {
        let workers = self.workers.as_ref().map(|workers| workers.want(&self.name));
        self.begun.store(true, Ordering::Release);
        self.noticed_change();
        let checks = async {
            if let Some(check) = &self.check {
                health::run(&self, check, stop.clone()).await;
            }
        };
        let workers = async {
            let changed = || {
                self.trust_the_unchecked();
                self.noticed_change();
            };
            if let Some(workers) = workers {
                workers.run(stop.clone(), changed).await;
            }
        };
        tokio::join!(discovery::run(&self, stop.clone()), checks, workers);
    }

    /// Returns when every source of backends was asked, every backend has had its first check, and every spawned worker has passed one or had
    /// `start_timeout` for it. [`Pool::run`] must be running.
    pub async fn first_round(&self) {
        let patience = self.patience();
        let settled = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if self.is_settled() {
                    return;
                }
                changed.await;
            }
        };
        if tokio::time::timeout(patience, settled).await.is_err() {
            tracing::warn!(
                pool = self.name,
                "not every backend answered its first check within {patience:?}"
            );
        }
    }

    fn is_settled(&self) -> bool {
        let is_known = |backend: &Arc<Backend>| backend.is_running() && backend.health() != Health::Unknown;
        self.begun.load(Ordering::Acquire)
            && self.sources.iter().all(|source| source.was_asked())
            && self.members.load().iter().all(is_known)
    }

    /// How long the first round may take: an answer and a check that time out, and time for the machinery around them.
    fn patience(&self) -> time::Duration {
        let check = self
            .check
            .as_ref()
            .map(|check| check.config().timeout.get())
            .unwrap_or_default();
        let start = self
            .config
            .spawn
            .as_ref()
            .map(|spawn| spawn.start_timeout.get())
            .unwrap_or_default();
        let discovery = self.config.discover.iter().map(DiscoverConfig::patience).max();
        time::Duration::from_secs(1) + check + start + discovery.unwrap_or_default()
    }

    /// Without active checks nobody will ever ask the backends, so they have to be believed well; one whose process keeps
    /// dying, not before it has lasted.
    fn trust_the_unchecked(&self) {
        if self.check.is_some() {
            return;
        }
        for backend in self.members.load().iter() {
            if backend.is_running() && !backend.is_degraded() {
                backend.set_health(Health::Up);
            }
        }
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

/// Reads a duration where none at all would mean to do something without a pause, or at once.
fn some_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let duration = Duration::deserialize(deserializer)?;
    if duration.get().is_zero() {
        return Err(D::Error::custom("has to be longer than 0s"));
    }
    Ok(duration)
}

/// Returns when `stop` turns true, or when nobody is left who could say so.
async fn stopped(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

fn untried(backend: &Backend, tried: &[Arc<Backend>]) -> bool {
    !tried.iter().any(|tried| tried.is(backend))
}

impl Standing {
    fn is_fit(self) -> bool {
        matches!(self, Self::Eligible | Self::Full)
    }

    /// Not fit to serve as far as is known, but nobody said it must not be asked.
    fn is_doubtful(self) -> bool {
        matches!(self, Self::Unchecked | Self::Down | Self::Ejected)
    }
}

#[cfg(test)]
mod tests;
