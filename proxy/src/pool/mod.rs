//! A pool: the backends that serve the same requests, which of them may, and whose turn it is.
//!
//! [`members`] knows who is there and how each is, [`choose`] whose turn it is, and [`admission`] when a request gets its
//! place; they know only those before them, and none knows [`Pool`], which puts them together.

pub mod admission;
pub mod choose;
mod clock;
mod config;
pub mod hedge;
pub mod members;
mod operator;
mod parts;
mod random;
mod status;
mod stop;
mod tasks;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use pingora::http::RequestHeader;
use tokio::sync::watch;

pub use self::admission::dispatcher::{Admission, Lease};
pub use self::admission::quarantine::Death;
use self::admission::quarantine::{self, Suspect};
pub use self::admission::queue::{QueueConfig, Refused};
pub use self::choose::key::Key;
use self::choose::selection_order;
pub use self::choose::selection_order::{CookieSeen, Turn};
pub use self::config::{PoolConfig, TimeoutsConfig};
pub use self::members::backend::{
    Backend, BackendConfig, Cause, Connection, Counts, GREATEST_WEIGHT, Health, Latency, Standing, Trouble,
};
use self::members::discovery;
pub use self::members::discovery::provider::ProviderStatus;
pub use self::members::outcome::Outcome;
pub use self::operator::{Override, Overrides};
use self::parts::Parts;
pub use self::parts::{PoolError, PoolProblem};
pub use self::status::{BackendStatus, PoolStatus};

pub struct Pool(Parts);

impl Pool {
    /// Resolves the backends' names and binds the spawned workers' sockets. `previous` is the pool of that name before
    /// a reload: backends take over the live state of those that had their name.
    pub fn new(name: &str, config: &PoolConfig, previous: Option<&Self>) -> Result<Arc<Self>, PoolError> {
        let parts = Parts::new(name, config, previous.map(|previous| &previous.0))?;
        Ok(Arc::new(Self(parts)))
    }

    pub fn name(&self) -> &str {
        self.0.roster.pool()
    }

    /// Whether a pool made of this configuration would be the same one, so that this one can live on with its workers.
    /// Host names may have come to mean other addresses.
    pub fn is_as(&self, config: &PoolConfig) -> bool {
        self.0.config == *config && config.backends.iter().all(|backend| backend.address.is_literal())
    }

    pub fn timeouts(&self) -> &TimeoutsConfig {
        &self.0.config.timeouts
    }

    /// How many backends may be sent requests right now, those that are merely full included.
    pub fn eligible(&self) -> usize {
        self.0.roster.eligible()
    }

    pub fn backends(&self) -> Vec<Arc<Backend>> {
        self.0.roster.members().to_vec()
    }

    pub fn backend(&self, name: &str) -> Option<Arc<Backend>> {
        self.0.roster.member(name)
    }

    pub fn status(&self) -> PoolStatus {
        PoolStatus::of(&self.0.roster, &self.0.dispatcher)
    }
}

/// What a request asks of its pool.
impl Pool {
    /// What the pool tells this request apart by.
    pub fn key(&self, head: &RequestHeader, client: IpAddr) -> Key {
        self.0.chooser.key(head, client)
    }

    /// Lets a request in whose body has not been read yet, or turns it away while that still spares it the upload.
    pub fn admit(&self) -> Result<Admission, Refused> {
        self.0.dispatcher.admit()
    }

    /// A lease at a backend for this key that is none of those already tried; waits in the pool's queue while all that
    /// could serve are full.
    pub async fn acquire(&self, key: &Key, tried: &[Arc<Backend>]) -> Result<Lease, Refused> {
        self.0.dispatcher.acquire(key, tried).await
    }

    /// As [`Pool::acquire`], but without any wait, and never at a backend that is only hoped to serve: for a request that
    /// has an answer already.
    pub fn pick_eligible(&self, key: &Key, tried: &[Arc<Backend>]) -> Option<Lease> {
        self.0.dispatcher.pick_eligible(key, tried)
    }

