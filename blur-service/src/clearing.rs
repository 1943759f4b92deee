//! An allocator around another one that clears memory as it is given back: whatever held a picture, the file that came in,
//! pixels, coefficients, the detector's view, a buffer that grew or one that belongs to a library, a later mistake of any
//! kind finds nothing of it. What lies on a thread's stack is not covered.
//!
//! Clearing begins when a worker starts in the process; a proxy that carries the same allocator pays a look at a flag.
//! It has to be unsafe, since an allocator is.
#![allow(unsafe_code)]

use std::{
    alloc::{GlobalAlloc, Layout},
    hint::black_box,
    ptr,
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::{
    mm::{Advice, madvise},
    param::page_size,
};

/// To be a program's `#[global_allocator]`, around the one that does the work.
pub struct Clearing<A>(pub A);

/// From now on memory is cleared as it is given back.
pub fn clear_from_now_on() {
    IS_ON.store(true, Ordering::Relaxed);
}

// SAFETY: every block comes from the inner allocator and goes back to it with its own layout. What is written lies inside a
// block that its owner has given up.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Clearing<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if IS_ON.load(Ordering::Relaxed) {
            unsafe { clear(block, layout.size()) };
        }
        unsafe { self.0.dealloc(block, layout) }
    }

    /// The inner allocator would leave a copy behind where it moves a block, so the move is made here.
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !IS_ON.load(Ordering::Relaxed) {
            return unsafe { self.0.realloc(block, layout, size) };
        }
        // SAFETY: the caller promises that `size`, rounded up to the alignment, is no more than `isize::MAX`.
        let moved = unsafe { self.0.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !moved.is_null() {
            unsafe {
                ptr::copy_nonoverlapping(block, moved, layout.size().min(size));
                self.dealloc(block, layout);
            }
        }
        moved
    }
}

/// Zeroes a block that nobody will read again. A large one's whole pages go back to the system, which hands out zeroed
/// ones: to write zeros would make resident what was asked for and never touched.
unsafe fn clear(block: *mut u8, size: usize) {
    if size < LARGE {
        return unsafe { write_zeros(block, size) };
    }
    let page = page_size();
    let before = block.align_offset(page);
    let pages = (size - before) / page * page;
    unsafe {
        let middle = block.add(before);
        if madvise(middle.cast(), pages, Advice::LinuxDontNeed).is_err() {
            write_zeros(middle, pages);
        }
        write_zeros(block, before);
        write_zeros(middle.add(pages), size - before - pages);
    }
}

/// The compiler must not know that nobody reads them, or it would leave the work out.
unsafe fn write_zeros(block: *mut u8, size: usize) {
    unsafe { ptr::write_bytes(block, 0, size) };
    black_box(block);
}

/// Bytes from which on a block is given back page by page. What a network computes with, and is shown of a common picture, is
/// smaller and needed again at once: to get its pages anew costs ten times as much as to write zeros.
const LARGE: usize = 6 << 20;

static IS_ON: AtomicBool = AtomicBool::new(false);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{alloc::System, cell::RefCell};

    use super::*;

    #[test]
    fn what_is_given_back_or_moved_away_from_is_zero_by_then() {
        clear_from_now_on();
        let witness = Clearing(Witness(RefCell::new(Vec::new())));
        let layout = Layout::array::<u8>(100).unwrap();
        unsafe {
            let block = witness.alloc(layout);
            ptr::write_bytes(block, 7, 100);
            let grown = witness.realloc(block, layout, 300);
            assert_eq!(std::slice::from_raw_parts(grown, 100), [7; 100]);
            let shrunk = witness.realloc(grown, Layout::array::<u8>(300).unwrap(), 50);
            assert_eq!(std::slice::from_raw_parts(shrunk, 50), [7; 50]);
            witness.dealloc(shrunk, Layout::array::<u8>(50).unwrap());
        }
        assert_eq!(*witness.0.0.borrow(), [vec![0; 100], vec![0; 300], vec![0; 50]]);
    }

    #[test]
    fn a_large_block_is_zero_to_its_edges() {
        clear_from_now_on();
        let witness = Clearing(Witness(RefCell::new(Vec::new())));
        for size in [LARGE - 1, LARGE, LARGE + 1, 3 * LARGE + 4095] {
            let layout = Layout::array::<u8>(size).unwrap();
            unsafe {
                let block = witness.alloc(layout);
                ptr::write_bytes(block, 7, size);
                witness.dealloc(block, layout);
            }
            assert!(
                witness.0.0.borrow_mut().pop().unwrap().iter().all(|byte| *byte == 0),
                "{size}"
            );
        }
    }

    /// Remembers what blocks held when they came back.
    struct Witness(RefCell<Vec<Vec<u8>>>);

    unsafe impl GlobalAlloc for Witness {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            unsafe { System.alloc_zeroed(layout) }
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            let held = unsafe { std::slice::from_raw_parts(block, layout.size()) };
            self.0.borrow_mut().push(held.to_vec());
            unsafe { System.dealloc(block, layout) }
        }
    }
}
