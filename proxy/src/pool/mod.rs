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
mod outlook;
mod parts;
mod random;
mod status;
mod stop;
mod tasks;
mod transport;

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
pub use self::choose::selection_order::{CookieSeen, Turn};
pub use self::config::{PoolConfig, RouteTimeouts, TimeoutsConfig};
pub use self::members::backend::{
    Backend, BackendConfig, Cause, Counts, GREATEST_WEIGHT, Health, Latency, Standing, Trouble,
};
pub use self::members::discovery::provider::ProviderStatus;
pub use self::members::outcome::Outcome;
pub use self::operator::{Operator, Override, Overrides};
pub use self::outlook::Outlook;
use self::parts::Parts;
pub use self::parts::{PoolError, PoolProblem};
pub use self::status::{BackendStatus, PoolStatus};
pub use self::transport::{
    Channel, Connection, Http1, Opening, Target, TlsConfig, Transport, TransportConfig, head_of_answer,
};
use crate::body::Demand;

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
    /// Host names may have come to mean other addresses, and files may hold other certificates.
    pub fn is_as(&self, config: &PoolConfig) -> bool {
        self.0.config == *config
            && config.backends.iter().all(|backend| backend.address.is_literal())
            && self.0.transport.is_as(&config.transport())
    }

    /// How its backends are reached.
    pub fn transport(&self) -> &Arc<Transport> {
        &self.0.transport
    }

    /// Of those who wait for places, where they wait long.
    pub fn demand(&self) -> &Arc<Demand> {
        self.0.dispatcher.queue().demand()
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

    pub fn operator(&self) -> Operator<'_> {
        Operator {
            roster: &self.0.roster,
            dispatcher: &self.0.dispatcher,
        }
    }

    pub fn outlook(&self) -> Outlook<'_> {
        Outlook {
            roster: &self.0.roster,
            chooser: &self.0.chooser,
        }
    }

    /// Runs workers, discovery and checks until told to stop, which should come after the last request has been answered.
    pub async fn run(self: Arc<Self>, stop: watch::Receiver<bool>) {
        self.0.tasks.run(stop).await;
    }

    /// Returns when every backend has had its first check. [`Pool::run`] must be running.
    pub async fn first_round(&self) {
        self.0.tasks.first_round(&self.0.config).await;
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

#[cfg(test)]
mod tests;
