//! A pool while it runs: its workers, its discovery and its checks, and when it is ready for requests.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;

use super::backend::{Backend, Health};
use super::discovery::{self, DiscoverConfig};
use super::{Pool, health};

impl Pool {
    /// Runs the spawned workers, the discovery and the active checks until told to stop; then stops the workers. So `stop`
    /// should come after the last request has been answered.
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

    /// Returns when every source of backends was asked, every backend has had its first check, and every spawned worker
    /// has passed one or had `start_timeout` for it. [`Pool::run`] must be running.
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
    fn patience(&self) -> Duration {
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
        Duration::from_secs(1) + check + start + discovery.unwrap_or_default()
    }

    /// Without active checks nobody will ever ask the backends, so they have to be believed well; one whose process keeps
    /// dying, not before it has lasted.
    pub(super) fn trust_the_unchecked(&self) {
        if self.check.is_some() {
            return;
        }
        for backend in self.members.load().iter() {
            if backend.is_running() && !backend.is_degraded() {
                backend.set_health(Health::Up);
            }
        }
    }
}

/// Returns when `stop` turns true, or when nobody is left who could say so.
pub(super) async fn stopped(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
