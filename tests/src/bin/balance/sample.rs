//! What became of the requests, and what that says of the balance.

use std::collections::HashMap;
use std::time::Duration;

use crate::workers::WORKERS;

/// One request.
#[derive(Clone, Copy)]
pub struct Sample {
    pub client: usize,
    /// From when it was due, not from when a thread got to it.
    pub latency: Duration,
    pub end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    ServedBy(usize),
    /// Answered with another status than 200; 0 for none at all.
    Refused(u16),
}

/// The latency that this share of the served requests did not exceed.
pub fn percentile(samples: &[Sample], share: f64) -> Duration {
    let served = samples.iter().filter(|sample| matches!(sample.end, End::ServedBy(_)));
    let mut latencies: Vec<Duration> = served.map(|sample| sample.latency).collect();
    latencies.sort_unstable();
    let place = (latencies.len() as f64 * share) as usize;
    latencies.get(place).or(latencies.last()).copied().unwrap_or_default()
}

/// The busiest worker's time at work beside the mean one's.
pub fn evenness(samples: &[Sample], work: [Duration; WORKERS]) -> f64 {
    let mut busy = [0.0; WORKERS];
    for (_, worker) in served(samples) {
        busy[worker] += work[worker].as_secs_f64();
    }
    let mean = busy.iter().sum::<f64>() / WORKERS as f64;
    busy.iter().copied().fold(0.0, f64::max) / mean
}

/// The worker of each client, by a run in which all are strictly sticky; none of those that did not come.
pub fn homes(samples: &[Sample]) -> HashMap<usize, usize> {
    served(samples).collect()
}

/// The share of requests that were served at their client's home.
pub fn stickiness(samples: &[Sample], homes: &HashMap<usize, usize>) -> f64 {
    let known = || served(samples).filter_map(|(client, worker)| Some((homes.get(&client)?, worker)));
    let at_home = known().filter(|(home, worker)| *home == worker).count();
    at_home as f64 / known().count() as f64
}

/// Who was served by whom.
fn served(samples: &[Sample]) -> impl Iterator<Item = (usize, usize)> {
    samples.iter().filter_map(|sample| match sample.end {
        End::ServedBy(worker) => Some((sample.client, worker)),
        End::Refused(_) => None,
    })
}

pub fn refused(samples: &[Sample], status: u16) -> usize {
    samples
        .iter()
        .filter(|sample| sample.end == End::Refused(status))
        .count()
}

/// Those that were answered neither with 200 nor with 503.
pub fn broken(samples: &[Sample]) -> usize {
    let broken = |end| !matches!(end, End::ServedBy(_) | End::Refused(503));
    samples.iter().filter(|sample| broken(sample.end)).count()
}
