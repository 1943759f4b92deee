//! Hedging (Dean and Barroso, "The tail at scale", 2013): when a request has waited longer for its answer than nearly
//! all others do, a second copy goes to another backend, and the first answer wins. Here is when; `race.rs` has how.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use crate::yaml::units;

/// `hedge: { after: p95 }` or `hedge: { after: 200ms }`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct HedgeConfig {
    pub after: After,
}

/// How long a request may wait for its answer before a second copy is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("examples" = ["p95", "200ms"]))]
pub enum After {
    /// As long as 95 of 100 did lately.
    #[default]
    P95,
    Time(Duration),
}

/// A pool's knowledge of how long its answers take.
pub struct Hedge {
    after: After,
    latencies: Mutex<Latencies>,
    /// In microseconds; 0 until enough is known. Read by every request, written by few.
    p95: AtomicU64,
}

/// The last answers' latencies, in microseconds, the oldest overwritten first.
struct Latencies {
    last: Vec<u64>,
    next: usize,
}

impl Hedge {
    pub fn new(config: &HedgeConfig) -> Self {
        Self {
            after: config.after,
            latencies: Mutex::new(Latencies {
                last: Vec::with_capacity(REMEMBERED),
                next: 0,
            }),
            p95: AtomicU64::new(0),
        }
    }

    /// None until enough answers have come to tell what is usual.
    pub fn after(&self) -> Option<Duration> {
        match self.after {
            After::Time(time) => Some(time),
            After::P95 => Some(Duration::from_micros(self.p95.load(Ordering::Relaxed))).filter(|p95| !p95.is_zero()),
        }
    }

    /// Remembers how long an answer took to begin.
    pub fn record(&self, latency: Duration) {
        if self.after != After::P95 {
            return;
        }
        let mut latencies = self.latencies.lock();
        latencies.push(latency.as_micros() as u64);
        // Sorting is cheap, but not so cheap that every request should pay for it.
        if latencies.next.is_multiple_of(EACH) {
            self.p95.store(latencies.p95(), Ordering::Relaxed);
        }
    }
}

impl Latencies {
    fn push(&mut self, latency: u64) {
        if self.last.len() < REMEMBERED {
            self.last.push(latency);
        } else {
            self.last[self.next] = latency;
        }
        self.next = (self.next + 1) % REMEMBERED;
    }

    /// 0 while too few are known.
    fn p95(&self) -> u64 {
        if self.last.len() < LEAST {
            return 0;
        }
        let mut sorted = self.last.clone();
        sorted.sort_unstable();
        // At least 1, since 0 says that nothing is known.
        sorted[sorted.len() * 95 / 100].max(1)
    }
}

const REMEMBERED: usize = 512;
/// Answers between two looks.
const EACH: usize = 16;
/// Answers that make a 95th percentile worth the name.
const LEAST: usize = 64;

impl<'de> Deserialize<'de> for After {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = After;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("p95 or a time such as 200ms")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<After, E> {
                if text == "p95" {
                    return Ok(After::P95);
                }
                let time: units::Duration = text
                    .parse()
                    .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))?;
                if time.get().is_zero() {
                    return Err(E::custom("has to be longer than 0s"));
                }
                Ok(After::Time(time.get()))
            }
        }
        deserializer.deserialize_str(Either)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn waits_as_long_as_nearly_all_did_lately() {
        let hedge = Hedge::new(&HedgeConfig::default());
        for number in 0..REMEMBERED as u64 {
            assert_eq!(hedge.after().is_some(), number >= LEAST as u64, "after {number}");
            hedge.record(Duration::from_millis(number % 100));
        }
        let usual = hedge.after().unwrap().as_millis();
        assert!((93..=96).contains(&usual), "{usual}");
        (0..REMEMBERED).for_each(|_| hedge.record(Duration::from_millis(5)));
        assert_eq!(hedge.after(), Some(Duration::from_millis(5)));
    }

    #[test]
    fn a_time_needs_no_experience() {
        let config: HedgeConfig = serde_yaml::from_str("after: 200ms").unwrap();
        assert_eq!(Hedge::new(&config).after(), Some(Duration::from_millis(200)));
        assert_eq!(
            serde_yaml::from_str::<HedgeConfig>("{}").unwrap(),
            HedgeConfig::default()
        );
        for wrong in ["after: p99", "after: 0s", "after: 200", "after: soon"] {
            assert!(serde_yaml::from_str::<HedgeConfig>(wrong).is_err(), "{wrong}");
        }
    }
}
