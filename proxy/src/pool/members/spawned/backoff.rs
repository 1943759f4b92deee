//! How long to wait before a restart: soon the first time, ever longer for one that keeps dying.

use std::time::Duration;

use tokio::time::Instant;

#[derive(Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    in_a_row: u32,
    last: Instant,
}

impl Backoff {
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            in_a_row: 0,
            last: Instant::now(),
        }
    }

    /// The wait after a death now. Forgets earlier deaths if the last wait ended at least `longest` ago.
    pub fn next_wait(&mut self) -> Duration {
        if self.last.elapsed() >= self.longest {
            self.in_a_row = 0;
        }
        let wait = self
            .first
            .saturating_mul(1_u32.checked_shl(self.in_a_row).unwrap_or(u32::MAX))
            .min(self.longest);
        self.in_a_row += 1;
        self.last = Instant::now() + wait;
        wait
    }

    /// Whether the worker died so often in a row that restarting it is unlikely to help.
    pub fn is_loop(&self) -> bool {
        self.in_a_row >= LOOP
    }
}

const LOOP: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn doubles_up_to_the_longest_and_starts_anew_after_a_stable_run() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let mut waits = Vec::new();
        for _ in 0..6 {
            let wait = backoff.next_wait();
            tokio::time::advance(wait).await;
            waits.push(wait.as_millis());
        }
        assert_eq!(waits, [100, 200, 400, 800, 1000, 1000]);
        assert!(backoff.is_loop());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(backoff.next_wait().as_millis(), 100);
        assert!(!backoff.is_loop());
    }
}
