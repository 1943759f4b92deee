//! Randomness without locks or seeds to manage: SplitMix64 (Steele, Lea and Flood, 2014) over a shared counter.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug)]
pub struct Random(AtomicU64);

impl Default for Random {
    fn default() -> Self {
        // The standard library keys its hasher from the system's randomness.
        Self::seeded(RandomState::new().hash_one(0))
    }
}

impl Random {
    pub fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// From 0 to below 1.
    pub fn fraction(&self) -> f64 {
        let state = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        // 53 bits are what a fraction holds.
        (mix(state) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// SplitMix64's finaliser: every bit of the result depends on every bit of the value.
pub fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
