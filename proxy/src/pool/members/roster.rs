//! The members of one pool: one list of all who belong to it, which is replaced as a whole when any come or go.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::backend::{Backend, Health, Standing};
use super::discovery::provider::Provider;
use super::written::{Found, without_twins};
use crate::pool::clock::Moment;

pub struct Roster {
    /// For the log.
    pool: String,
    /// The primaries, then the backups.
    members: ArcSwap<Vec<Arc<Backend>>>,
    /// The backends that are written in the configuration, and the spawned workers.
    fixed: Vec<Arc<Backend>>,
    providers: Vec<Arc<Provider>>,
    /// Those of the pool before a reload; whoever is found again under its name takes over what is known of it.
    inherited: Vec<Arc<Backend>>,
    /// Whether they are asked how they are.
    checked: bool,
    /// Is given the members whenever they, or their weights, have changed.
    arrange: Arrange,
    /// Contended by providers with news and by operators who change weights.
    arranging: Mutex<()>,
    /// Told whenever the members have changed.
    regrouped: watch::Sender<()>,
    /// Told of every change of a member's health or process, too.
    changed: watch::Sender<()>,
    /// Told of each check that a member passes.
    passed: Notify,
}

type Arrange = Box<dyn Fn(&[Arc<Backend>]) + Send + Sync>;

/// Whom a roster begins with.
pub struct Founders {
    pub fixed: Vec<Arc<Backend>>,
    pub providers: Vec<Arc<Provider>>,
    pub inherited: Vec<Arc<Backend>>,
    pub checked: bool,
}

impl Roster {
    pub fn new(pool: &str, founders: Founders, arrange: impl Fn(&[Arc<Backend>]) + Send + Sync + 'static) -> Arc<Self> {
        let roster = Self {
            pool: pool.to_owned(),
            members: ArcSwap::default(),
            fixed: founders.fixed,
            providers: founders.providers,
            inherited: founders.inherited,
            checked: founders.checked,
            arrange: Box::new(arrange),
            arranging: Mutex::new(()),
            regrouped: watch::Sender::new(()),
            changed: watch::Sender::new(()),
            passed: Notify::new(),
        };
        roster.regroup();
        roster.trust_the_unchecked();
        Arc::new(roster)
    }

    pub fn pool(&self) -> &str {
        &self.pool
    }

    pub fn members(&self) -> Guard<Arc<Vec<Arc<Backend>>>> {
        self.members.load()
    }

    pub fn member(&self, name: &str) -> Option<Arc<Backend>> {
        let members = self.members.load();
        members.iter().find(|backend| backend.name() == name).cloned()
    }

    /// How many may be sent requests right now, those that are merely full included.
    pub fn eligible(&self) -> usize {
        let now = Moment::now();
        let members = self.members.load();
        members.iter().filter(|backend| backend.standing(now).is_fit()).count()
    }

    /// Whether somebody would serve if this one did not.
    pub fn serves_without(&self, backend: &Backend) -> bool {
        let now = Moment::now();
        let members = self.members.load();
        members
            .iter()
            .any(|other| !other.is(backend) && other.standing(now).is_fit())
    }

    pub fn providers(&self) -> &[Arc<Provider>] {
        &self.providers
    }

    /// What the providers could not say when they were last asked.
    pub fn troubles(&self) -> Vec<String> {
        let statuses = self.providers.iter().map(|provider| provider.status());
        statuses
            .filter_map(|status| Some(format!("{}: {}", status.source, status.trouble?)))
            .collect()
    }

    /// Whom a provider has found: with all that is known of the one that had its name, here or before a reload.
    pub fn recruit(&self, found: &Found) -> Arc<Backend> {
        let name = found.config.name();
        let inherited = || self.inherited.iter().find(|backend| backend.name() == name).cloned();
        let before = self.member(&name).or_else(inherited);
        let backend = Backend::new(&found.config, found.address.clone(), before.as_deref());
        if !self.checked {
            // Nobody will ever ask it.
            backend.set_health(Health::Up);
        }
        Arc::new(backend)
    }

    /// Puts the list together from all who belong to the pool now, by the weights that they have now.
    pub fn regroup(&self) {
        let one_at_a_time = self.arranging.lock();
        let found = self.providers.iter().flat_map(|provider| provider.backends());
        let all = without_twins(self.fixed.iter().cloned().chain(found));
        let (backups, mut members): (Vec<_>, Vec<_>) = all.into_iter().partition(|backend| backend.is_backup());
        members.extend(backups);
        (self.arrange)(&members);
        self.members.store(Arc::new(members));
        drop(one_at_a_time);
        self.regrouped.send_replace(());
        self.tell_change();
    }

    /// Hears of members that come and go.
    pub fn regrouped(&self) -> watch::Receiver<()> {
        self.regrouped.subscribe()
    }

    /// Hears of every change that may matter to those who wait.
    pub fn changed(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// A member's health or process has changed, or a provider has spoken for the first time.
    pub fn tell_change(&self) {
        self.changed.send_replace(());
    }

    /// A member has passed a check, be it one of many.
    pub fn tell_passed(&self) {
        self.passed.notify_waiters();
    }

    /// Hears of members that pass checks from now on.
    pub fn passed(&self) -> impl Future<Output = ()> + '_ {
        let mut passed = Box::pin(self.passed.notified());
        passed.as_mut().enable();
        passed
    }

    /// Without active checks nobody will ever ask the backends, so they have to be believed well; one whose process keeps
    /// dying, not before it has lasted.
    pub fn trust_the_unchecked(&self) {
        if self.checked {
            return;
        }
        for backend in self.members.load().iter() {
            if backend.is_running() && !backend.is_degraded() {
                backend.set_health(Health::Up);
            }
        }
    }

    /// Believes that all is well with each backend, as if its process ran and its checks had passed.
    pub fn hope_for_the_best(&self) {
        for backend in self.members.load().iter() {
            backend.suppose(Standing::Eligible, Health::Up, 0);
        }
    }

    /// Believes that a backend is down; says whether there is one of that name or address.
    pub fn suppose_down(&self, name: &str) -> bool {
        let members = self.members.load();
        let found = members
            .iter()
            .find(|backend| backend.name() == name || backend.address().to_string() == name);
        found.map(|backend| backend.set_health(Health::Down)).is_some()
    }
}
