//! How fast a client has to take its answer.

use std::time::Duration;

use super::config::AnswerLimits;

/// What a client has to spare. Only time in which there is something to take counts, and only bytes that were taken: a
/// sign of life, as HTTP/2's PING and window updates are, is none.
pub(super) struct Taking {
    credit: Duration,
    most: Duration,
    /// Bytes a second.
    least_rate: f64,
}

impl Taking {
    pub fn new(limits: &AnswerLimits) -> Self {
        Self {
            credit: limits.patience,
            most: limits.patience,
            least_rate: limits.least_rate as f64,
        }
    }

    /// How long it may take to take so many bytes.
    pub fn allowance(&self, bytes: usize) -> Duration {
        self.credit + self.worth(bytes)
    }

    /// It took so many bytes, and so long.
    pub fn took(&mut self, bytes: usize, time: Duration) {
        self.credit = self.allowance(bytes).saturating_sub(time).min(self.most);
    }

    fn worth(&self, bytes: usize) -> Duration {
        Duration::from_secs_f64(bytes as f64 / self.least_rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::config::Buffering;

    fn taking() -> Taking {
        Taking::new(&AnswerLimits {
            buffering: Buffering::On,
            hold: Duration::ZERO,
            hold_size: 0,
            keep: 0,
            least_rate: 1024,
            crowded_rate: 0,
            patience: Duration::from_secs(10),
            outlast_client: false,
            pace: None,
        })
    }

    #[test]
    fn a_client_at_the_least_rate_is_never_too_slow() {
        let mut taking = taking();
        for _ in 0..1000 {
            assert!(taking.allowance(4096) >= Duration::from_secs(4));
            taking.took(4096, Duration::from_secs(4));
        }
    }

    #[test]
    fn a_client_that_takes_a_byte_at_a_time_is() {
        let mut taking = taking();
        let took = (0..).take_while(|_| {
            let goes_on = taking.allowance(1) >= Duration::from_secs(1);
            taking.took(1, Duration::from_secs(1));
            goes_on
        });
        assert_eq!(took.count(), 10);
    }

    #[test]
    fn what_was_taken_early_is_soon_forgotten() {
        let mut taking = taking();
        taking.took(1 << 30, Duration::from_secs(1));
        assert!(taking.allowance(1) < Duration::from_secs(11));
    }
}
