//! The process's memory: what it takes of it for little, and what goes back to the system.
#![allow(unsafe_code)]

use rustix::thread::disable_transparent_huge_pages;
use tokio::runtime::Handle;

/// Has memory come in small pages. Of a huge one (2 MiB) all is taken as soon as a byte is used, and who serves thousands
/// uses a little each of many buffers. Programs that are started from here inherit it.
pub fn take_small_pages() {
    // Where the system has no huge ones, they need not be turned off.
    let _ = disable_transparent_huge_pages(true);
}

/// Has each of the runtime's threads look for memory that is free, soon. Each has blocks of its own from mimalloc, and finds
/// what others free of them only when it needs some again: after a crowd has left, that may be never.
pub fn give_back() {
    let runtime = Handle::current();
    // Those that find nothing are soon done; whoever is idle takes one from the others.
    for _ in 0..TASKS_PER_THREAD * runtime.metrics().num_workers() {
        runtime.spawn(async {
            // SAFETY: it looks at the calling thread's blocks alone, at any time.
            unsafe { libmimalloc_sys::mi_collect(true) }
        });
    }
}

const TASKS_PER_THREAD: usize = 2;
