//! Which backend a request gets: who may serve it, and whose turn it is.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use http::HeaderValue;
use pingora::http::RequestHeader;

use super::key::Key;
use super::selection::SelectConfig;
use super::sticky::Sticky;
use super::tiers::Tiers;
use crate::pool::clock::{Moment, seconds_since_1970};
use crate::pool::members::backend::{Backend, Standing};
use crate::pool::random::Random;

pub struct Chooser {
    select: SelectConfig,
    sticky: Option<Sticky>,
    tiers: ArcSwap<Tiers>,
    random: Random,
    panics: AtomicU64,
    /// Seconds since 1970; 0 while there was none.
    last_panic: AtomicU64,
}

impl Chooser {
    pub fn new(select: &SelectConfig, sticky: Option<Sticky>) -> Self {
        Self {
            select: select.clone(),
            sticky,
            tiers: ArcSwap::from_pointee(Tiers::new(select, &[])),
            random: Random::default(),
            panics: AtomicU64::new(0),
            last_panic: AtomicU64::new(0),
        }
    }

    /// Chooses among these from now on, by the weights that they have now.
    pub fn arrange(&self, backends: &[Arc<Backend>]) {
        self.tiers.store(Arc::new(Tiers::new(&self.select, backends)));
    }

    pub fn select(&self) -> &SelectConfig {
        &self.select
    }

    pub fn sticky(&self) -> Option<&Sticky> {
        self.sticky.as_ref()
    }

    pub fn tiers(&self) -> Arc<Tiers> {
        self.tiers.load_full()
    }

    /// What the pool tells this request apart by.
    pub fn key(&self, head: &RequestHeader, client: IpAddr) -> Key {
        let key = Key::of_request(self.select.key(), head, client);
        match &self.sticky {
            Some(sticky) => key.with_home(head, sticky.cookie()),
            None => key,
        }
    }

    /// Takes a place at a backend for this key that is none of those already tried; none if there is none right now.
    pub fn claim(&self, key: &Key, tried: &[Arc<Backend>]) -> Option<Arc<Backend>> {
        self.claim_eligible(key, tried)
            .or_else(|| self.claim_in_panic(key, tried))
    }

    /// As [`Chooser::claim`], but never at one that is only hoped to serve: for a request that has an answer already.
    pub fn claim_eligible(&self, key: &Key, tried: &[Arc<Backend>]) -> Option<Arc<Backend>> {
        if tried.len() >= MOST_TRIED {
            return None;
        }
        let now = Moment::now();
        let offers = |backend: &Backend| !backend.is_among(tried) && backend.standing(now) == Standing::Eligible;
        let claim = |backend: &Backend| backend.claim(now, key.upload_bytes());
        self.claim_idle(key, offers, claim)
            .or_else(|| self.claim_with(key, offers, claim))
    }

    /// Takes a place where the request need not wait for others, in the same order: no worker is to idle while another has
    /// more than it works on at a time. A client whose cookie names a backend stays there.
    fn claim_idle(
        &self,
        key: &Key,
        offers: impl Fn(&Backend) -> bool,
        claim: impl Fn(&Backend) -> bool,
    ) -> Option<Arc<Backend>> {
        if !self.tiers.load().counts_hands || key.home().is_some() {
            return None;
        }
        self.claim_with(key, |backend| offers(backend) && backend.has_idle_hands(), claim)
    }

    /// Claims in the chooser's order from those on offer, beginning with the one that the client's cookie names.
    pub fn claim_with(
        &self,
        key: &Key,
        offers: impl Fn(&Backend) -> bool,
        claim: impl Fn(&Backend) -> bool,
    ) -> Option<Arc<Backend>> {
        let tiers = self.tiers.load();
        let primary_can = || tiers.primaries.backends().iter().any(|primary| offers(primary));
        self.named_by_cookie(&tiers, key)
            // A backup serves while no primary can, and is nobody's home.
            .filter(|home| !home.is_backup() || !primary_can())
            .filter(|home| offers(home) && claim(home))
            .or_else(|| tiers.claim(key, Moment::now(), &offers, &claim))
            .cloned()
    }

