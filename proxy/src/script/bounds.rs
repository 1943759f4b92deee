//! Time and memory of the call under way on this thread.

use std::cell::Cell;
use std::time::Instant;

use rhai::Dynamic;

use super::limits::Limits;
use crate::heap;

thread_local! {
    static BOUNDS: Cell<Option<Bounds>> = const { Cell::new(None) };
    /// Functions called that may take long.
    static HEAVY: Cell<u32> = const { Cell::new(0) };
}

#[derive(Clone, Copy)]
struct Bounds {
    deadline: Instant,
    /// As [`heap::taken`] counts.
    memory: i64,
}

/// Runs a script from `began` on, within the bounds of time and memory.
pub fn bounded<T>(limits: &Limits, began: Instant, run: impl FnOnce() -> T) -> T {
    BOUNDS.set(Some(Bounds {
        deadline: began + limits.time,
        memory: heap::taken() + limits.memory,
    }));
    HEAVY.set(0);
    let result = run();
    BOUNDS.set(None);
    result
}

/// A function that may take long is called.
pub fn heavy() {
    HEAVY.set(HEAVY.get() + 1);
}

/// A function is called that takes time in proportion to a text.
pub fn heavy_on(text: &str) {
    const LONG: usize = 4 << 10;
    if text.len() > LONG {
        heavy();
    }
}

/// Why to go no further. A script that has done little is not late: the system has let its thread wait.
pub fn stopped(operations: u64) -> Option<Dynamic> {
    let bounds = BOUNDS.get()?;
    if heap::taken() > bounds.memory {
        return Some("it holds more memory than its limit".into());
    }
    let looks = HEAVY.get() >= LITTLE_HEAVY || operations >= LITTLE && operations.is_multiple_of(LOOKS);
    let is_late = looks && Instant::now() > bounds.deadline;
    is_late.then(|| "it takes more time than its limit".into())
}

/// Operations after which the clock is looked at.
const LOOKS: u64 = 16;
/// What takes no longer than the shortest limit, if nobody waits.
const LITTLE: u64 = 128;
const LITTLE_HEAVY: u32 = 4;
