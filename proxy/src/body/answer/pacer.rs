//! Holds an answer's bytes to a rate.

use std::time::Duration;

use pingora::Result;
use pingora::protocols::http::ServerSession;
use tokio::time::{Instant, sleep_until};

use crate::request::notes::Pace;

/// What has gone, and since when the rate holds.
pub struct Pacer {
    pace: Pace,
    sent: u64,
    since: Option<Instant>,
}

impl Pacer {
    pub fn new(pace: Pace) -> Self {
        Self {
            pace,
            sent: 0,
            since: None,
        }
    }

    /// Bytes that may go at a time without that the rate could be felt as jerks.
    pub fn slice(&self) -> usize {
        let least = LEAST_SLICE.min(self.pace.rate);
        usize::try_from((self.pace.rate / SLICES_A_SECOND).max(least)).unwrap_or(usize::MAX)
    }

    /// As [`Self::pass`], unless the client leaves meanwhile.
    ///
    /// # Errors
    /// It has left.
    pub async fn pass_to(&mut self, client: &mut ServerSession, bytes: usize) -> Result<()> {
        if !client.is_body_done() {
            self.pass(bytes).await;
            return Ok(());
        }
        tokio::select! {
            biased;
            () = self.pass(bytes) => Ok(()),
            left = client.read_body_or_idle(true) => left.map(drop),
        }
    }

    /// Waits until so many more bytes may go.
    async fn pass(&mut self, bytes: usize) {
        if let Some(over) = self.sent.checked_sub(self.pace.after) {
            let since = *self.since.get_or_insert_with(Instant::now);
            sleep_until(since + Duration::from_secs_f64(over as f64 / self.pace.rate as f64)).await;
        }
        self.sent += bytes as u64;
    }
}

const SLICES_A_SECOND: u64 = 8;
/// Bytes.
const LEAST_SLICE: u64 = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn keeps_to_the_rate_once_it_holds() {
        let mut pacer = Pacer::new(Pace {
            rate: 1000,
            after: 5000,
        });
        let began = Instant::now();
        for _ in 0..5 {
            pacer.pass(1000).await;
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
        for _ in 0..10 {
            pacer.pass(1000).await;
        }
        assert_eq!(began.elapsed(), Duration::from_secs(9));
    }
}
