//! What would become of requests: asked of a pool that does not run, by `veil explain` and `veil diff`.

use std::sync::Arc;

use super::choose::chooser::Chooser;
use super::choose::key::Key;
use super::choose::selection_order::{self, CookieSeen, Turn};
use super::members::backend::Backend;
use super::members::discovery;
use super::members::roster::Roster;
use super::status::PoolStatus;

/// A pool and what is supposed of it.
pub struct Outlook<'a> {
    pub(super) roster: &'a Arc<Roster>,
    pub(super) chooser: &'a Chooser,
}

impl Outlook<'_> {
    /// Asks all providers of backends once.
    pub async fn discover(&self) {
        discovery::ask_once(self.roster).await;
    }

    /// What they could not say when they were last asked.
    pub fn troubles(&self) -> Vec<String> {
        self.roster.troubles()
    }

    /// Believes that all is well with each backend.
    pub fn hope_for_the_best(&self) {
        self.roster.hope_for_the_best();
    }

    /// Believes that a backend is down; says whether there is one of that name or address.
    pub fn suppose_down(&self, name: &str) -> bool {
        self.roster.suppose_down(name)
    }

    /// Takes on what a running Veil says of its pool; see [`super::PoolConfig::as_running`].
    pub fn suppose(&self, status: &PoolStatus) {
        status.suppose(self.roster);
    }

    /// All backends, those first that this key would be sent to first, and why.
    pub fn turns(&self, key: &Key) -> Vec<Turn> {
        selection_order::turns(self.chooser, key)
    }

    /// The backend that this key goes to if all is well.
    pub fn home(&self, key: &Key) -> Option<Arc<Backend>> {
        selection_order::home(self.chooser, key)
    }

    /// What the sticky cookie of the key's request says; none where the pool has no such cookie.
    pub fn cookie_seen(&self, key: &Key) -> Option<CookieSeen> {
        selection_order::cookie_seen(self.chooser, key)
    }
}
