//! A backend's places: how many requests it has in flight, with how much to upload, and whether it takes another.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

#[derive(Debug, Default)]
pub struct Occupancy {
    taken: AtomicU32,
    bytes: AtomicU64,
    /// Kept for one request alone.
    quarantined: AtomicBool,
}

impl Occupancy {
    pub fn in_flight(&self) -> u32 {
        self.taken.load(Ordering::Relaxed)
    }

    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether there is none left of so many.
    pub fn is_full(&self, most: u32) -> bool {
        self.in_flight() >= most || self.is_quarantined()
    }

    pub fn is_quarantined(&self) -> bool {
        self.quarantined.load(Ordering::SeqCst)
    }

    /// Takes one of so many places for an upload of so many bytes.
    pub fn take(&self, most: u32, bytes: u64) -> bool {
        let one_more = |taken: u32| (taken < most).then_some(taken + 1);
        let taken = self
            .taken
            .fetch_update(Ordering::SeqCst, Ordering::Relaxed, one_more)
            .is_ok();
        self.bytes.fetch_add(if taken { bytes } else { 0 }, Ordering::Relaxed);
        taken
    }

    /// Takes the only place, once no other request is left.
    pub fn take_alone(&self, bytes: u64) -> bool {
        let taken = self
            .taken
            .compare_exchange(0, 1, Ordering::SeqCst, Ordering::Relaxed)
            .is_ok();
        self.bytes.fetch_add(if taken { bytes } else { 0 }, Ordering::Relaxed);
        taken
    }

    pub fn give_back(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.taken.fetch_sub(1, Ordering::AcqRel);
    }

    /// Takes on what another process says of its own.
    pub fn assume(&self, in_flight: u32, none_left: bool) {
        self.taken.store(in_flight, Ordering::Relaxed);
        self.quarantined.store(none_left, Ordering::SeqCst);
    }

    /// Keeps further requests away; says whether nobody else does already.
    pub fn quarantine(&self) -> bool {
        !self.quarantined.swap(true, Ordering::SeqCst)
    }

    pub fn end_quarantine(&self) {
        self.quarantined.store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_so_many_and_no_more() {
        let occupancy = Occupancy::default();
        assert!(occupancy.take(2, 10) && occupancy.take(2, 5));
        assert!(!occupancy.take(2, 7) && occupancy.is_full(2));
        assert_eq!((occupancy.in_flight(), occupancy.bytes()), (2, 15));
        occupancy.give_back(10);
        assert_eq!((occupancy.in_flight(), occupancy.bytes()), (1, 5));
        assert!(!occupancy.take_alone(1), "there is another");
        occupancy.give_back(5);
        assert!(occupancy.take_alone(1) && !occupancy.take_alone(1));
        assert_eq!((occupancy.in_flight(), occupancy.bytes()), (1, 1));
    }
}
