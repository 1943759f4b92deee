//! A backend for one request alone: for a body on which workers have died, so that it takes no other request with it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::backend::Backend;
use super::clock::Moment;
use super::{Key, Lease, Pool, Standing, untried};

/// Keeps other requests away from a backend while it lives.
pub(super) struct Seclusion {
    pool: Arc<Pool>,
    backend: Arc<Backend>,
}

impl Seclusion {
    fn of(pool: &Arc<Pool>, backend: &Arc<Backend>) -> Self {
        Self {
            pool: Arc::clone(pool),
            backend: Arc::clone(backend),
        }
    }
}

impl Drop for Seclusion {
    fn drop(&mut self) {
        self.backend.end_seclusion();
        self.pool.released();
    }
}

impl Pool {
    /// How often it is looked whether a backend has become idle.
    const LOOK: Duration = Duration::from_millis(10);

    /// A place at a backend that serves nothing else while the request has it. Waits until one has become fit and idle.
    pub async fn acquire_alone(
        self: &Arc<Self>,
        key: &Key,
        tried: &[Arc<Backend>],
        patience: Duration,
    ) -> Option<Lease> {
        let began = Instant::now();
        while began.elapsed() < patience && self.has_hope(tried) {
            if let Some(seclusion) = self.seclude(key, tried) {
                while began.elapsed() < patience && seclusion.backend.standing(Moment::now()).is_fit() {
                    if seclusion.backend.claim_secluded() {
                        let backend = Arc::clone(&seclusion.backend);
                        return Some(Lease::alone(self, &backend, seclusion));
                    }
                    sleep(Self::LOOK).await;
                }
            }
            sleep(Self::LOOK).await;
        }
        None
    }

    /// Whether a backend not yet tried serves, or is a process of ours that soon may.
    fn has_hope(&self, tried: &[Arc<Backend>]) -> bool {
        let now = Moment::now();
        let hopeful = |backend: &Backend| backend.is_spawned() || backend.standing(now).is_fit();
        self.members
            .load()
            .any(|backend| untried(backend, tried) && hopeful(backend))
    }

    fn seclude(self: &Arc<Self>, key: &Key, tried: &[Arc<Backend>]) -> Option<Seclusion> {
        let now = Moment::now();
        let offers = |backend: &Backend| untried(backend, tried) && backend.standing(now) == Standing::Eligible;
        let members = self.members.load();
        let backend = members.claim(key, now, offers, Backend::seclude)?;
        Some(Seclusion::of(self, backend))
    }
}
