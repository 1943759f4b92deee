//! How fast a body has to arrive.

use std::time::Duration;

use tokio::time::Instant;

use super::config::Limits;
use super::read::ReadError;

/// When the next byte has to be here: a client may fall behind the least rate by so much, and never pass the deadline.
pub(super) struct Pace {
    begun: Instant,
    /// Bytes a second.
    least_rate: f64,
    patience: Duration,
    deadline: Instant,
}

impl Pace {
    pub fn new(limits: &Limits) -> Self {
        let begun = Instant::now();
        Self {
            begun,
            least_rate: limits.least_rate as f64,
            patience: limits.patience,
            deadline: begun + limits.deadline,
        }
    }

    pub fn due(&self, received: u64) -> Instant {
        let earned = Duration::from_secs_f64(received as f64 / self.least_rate);
        self.deadline.min(self.begun + self.patience + earned)
    }

    /// Takes time in which the client could not send from its account.
    pub fn forgive(&mut self, time: Duration) {
        self.begun += time;
    }

    /// Why time is up.
    pub fn verdict(&self) -> ReadError {
        if Instant::now() >= self.deadline {
            ReadError::Late
        } else {
            ReadError::TooSlow
        }
    }
}
