//! The budget that keeps retries from becoming a storm.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{self, Instant};

use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::yaml::units::{Rate, Ratio};

/// `retry_budget: { share: 20%, floor: 10/s }`
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct BudgetConfig {
    /// Retries beside requests, over the last ten seconds.
    pub share: Ratio,
    /// So many retries are allowed however few the requests are.
    pub floor: Rate,
}

impl Default for BudgetConfig {
    fn default() -> Self {
        Self {
            share: Ratio::from_percent(20),
            floor: Rate::per_second(10),
        }
    }
}

/// Counts requests and retries over the last ten seconds, and says when retries have become too many.
pub struct Budget {
    share: f64,
    floor: f64,
    started: Instant,
    /// Every request takes it once, a retry once more, for a few additions.
    window: Mutex<Window>,
    refused: AtomicU64,
}

impl Budget {
    pub fn new(config: &BudgetConfig, now: Instant) -> Self {
        Self {
            share: config.share.get(),
            floor: config.floor.over(time::Duration::from_secs(SLOTS as u64)),
            started: now,
            window: Mutex::default(),
            refused: AtomicU64::default(),
        }
    }

    /// Retries that there was no room for.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Counts a request that came in.
    pub fn deposit(&self, now: Instant) {
        self.window.lock().at(self.second(now)).requests += 1;
    }

    /// Counts a retry, if there is room for it.
    pub fn withdraw(&self, now: Instant) -> bool {
        let mut window = self.window.lock();
        window.at(self.second(now));
        let (requests, retries) = window.sums();
        let room = f64::from(retries) + 1.0 <= self.floor + self.share * f64::from(requests);
        window.at(self.second(now)).retries += u32::from(room);
        self.refused.fetch_add(u64::from(!room), Ordering::Relaxed);
        room
    }

    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.started).as_secs()
    }
}

/// Seconds that are remembered.
const SLOTS: usize = 10;

#[derive(Default)]
struct Window {
    slots: [Slot; SLOTS],
    /// The second that the newest slot stands for.
    second: u64,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    requests: u32,
    retries: u32,
}

impl Window {
    /// The slot of a second; those that have become too old start anew.
    fn at(&mut self, second: u64) -> &mut Slot {
        let passed = second.saturating_sub(self.second).min(SLOTS as u64);
        for ahead in 1..=passed {
            self.slots[(self.second + ahead) as usize % SLOTS] = Slot::default();
        }
        self.second = self.second.max(second);
        &mut self.slots[self.second as usize % SLOTS]
    }

    fn sums(&self) -> (u32, u32) {
        self.slots.iter().fold((0, 0), |(requests, retries), slot| {
            (requests + slot.requests, retries + slot.retries)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_withdrawn_comes_back_with_time() {
        let now = Instant::now();
        let one = BudgetConfig {
            share: Ratio::from_percent(0),
            floor: "1/10s".parse().unwrap(),
        };
        let budget = Budget::new(&one, now);
        assert!(budget.withdraw(now));
        assert!(!budget.withdraw(now + time::Duration::from_secs(9)));
        assert_eq!(budget.refused(), 1);
        assert!(budget.withdraw(now + time::Duration::from_secs(10)));
    }

    proptest! {
        #[test]
        fn retries_stay_within_their_share_and_floor(
            steps in prop::collection::vec((0_u64..400, any::<bool>()), 1..2_000),
            percent in 0_u8..50,
            per_second in 0_u32..20,
        ) {
            let mut now = Instant::now();
            let config = BudgetConfig { share: Ratio::from_percent(percent), floor: Rate::per_second(per_second) };
            let budget = Budget::new(&config, now);
            let (start, mut requests, mut retries) = (now, 0_u32, 0_u32);
            for (millis, request) in steps {
                now += time::Duration::from_millis(millis);
                if request {
                    budget.deposit(now);
                    requests += 1;
                } else {
                    retries += u32::from(budget.withdraw(now));
                }
            }
            // Each window of ten seconds begins with its floor in hand.
            let windows = (now - start).as_secs() / SLOTS as u64 + 1;
            let floor = f64::from(per_second) * (SLOTS as u64 * windows) as f64;
            // A request counts in at most two of the consecutive windows that cover the time.
            prop_assert!(f64::from(retries) <= floor + 2.0 * config.share.get() * f64::from(requests) + 1e-9);
        }
    }
}