    /// A lease at a backend that serves nothing else while the request has it. Waits until there is one.
    pub async fn acquire_quarantined(
        &self,
        key: &Key,
        tried: &[Arc<Backend>],
        deaths: &[Death],
        patience: Duration,
    ) -> Option<Lease> {
        let suspect = Suspect {
            key,
            tried,
            deaths,
            roster: &self.0.roster,
            checked: self.0.tasks.check.is_some(),
        };
        quarantine::acquire(&self.0.dispatcher, &suspect, patience).await
    }

    /// How long an attempt may go without an answer before another backend is asked too; none where that is not wanted.
    pub fn hedge_after(&self) -> Option<Duration> {
        self.0.dispatcher.hedge_after()
    }

    /// The `Set-Cookie` for a client that this backend has served, where its cookie does not lead to one that is fit.
    pub fn cookie(&self, key: &Key, served: &Backend, under_tls: bool) -> Option<HeaderValue> {
        self.0.chooser.cookie(key, served, under_tls)
    }
}

/// What the program does with its pools.
impl Pool {
    /// Runs workers, discovery and checks until told to stop, which should come after the last request has been answered.
    pub async fn run(self: Arc<Self>, stop: watch::Receiver<bool>) {
        self.0.tasks.run(stop).await;
    }

    /// Returns when every backend has had its first check. [`Pool::run`] must be running.
    pub async fn first_round(&self) {
        self.0.tasks.first_round(&self.0.config).await;
    }

    /// Drains a backend or takes it back; says whether there is one of that name.
    pub fn set_drained(&self, name: &str, drained: bool) -> bool {
        let known = operator::set_drained(&self.0.roster, name, drained);
        self.0.dispatcher.serve();
        known
    }

    /// Gives a backend another weight, 0 to drain it; says whether there is one of that name.
    pub fn set_weight(&self, name: &str, weight: u32) -> bool {
        let known = operator::set_weight(&self.0.roster, name, weight);
        self.0.dispatcher.serve();
        known
    }

    /// What operators have commanded.
    pub fn overrides(&self) -> Overrides {
        operator::overrides(&self.0.roster)
    }

    /// Does as was commanded of backends of these names; there may be none of a name any more.
    pub fn obey(&self, overrides: &Overrides) {
        operator::obey(&self.0.roster, overrides);
        self.0.dispatcher.serve();
    }
}

/// What is asked of a pool without any request, before it runs or in its stead.
impl Pool {
    /// Asks all providers of backends once.
    pub async fn discover(&self) {
        discovery::ask_once(&self.0.roster).await;
    }

    /// What they could not say when they were last asked.
    pub fn troubles(&self) -> Vec<String> {
        self.0.roster.troubles()
    }

    /// All backends, those first that this key would be sent to first, and why.
    pub fn turns(&self, key: &Key) -> Vec<Turn> {
        selection_order::turns(&self.0.chooser, key)
    }

    /// The backend that this key goes to if all is well.
    pub fn home(&self, key: &Key) -> Option<Arc<Backend>> {
        selection_order::home(&self.0.chooser, key)
    }

    /// What the sticky cookie of the key's request says; none where the pool has no such cookie.
    pub fn cookie_seen(&self, key: &Key) -> Option<CookieSeen> {
        selection_order::cookie_seen(&self.0.chooser, key)
    }

    /// Believes that all is well with each backend.
    pub fn hope_for_the_best(&self) {
        self.0.roster.hope_for_the_best();
    }

    /// Believes that a backend is down; says whether there is one of that name or address.
    pub fn suppose_down(&self, name: &str) -> bool {
        self.0.roster.suppose_down(name)
    }

    /// Takes on what a running Veil says of its pool; see [`PoolConfig::as_running`].
    pub fn suppose(&self, status: &PoolStatus) {
        status.suppose(&self.0.roster);
    }
}

#[cfg(test)]
mod tests;
