//! The connections that a listener may have at a time, counted for the whole process: reloads and old settings of the
//! listener included.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// A listener's places. Nginx: `worker_connections`.
pub struct Places {
    limit: AtomicUsize,
    taken: AtomicUsize,
    freed: Notify,
}

impl Places {
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit: AtomicUsize::new(limit),
            taken: AtomicUsize::new(0),
            freed: Notify::new(),
        })
    }

    /// Holds for newcomers; nobody who is there has to leave.
    pub fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
        self.freed.notify_one();
    }

    /// One, if it is free.
    pub fn take(self: &Arc<Self>) -> Option<Place> {
        let limit = self.limit.load(Ordering::Relaxed);
        let one_more = |taken: usize| (taken < limit).then_some(taken + 1);
        let taken = self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        taken.ok().map(|_| Place(Arc::clone(self)))
    }

    /// One beyond the limit, for those who would be reset otherwise when a listener closes.
    pub fn take_anyway(self: &Arc<Self>) -> Place {
        self.taken.fetch_add(1, Ordering::AcqRel);
        Place(Arc::clone(self))
    }

    /// Ready once a place has become free since the last time; for one waiter.
    pub fn freed(&self) -> Notified<'_> {
        self.freed.notified()
    }
}

/// A connection's place, until it is dropped.
pub struct Place(Arc<Places>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::AcqRel);
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_place_is_free_again_once_it_is_dropped() {
        let places = Places::new(2);
        let (first, _second) = (places.take().unwrap(), places.take().unwrap());
        assert!(places.take().is_none());
        drop(first);
        assert!(places.take().is_some());
    }

    #[test]
    fn a_lower_limit_counts_those_who_came_before() {
        let places = Places::new(3);
        let taken: Vec<Place> = (0..3).map(|_| places.take().unwrap()).collect();
        places.set_limit(1);
        for place in taken {
            assert!(places.take().is_none());
            drop(place);
        }
        assert!(places.take().is_some());
    }

    #[test]
    fn places_beyond_the_limit_count_too() {
        let places = Places::new(1);
        let (first, second) = (places.take_anyway(), places.take_anyway());
        drop(first);
        assert!(places.take().is_none());
        drop(second);
        assert!(places.take().is_some());
    }
}
