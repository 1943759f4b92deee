//! A backend for one request alone: for a body on which workers have died, so that it takes no other request with it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::backend::Backend;
use super::clock::Moment;
use super::{Key, Lease, Pool, Standing, untried};

/// The end of a backend that a request was sent to, as far as that request knows of it.
pub struct Death {
    pub backend: Arc<Backend>,
    noticed: Moment,
}

impl Death {
    pub fn now(backend: Arc<Backend>) -> Self {
        Self {
            backend,
            noticed: Moment::now(),
        }
    }

    /// Whether another process has taken the dead one's place: of ours we know, of others a check that passed tells.
    fn is_over(&self) -> bool {
        self.backend.is_spawned() || self.backend.was_well_since(self.noticed)
    }
}

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

    /// A place at a backend that serves nothing else while the request has it: one not yet tried, or one that has come
    /// back from its death. Waits until it has become fit and idle.
    pub async fn acquire_alone(
        self: &Arc<Self>,
        key: &Key,
        tried: &[Arc<Backend>],
        deaths: &[Death],
        patience: Duration,
    ) -> Option<Lease> {
        let began = Instant::now();
        while began.elapsed() < patience && self.has_hope(tried, deaths) {
            if let Some(seclusion) = self.seclude(key, tried, deaths) {
                while began.elapsed() < patience && seclusion.backend.standing(Moment::now()).is_fit() {
                    if seclusion.backend.claim_secluded(key.upload_bytes()) {
                        let backend = Arc::clone(&seclusion.backend);
                        return Some(Lease::alone(self, &backend, key, seclusion));
                    }
                    sleep(Self::LOOK).await;
                }
            }
            sleep(Self::LOOK).await;
        }
        None
    }

    /// Whether a backend not yet tried serves, or one may come back in time.
    fn has_hope(&self, tried: &[Arc<Backend>], deaths: &[Death]) -> bool {
        let now = Moment::now();
        let may_come_back = |death: &Death| death.backend.is_spawned() || self.check.is_some();
        let serves = |backend: &Backend| backend.is_spawned() || backend.standing(now).is_fit();
        deaths.iter().any(may_come_back)
            || self
                .members
                .load()
                .any(|backend| untried(backend, tried) && serves(backend))
    }

    fn seclude(self: &Arc<Self>, key: &Key, tried: &[Arc<Backend>], deaths: &[Death]) -> Option<Seclusion> {
        let now = Moment::now();
        let is_back = |backend: &Backend| deaths.iter().any(|death| death.backend.is(backend) && death.is_over());
        let offered = |backend: &Backend| untried(backend, tried) || is_back(backend);
        let offers = |backend: &Backend| backend.standing(now) == Standing::Eligible && offered(backend);
        let members = self.members.load();
        let backend = members.claim(key, now, offers, Backend::seclude)?;
        Some(Seclusion::of(self, backend))
    }
}
