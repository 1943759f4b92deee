//! How much memory a thread has taken, so that what runs for a user can be held to a limit. It has to be unsafe, since an
//! allocator is.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;

/// To be the program's `#[global_allocator]`, around the one that does the work.
pub struct Counted<A>(pub A);

thread_local! {
    static TAKEN: Cell<i64> = const { Cell::new(0) };
}

/// Bytes that this thread has taken so far, less those that it has given back; below 0 where it gives back what others took.
pub fn taken() -> i64 {
    TAKEN.get()
}

fn count(bytes: i64) {
    let taken = TAKEN.get().wrapping_add(bytes);
    TAKEN.set(taken);
    #[cfg(test)]
    PEAK.set(PEAK.get().max(taken));
}

#[cfg(test)]
thread_local! {
    static PEAK: Cell<i64> = const { Cell::new(0) };
}

/// The most that this thread has held since the last time that it was forgotten.
#[cfg(test)]
pub fn peak() -> i64 {
    PEAK.get()
}

#[cfg(test)]
pub fn forget_peak() {
    PEAK.set(TAKEN.get());
}

// SAFETY: every block comes from the inner allocator and goes back to it with its own layout; counting touches no memory but
// the thread's own number, which needs neither a start nor an end.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Counted<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        unsafe { self.0.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as i64 - layout.size() as i64);
        unsafe { self.0.realloc(block, layout, size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_and_given_back_is_counted() {
        let before = taken();
        let mut block = vec![1_u8; 10_000];
        block.reserve_exact(90_000);
        assert!((100_000..101_000).contains(&(taken() - before)), "{}", taken() - before);
        drop(block);
        assert_eq!(taken(), before);
    }
}
