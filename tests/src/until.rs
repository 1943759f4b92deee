//! Waiting for conditions, each with a deadline.

use std::thread;
use std::time::{Duration, Instant};

/// Long enough for a loaded machine; nobody waits for it unless the test fails.
pub const SOON: Duration = Duration::from_secs(30);

/// Asks `ready` again and again until it gives a value.
///
/// # Panics
/// With `what`, when `limit` is over.
pub fn until<T>(what: &str, limit: Duration, mut ready: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        // Leaves the processor to those who are to bring the condition about.
        thread::park_timeout(BETWEEN_LOOKS);
    }
}

const BETWEEN_LOOKS: Duration = Duration::from_millis(5);
