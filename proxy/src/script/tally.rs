//! How often scripts have run, how often they failed, and how long they took, by name; it outlives reloads.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Of one script or condition.
#[derive(Debug)]
pub struct Tally {
    calls: AtomicU64,
    errors: AtomicU64,
    nanoseconds: AtomicU64,
    /// The second since the tallies began in which its last failure was logged, and how many have passed in silence since.
    logged: AtomicU64,
    silent: AtomicU64,
}

/// As metrics show it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub calls: u64,
    pub errors: u64,
    pub time: Duration,
}

impl Default for Tally {
    fn default() -> Self {
        Self::new()
    }
}

impl Tally {
    pub const fn new() -> Self {
        Self {
            calls: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            nanoseconds: AtomicU64::new(0),
            logged: AtomicU64::new(NEVER),
            silent: AtomicU64::new(0),
        }
    }

    pub fn ran(&self, time: Duration, failed: bool) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.nanoseconds.fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
        if failed {
            self.errors.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether to tell of a failure in this second, and of how many others nothing was said.
    pub fn tells(&self, second: u64) -> Option<u64> {
        match self.logged.swap(second, Ordering::Relaxed) == second {
            true => {
                self.silent.fetch_add(1, Ordering::Relaxed);
                None
            }
            false => Some(self.silent.swap(0, Ordering::Relaxed)),
        }
    }

    pub fn count(&self) -> Count {
        Count {
            calls: self.calls.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
            time: Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed)),
        }
    }
}

const NEVER: u64 = u64::MAX;

/// Whole seconds since the first call.
pub fn since_start() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs()
}

/// All scripts'.
pub fn tallies() -> &'static Tallies {
    static TALLIES: Tallies = Tallies(Mutex::new(BTreeMap::new()));
    &TALLIES
}

/// Of all of them; the lock is for reloads and for who asks for numbers.
#[derive(Debug)]
pub struct Tallies(Mutex<BTreeMap<String, Arc<Tally>>>);

impl Tallies {
    pub fn of(&self, name: &str) -> Arc<Tally> {
        Arc::clone(self.0.lock().entry(name.to_owned()).or_default())
    }

    pub fn counts(&self) -> Vec<(String, Count)> {
        self.0
            .lock()
            .iter()
            .map(|(name, tally)| (name.clone(), tally.count()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_a_second_is_told() {
        let tally = Tally::new();
        assert_eq!(
            [7, 7, 7, 8].map(|second| tally.tells(second)),
            [Some(0), None, None, Some(2)]
        );
    }
}
