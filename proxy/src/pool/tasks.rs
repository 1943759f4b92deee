//! What a pool does while it runs: its workers, its discovery and its checks; and when it is ready for requests.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::admission::dispatcher::Dispatcher;
use super::config::PoolConfig;
use super::members::backend::{Backend, Health};
use super::members::discovery::{DiscoverConfig, follow};
use super::members::health::{self, Check};
use super::members::roster::Roster;
use super::members::spawned::Workers;
use super::stop::stopped;

/// The parts of a pool that something is done for in the background.
pub struct Tasks {
    pub roster: Arc<Roster>,
    pub dispatcher: Arc<Dispatcher>,
    pub check: Option<Arc<Check>>,
    pub workers: Option<Arc<Workers>>,
    /// How long an unused connection is kept.
    idle: Duration,
    /// Whether `run` has begun.
    begun: watch::Sender<bool>,
}

impl Tasks {
    pub fn new(
        roster: Arc<Roster>,
        dispatcher: Arc<Dispatcher>,
        check: Option<Arc<Check>>,
        workers: Option<Arc<Workers>>,
        idle: Duration,
    ) -> Self {
        Self {
            roster,
            dispatcher,
            check,
            workers,
            idle,
            begun: watch::Sender::new(false),
        }
    }

    /// Runs the spawned workers, the discovery and the active checks until told to stop; then stops the workers. So `stop`
    /// should come after the last request has been answered.
    pub async fn run(&self, stop: watch::Receiver<bool>) {
        let roster = &self.roster;
        let workers = self.workers.as_ref().map(|workers| workers.want(roster.pool()));
        self.begun.send_replace(true);
        let checks = async {
            if let Some(check) = &self.check {
                health::watch::run(roster, check, stop.clone()).await;
            }
        };
        let workers = async {
            let changed = || {
                roster.trust_the_unchecked();
                roster.tell_change();
            };
            if let Some(workers) = workers {
                workers.run(stop.clone(), changed).await;
            }
        };
        tokio::join!(
            follow::run(roster, stop.clone()),
            checks,
            workers,
            self.serve_on_change(stop.clone()),
            self.sweep_connections(stop.clone())
        );
    }

    /// Ends kept connections that nobody will use.
    async fn sweep_connections(&self, stop: watch::Receiver<bool>) {
        let stopped = stopped(stop);
        tokio::pin!(stopped);
        loop {
            tokio::select! {
                () = tokio::time::sleep(SWEEP) => {
                    for backend in self.roster.members().iter() {
                        backend.sweep_kept(self.idle);
                    }
                }
                () = &mut stopped => return,
            }
        }
    }

    /// Those who wait may be served, or need not wait any more, whenever a backend's health or process has changed.
    async fn serve_on_change(&self, stop: watch::Receiver<bool>) {
        let mut changed = self.roster.changed();
        changed.mark_changed();
        let stopped = stopped(stop);
        tokio::pin!(stopped);
        loop {
            tokio::select! {
                Ok(()) = changed.changed() => self.dispatcher.serve(),
                () = &mut stopped => return,
            }
        }
    }

    /// Returns when every provider was asked, every backend has had its first check, and every spawned worker has passed
    /// one or had `start_timeout` for it. [`Tasks::run`] must be running.
    pub async fn first_round(&self, config: &PoolConfig) {
        let patience = self.patience(config);
        let (mut begun, mut changed) = (self.begun.subscribe(), self.roster.changed());
        let settled = async {
            let _ = begun.wait_for(|begun| *begun).await;
            while !self.is_settled() {
                let _ = changed.changed().await;
            }
        };
        if tokio::time::timeout(patience, settled).await.is_err() {
            tracing::warn!(
                pool = self.roster.pool(),
                "not every backend answered its first check within {patience:?}"
            );
        }
    }

    fn is_settled(&self) -> bool {
        let is_known = |backend: &Arc<Backend>| backend.is_running() && backend.health() != Health::Unknown;
        self.roster.providers().iter().all(|provider| provider.was_asked())
            && self.roster.members().iter().all(is_known)
    }

    /// How long the first round may take: an answer and a check that time out, and time for the machinery around them.
    fn patience(&self, config: &PoolConfig) -> Duration {
        let check = self.check.as_ref().map(|check| check.config().timeout.get());
        let start = config.spawn.as_ref().map(|spawn| spawn.start_timeout.get());
        let discovery = config.discover.iter().map(DiscoverConfig::patience).max();
        let parts = [check, start, discovery];
        Duration::from_secs(1) + parts.into_iter().flatten().sum::<Duration>()
    }
}

/// How often kept connections are looked at.
const SWEEP: Duration = Duration::from_secs(1);
