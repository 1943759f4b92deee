//! What has become of the requests that a backend was sent: how they ended, with which statuses, and how long their
//! answers took to begin.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::pool::members::outcome::Outcome;

#[derive(Debug, Default)]
pub struct Tally {
    outcomes: [AtomicU64; Outcome::LABELS.len()],
    /// Contended by answers of this one backend that begin in the same moment.
    statuses: Mutex<BTreeMap<u16, u64>>,
    /// How many took at most so long, and longer than the bound before.
    within: [AtomicU64; BOUNDS.len()],
    longer: AtomicU64,
    microseconds: AtomicU64,
}

/// A tally at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    /// By [`Outcome::label`].
    pub outcomes: Vec<(&'static str, u64)>,
    pub statuses: BTreeMap<u16, u64>,
    pub latency: Latency,
}

/// A histogram of latencies.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Latency {
    /// How many took at most so many seconds, all that took less among them.
    pub buckets: Vec<(f64, u64)>,
    pub count: u64,
    pub sum_seconds: f64,
}

/// In seconds.
const BOUNDS: [f64; 12] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

impl Tally {
    pub fn count(&self, outcome: Outcome) {
        self.outcomes[outcome.index()].fetch_add(1, Ordering::Relaxed);
        let Outcome::Answered { status, latency } = outcome else {
            return;
        };
        *self.statuses.lock().entry(status).or_default() += 1;
        self.microseconds
            .fetch_add(latency.as_micros() as u64, Ordering::Relaxed);
        self.slot(latency).fetch_add(1, Ordering::Relaxed);
    }

    fn slot(&self, latency: Duration) -> &AtomicU64 {
        let seconds = latency.as_secs_f64();
        let bound = BOUNDS.iter().position(|bound| seconds <= *bound);
        bound.map_or(&self.longer, |bound| &self.within[bound])
    }

    pub fn counts(&self) -> Counts {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut count = 0;
        let buckets = BOUNDS.iter().zip(&self.within).map(|(bound, within)| {
            count += load(within);
            (*bound, count)
        });
        let buckets: Vec<_> = buckets.collect();
        Counts {
            outcomes: Outcome::LABELS
                .into_iter()
                .zip(self.outcomes.iter().map(load))
                .collect(),
            statuses: self.statuses.lock().clone(),
            latency: Latency {
                buckets,
                count: count + load(&self.longer),
                sum_seconds: load(&self.microseconds) as f64 / 1e6,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_ends_statuses_and_latencies() {
        let tally = Tally::default();
        for (status, millis) in [(200, 3), (200, 70), (500, 90_000)] {
            let latency = Duration::from_millis(millis);
            tally.count(Outcome::Answered { status, latency });
        }
        tally.count(Outcome::Reset);
        let counts = tally.counts();
        let ends: Vec<_> = counts.outcomes.iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(ends, [&("answered", 3), &("reset", 1)]);
        assert_eq!(counts.statuses, BTreeMap::from([(200, 2), (500, 1)]));
        let latency = counts.latency;
        assert_eq!((latency.count, latency.sum_seconds), (3, 90.073));
        assert!(latency.buckets.contains(&(0.005, 1)) && latency.buckets.contains(&(60.0, 2)));
    }
}
