//! A backend for one request alone: for a body on which workers have died, so that it takes no other request with it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::dispatcher::{Dispatcher, Lease};
use crate::pool::choose::chooser::Chooser;
use crate::pool::choose::key::Key;
use crate::pool::clock::Moment;
use crate::pool::members::backend::{Backend, Standing};
use crate::pool::members::roster::Roster;

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

/// Who asks for a backend of its own.
pub struct Suspect<'a> {
    pub key: &'a Key,
    pub tried: &'a [Arc<Backend>],
    pub deaths: &'a [Death],
    pub roster: &'a Roster,
    /// Whether one that has died may come back, because it is asked how it is.
    pub checked: bool,
}

/// Keeps other requests away from a backend while it lives.
struct Quarantine<'a> {
    dispatcher: &'a Arc<Dispatcher>,
    /// None once the quarantine has become a lease.
    backend: Option<Arc<Backend>>,
}

impl Drop for Quarantine<'_> {
    fn drop(&mut self) {
        if let Some(backend) = &self.backend {
            backend.end_quarantine();
            self.dispatcher.serve();
        }
    }
}

/// A lease at a backend that serves nothing else while the request has it: one not yet tried, or one that has come back
/// from its death. Waits until its other deaths are [settled](SETTLE), and it has become fit and idle.
pub async fn acquire(dispatcher: &Arc<Dispatcher>, suspect: &Suspect<'_>, patience: Duration) -> Option<Lease> {
    let watcher = dispatcher.watch_vacancies();
    let lease = async {
        sleep(suspect.unsettled()).await;
        let mut quarantine: Option<Quarantine<'_>> = None;
        loop {
            let (vacancy, passed) = (watcher.next_vacancy(), suspect.roster.passed());
            if quarantine.as_ref().is_some_and(Quarantine::is_lost) {
                quarantine = None;
            }
            if quarantine.is_none() {
                if !suspect.has_hope(dispatcher.chooser()) {
                    return None;
                }
                quarantine = suspect.quarantine(dispatcher);
            }
            if let Some(lease) = quarantine.as_mut().and_then(|quarantine| quarantine.claim(suspect.key)) {
                return Some(lease);
            }
            tokio::select! {
                () = vacancy => {}
                () = passed => {}
            }
        }
    };
    timeout(patience, lease).await.ok().flatten()
}

impl Quarantine<'_> {
    /// Whether its backend has ceased to be fit.
    fn is_lost(&self) -> bool {
        let now = Moment::now();
        self.backend
            .as_ref()
            .is_none_or(|backend| !backend.standing(now).is_fit())
    }

    /// Takes the only place, once no other request is left.
    fn claim(&mut self, key: &Key) -> Option<Lease> {
        let backend = self
            .backend
            .take_if(|backend| backend.claim_quarantined(key.upload_bytes()))?;
        Some(Lease::alone(self.dispatcher, backend, key))
    }
}

impl Suspect<'_> {
    /// How long the last death is still too near for another one to tell anything of the request.
    fn unsettled(&self) -> Duration {
        let last = self.deaths.iter().map(|death| death.noticed).max();
        last.map_or(Duration::ZERO, |last| SETTLE.saturating_sub(Moment::now().since(last)))
    }

    /// Whether a backend not yet tried serves, or one may come back in time.
    fn has_hope(&self, chooser: &Chooser) -> bool {
        let now = Moment::now();
        let may_come_back = |death: &Death| death.backend.is_spawned() || self.checked;
        let serves = |backend: &Backend| backend.is_spawned() || backend.standing(now).is_fit();
        self.deaths.iter().any(may_come_back)
            || chooser
                .tiers()
                .any(|backend| !backend.is_among(self.tried) && serves(backend))
    }

    fn quarantine<'a>(&self, dispatcher: &'a Arc<Dispatcher>) -> Option<Quarantine<'a>> {
        let now = Moment::now();
        let is_back = |backend: &Backend| {
            let of_it = |death: &Death| death.backend.is(backend) && death.is_over();
            self.deaths.iter().any(of_it)
        };
        let offers = |backend: &Backend| {
            backend.standing(now) == Standing::Eligible && (!backend.is_among(self.tried) || is_back(backend))
        };
        let backend = dispatcher
            .chooser()
            .tiers()
            .claim(self.key, now, offers, Backend::quarantine)
            .cloned()?;
        Some(Quarantine {
            dispatcher,
            backend: Some(backend),
        })
    }
}

/// Whatever ends several workers at one moment (a host, an operator, the kernel for want of memory) has ended all of them
/// by then: a death after it is the request's own.
const SETTLE: Duration = Duration::from_millis(500);
