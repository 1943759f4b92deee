//! How fast a body has to arrive.

use std::time::Duration;

use tokio::time::Instant;

use super::config::Limits;
use super::error::ReadError;

/// When the next byte has to be here. A client may fall behind the least rate by so much, and is never more ahead of it
/// than some times as much: who has sent a lot cannot stall for as long as that is worth. None passes the deadline.
pub(super) struct Pace {
    due: Instant,
    /// Bytes a second.
    least_rate: f64,
    patience: Duration,
    deadline: Instant,
}

impl Pace {
    pub fn new(limits: &Limits) -> Self {
        let begun = Instant::now();
        Self {
            due: begun + limits.patience,
            least_rate: limits.least_rate as f64,
            patience: limits.patience,
            deadline: begun + limits.deadline,
        }
    }

    pub fn due(&self) -> Instant {
        self.deadline.min(self.due)
    }

    /// So many bytes have come.
    pub fn received(&mut self, bytes: u64) {
        let earned = Duration::from_secs_f64(bytes as f64 / self.least_rate);
        self.due = (self.due + earned).min(Instant::now() + self.patience * MOST_AHEAD);
    }

    /// Takes time in which the client could not send from its account.
    pub fn forgive(&mut self, time: Duration) {
        self.due += time;
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

/// How many times `patience` a client may be ahead: a minute by default, as Nginx's `client_body_timeout`.
const MOST_AHEAD: u32 = 6;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::config::Buffering;

    fn pace() -> Pace {
        Pace::new(&Limits {
            max_size: u64::MAX,
            buffering: Buffering::On,
            least_rate: 1024,
            patience: Duration::from_secs(10),
            deadline: Duration::from_secs(300),
        })
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_sent_much_may_pause_but_not_for_long() {
        let (mut pace, begun) = (pace(), Instant::now());
        assert_eq!(pace.due(), begun + Duration::from_secs(10));
        pace.received(2048);
        assert_eq!(pace.due(), begun + Duration::from_secs(12));
        pace.received(1 << 30);
        assert_eq!(pace.due(), begun + Duration::from_secs(60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_byte_now_and_then_is_too_slow_and_a_whole_body_has_its_deadline() {
        let (mut pace, begun) = (pace(), Instant::now());
        while Instant::now() < pace.due() {
            tokio::time::advance(Duration::from_secs(1)).await;
            pace.received(1);
        }
        assert!(begun.elapsed() <= Duration::from_secs(11));
        assert!(matches!(pace.verdict(), ReadError::TooSlow));

        let (mut pace, begun) = (self::pace(), Instant::now());
        while Instant::now() < pace.due() {
            tokio::time::advance(Duration::from_secs(1)).await;
            pace.received(1 << 20);
        }
        assert_eq!(begun.elapsed(), Duration::from_secs(300));
        assert!(matches!(pace.verdict(), ReadError::Late));
    }
}
