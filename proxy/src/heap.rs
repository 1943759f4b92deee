//! The program's memory, from mimalloc; and how much of it a thread has taken, so that what runs for a user can be held to a
//! limit. It has to be unsafe, since an allocator is.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;

use libmimalloc_sys as mi;

/// To be the program's `#[global_allocator]`, around the one that does the work.
pub struct Counted<A>(pub A);

thread_local! {
    static TAKEN: Cell<i64> = const { Cell::new(0) };
}

/// Bytes that this thread has taken so far, less those that it has given back; below 0 where it gives back what others took.
pub fn taken() -> i64 {
    TAKEN.get()
}

/// Whether this program counts at all: whether [`Counted`] is its allocator.
pub fn is_counted() -> bool {
    let before = taken();
    let block = std::hint::black_box(Box::new([0_u8; 64]));
    let counts = taken() != before;
    drop(block);
    counts
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

/// To do the work. What every second block needs, no more than a word's alignment, mimalloc has a shorter way for, which the
/// crate of its name does not take.
pub struct Mimalloc;

// SAFETY: mimalloc gives blocks of at least that size, which begin at a multiple of `WORD` or of the alignment asked for, and
// takes any of them back by its address alone.
unsafe impl GlobalAlloc for Mimalloc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match layout.align() {
            ..=WORD => unsafe { mi::mi_malloc(layout.size()).cast() },
            align => unsafe { mi::mi_malloc_aligned(layout.size(), align).cast() },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match layout.align() {
            ..=WORD => unsafe { mi::mi_zalloc(layout.size()).cast() },
            align => unsafe { mi::mi_zalloc_aligned(layout.size(), align).cast() },
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        unsafe { mi::mi_free(block.cast()) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        match layout.align() {
            ..=WORD => unsafe { mi::mi_realloc(block.cast(), size).cast() },
            align => unsafe { mi::mi_realloc_aligned(block.cast(), size, align).cast() },
        }
    }
}

/// Bytes.
const WORD: usize = align_of::<usize>();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_begin_where_they_are_asked_to_and_keep_what_they_hold() {
        for align in [1, 8, 16, 64, 4096] {
            for size in [1, 7, 24, 1000, 5000, 100_000] {
                let layout = Layout::from_size_align(size, align).expect("a layout");
                let grown = Layout::from_size_align(3 * size, align).expect("a layout");
                unsafe {
                    let zeroed = Mimalloc.alloc_zeroed(layout);
                    assert!(std::slice::from_raw_parts(zeroed, size).iter().all(|byte| *byte == 0));
                    let block = Mimalloc.alloc(layout);
                    block.write_bytes(7, size);
                    let moved = Mimalloc.realloc(block, layout, 3 * size);
                    assert!(
                        [zeroed, moved].iter().all(|block| block.align_offset(align) == 0),
                        "{layout:?}"
                    );
                    assert!(std::slice::from_raw_parts(moved, size).iter().all(|byte| *byte == 7));
                    Mimalloc.dealloc(moved, grown);
                    Mimalloc.dealloc(zeroed, layout);
                }
            }
        }
    }

    #[test]
    fn what_is_taken_and_given_back_is_counted() {
        let before = taken();
        let mut block = vec![1_u8; 10_000];
        block.reserve_exact(90_000);
        assert!((100_000..101_000).contains(&(taken() - before)), "{}", taken() - before);
        drop(block);
        assert_eq!(taken(), before);
        assert!(is_counted());
    }
}
