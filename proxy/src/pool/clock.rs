//! Time as the pools keep it: whole milliseconds since the process first asked, small enough for one atomic.
//! On tokio's clock, so that tests can stop it.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// A point in time. The first one is 1, so that 0 is free to mean "never".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    pub const NEVER: Self = Self(0);

    pub fn now() -> Self {
        static FIRST: OnceLock<Instant> = OnceLock::new();
        let first = *FIRST.get_or_init(Instant::now);
        Self(millis(Instant::now().saturating_duration_since(first)) + 1)
    }

    /// How long ago `earlier` was; for ever if it never was.
    pub fn since(self, earlier: Self) -> Duration {
        if earlier == Self::NEVER {
            return Duration::MAX;
        }
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    pub const fn raw(self) -> u64 {
        self.0
    }
}

/// What people and other programs call now.
pub fn seconds_since_1970() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX - 1)
}
