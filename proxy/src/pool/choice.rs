//! Which backend a request gets: who may serve it, whose turn it is, and what happens when nobody is fit or all are full.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::HeaderValue;
use pingora::http::RequestHeader;

use super::clock::Moment;
use super::members::Members;
use super::queue::{Admission, Refused};
use super::{Backend, Key, Lease, Pool, Standing};

impl Pool {
    /// What the pool tells this request apart by.
    pub fn key(&self, head: &RequestHeader, client: IpAddr) -> Key {
        let key = Key::of_request(self.config.select.key(), head, client);
        match &self.sticky {
            Some(sticky) => key.with_home(head, sticky.cookie()),
            None => key,
        }
    }

    /// A place at a backend for this key that is none of those already tried; none if there is none right now.
    pub fn pick(self: &Arc<Self>, key: &Key, tried: &[Arc<Backend>]) -> Option<Lease> {
        self.pick_eligible(key, tried)
            .or_else(|| self.pick_in_panic(key, tried))
    }

    /// As [`Pool::pick`], but never one that is only hoped to serve: for a request that has an answer already.
    pub fn pick_eligible(self: &Arc<Self>, key: &Key, tried: &[Arc<Backend>]) -> Option<Lease> {
        let now = Moment::now();
        let offers = |backend: &Backend| untried(backend, tried) && backend.standing(now) == Standing::Eligible;
        let claim = |backend: &Backend| backend.claim(now, key.upload_bytes());
        let members = self.members.load();
        let backend = self
            .named_by_cookie(&members, key)
            .filter(|home| offers(home) && claim(home))
            .or_else(|| members.claim(key, now, offers, claim))?;
        Some(Lease::new(self, backend, key))
    }

    /// The backend that the client's sticky cookie names, if it is still there.
    pub(super) fn named_by_cookie<'a>(&self, members: &'a Members, key: &Key) -> Option<&'a Arc<Backend>> {
        let (sticky, named) = (self.sticky.as_ref()?, key.home()?);
        members.iter().find(|backend| sticky.names(named, backend))
    }

    /// The `Set-Cookie` for a client that this backend has served, where its cookie does not lead to one that is fit: to
    /// this one, or to one that was merely full.
    pub fn cookie(&self, key: &Key, served: &Backend, under_tls: bool) -> Option<HeaderValue> {
        let sticky = self.sticky.as_ref()?;
        let now = Moment::now();
        let members = self.members.load();
        let leads = self
            .named_by_cookie(&members, key)
            .is_some_and(|home| home.is(served) || home.standing(now).is_fit());
        (!leads).then(|| sticky.set(served, under_tls))
    }

    /// How long an attempt may go without an answer before another backend is asked too; none where that is not wanted.
    pub fn hedge_after(&self) -> Option<Duration> {
        self.hedge.as_ref()?.after()
    }

    fn pick_in_panic(self: &Arc<Self>, key: &Key, tried: &[Arc<Backend>]) -> Option<Lease> {
        if self.could_serve(tried) {
            // They are full, which is no reason to doubt what is known of the others.
            return None;
        }
        let now = Moment::now();
        let offers = |backend: &Backend| untried(backend, tried) && backend.standing(now).is_doubtful();
        let members = self.members.load();
        let backend = members.claim(key, now, offers, |backend| backend.claim_in_panic(key.upload_bytes()))?;
        self.panics.fetch_add(1, Ordering::Relaxed);
        Some(Lease::new(self, backend, key))
    }

    /// Whether a backend not yet tried is fit to serve, be it full at the moment.
    pub(super) fn could_serve(&self, tried: &[Arc<Backend>]) -> bool {
        let now = Moment::now();
        self.members
            .load()
            .any(|backend| untried(backend, tried) && backend.standing(now).is_fit())
    }

    /// Lets a request in whose body has not been read yet, or turns it away while that still spares it the upload: all
    /// that could serve it are full, and so many others wait that it would find no place in the queue.
    pub fn admit(self: &Arc<Self>) -> Result<Admission, Refused> {
        let members = self.members.load();
        let saturated = || {
            let now = Moment::now();
            let standing = |wanted| move |backend: &Backend| backend.standing(now) == wanted;
            members.any(standing(Standing::Full)) && !members.any(standing(Standing::Eligible))
        };
        self.queue.admit(
            self,
            members.any(|backend| backend.max_conns().is_some()) && saturated(),
        )
    }

    /// As [`Pool::pick`], but waits in the pool's queue while all that could serve are full.
    pub async fn acquire(self: &Arc<Self>, key: &Key, tried: &[Arc<Backend>]) -> Result<Lease, Refused> {
        self.queue.acquire(self, key, tried).await
    }
}

pub(super) fn untried(backend: &Backend, tried: &[Arc<Backend>]) -> bool {
    !tried.iter().any(|tried| tried.is(backend))
}

impl Standing {
    pub(super) fn is_fit(self) -> bool {
        matches!(self, Self::Eligible | Self::Full)
    }

    /// Not fit to serve as far as is known, but nobody said it must not be asked.
    fn is_doubtful(self) -> bool {
        matches!(self, Self::Unchecked | Self::Down | Self::Ejected)
    }
}