    fn claim_in_panic(&self, key: &Key, tried: &[Arc<Backend>]) -> Option<Arc<Backend>> {
        if tried.len() >= MOST_TRIED_IN_PANIC || self.could_serve(tried) {
            // Where some could, they are full, which is no reason to doubt what is known of the others.
            return None;
        }
        let now = Moment::now();
        let offers = |backend: &Backend| !backend.is_among(tried) && backend.standing(now).is_doubtful();
        let tiers = self.tiers.load();
        let backend = tiers.claim(key, now, offers, |backend| backend.claim_in_panic(key.upload_bytes()))?;
        self.panics.fetch_add(1, Ordering::Relaxed);
        self.last_panic.store(seconds_since_1970(), Ordering::Relaxed);
        Some(Arc::clone(backend))
    }

    /// So many, from a place at random, of those that may be asked if need be.
    pub fn some_that_may_serve(&self, most: usize) -> Vec<Arc<Backend>> {
        let now = Moment::now();
        let may_serve = |backend: &&Arc<Backend>| {
            let standing = backend.standing(now);
            standing.is_fit() || standing.is_doubtful()
        };
        let tiers = self.tiers.load();
        let some: Vec<_> = tiers.iter().filter(may_serve).collect();
        let start = (self.random.fraction() * some.len() as f64) as usize;
        let from_there = some.iter().cycle().skip(start).take(most.min(some.len()));
        from_there.copied().cloned().collect()
    }

    /// Whether a backend not yet tried is fit to serve, be it full at the moment.
    pub fn could_serve(&self, tried: &[Arc<Backend>]) -> bool {
        let now = Moment::now();
        self.tiers
            .load()
            .any(|backend| !backend.is_among(tried) && backend.standing(now).is_fit())
    }

    /// Whether somebody not yet tried is about to serve again.
    pub fn awaits(&self, tried: &[Arc<Backend>]) -> bool {
        let now = Moment::now();
        self.tiers
            .load()
            .any(|backend| backend.is_returning(now) && !backend.is_among(tried))
    }

    /// Whether any has a place at this moment.
    pub fn has_vacancy(&self) -> bool {
        let now = Moment::now();
        self.tiers
            .load()
            .any(|backend| backend.standing(now) == Standing::Eligible)
    }

    /// Whether all that could serve are full.
    pub fn is_saturated(&self) -> bool {
        let tiers = self.tiers.load();
        if !tiers.is_bounded {
            return false;
        }
        let now = Moment::now();
        let standing = |wanted| move |backend: &Backend| backend.standing(now) == wanted;
        tiers.any(standing(Standing::Full)) && !tiers.any(standing(Standing::Eligible))
    }

    /// Requests sent to a doubtful backend because nobody was eligible.
    pub fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    /// When the last of them was, in seconds since 1970.
    pub fn last_panic(&self) -> Option<u64> {
        Some(self.last_panic.load(Ordering::Relaxed)).filter(|at| *at > 0)
    }

    /// The backend that the client's sticky cookie names, if it is still there.
    pub fn named_by_cookie<'a>(&self, tiers: &'a Tiers, key: &Key) -> Option<&'a Arc<Backend>> {
        let (sticky, named) = (self.sticky.as_ref()?, key.home()?);
        tiers.iter().find(|backend| sticky.names(named, backend))
    }

    /// The `Set-Cookie` for a client that this backend has served, where its cookie does not lead to one that is fit: to
    /// this one, or to a primary that was merely full.
    pub fn cookie(&self, key: &Key, served: &Backend, under_tls: bool) -> Option<HeaderValue> {
        let sticky = self.sticky.as_ref()?;
        let now = Moment::now();
        let leads = self
            .named_by_cookie(&self.tiers.load(), key)
            .is_some_and(|home| home.is(served) || !home.is_backup() && home.standing(now).is_fit());
        (!leads).then(|| sticky.set(served, under_tls))
    }
}

/// Backends that one request is sent to, or could not be: all of a large pool that refuses would cost too much.
pub const MOST_TRIED: usize = 32;
/// The same once only those are left that are believed not to answer.
const MOST_TRIED_IN_PANIC: usize = 3;
