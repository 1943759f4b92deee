//! What has passed between Veil and a backend for one request, and when: for logs.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// One attempt's. The connection that it goes over keeps it.
#[derive(Debug)]
pub struct Traffic {
    began: Instant,
    connected: OnceLock<Duration>,
    answered: OnceLock<Duration>,
    over: OnceLock<Duration>,
    /// Bytes, as they went over the connection.
    sent: AtomicU64,
    received: AtomicU64,
    /// Bytes of those that were received, of heads.
    heads: AtomicU64,
}

impl Traffic {
    /// Of an attempt that begins now.
    pub fn begin() -> Self {
        Self {
            began: Instant::now(),
            connected: OnceLock::new(),
            answered: OnceLock::new(),
            over: OnceLock::new(),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            heads: AtomicU64::new(0),
        }
    }

    /// There is a connection.
    pub fn connects(&self) {
        self.connected.get_or_init(|| self.began.elapsed());
    }

    /// So many bytes have gone.
    pub fn sends(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// So many bytes have come; so many of all of them are of heads, and with these the answer is over, or not.
    pub fn receives(&self, bytes: usize, heads: u64, is_over: bool) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
        self.heads.store(heads, Ordering::Relaxed);
        if heads > 0 {
            self.answered.get_or_init(|| self.began.elapsed());
        }
        if is_over {
            self.over.get_or_init(|| self.began.elapsed());
        }
    }

    /// Until there was a connection. Nginx: `$upstream_connect_time`.
    pub fn connect_time(&self) -> Option<Duration> {
        self.connected.get().copied()
    }

    /// Until the answer's head had come. Nginx: `$upstream_header_time`.
    pub fn head_time(&self) -> Option<Duration> {
        self.answered.get().copied()
    }

    /// Until all of the answer had come; until now where it has not. Nginx: `$upstream_response_time`.
    pub fn time(&self) -> Duration {
        self.over.get().copied().unwrap_or_else(|| self.began.elapsed())
    }

    /// Nginx: `$upstream_bytes_sent`.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Nginx: `$upstream_bytes_received`.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Nginx: `$upstream_response_length`.
    pub fn body(&self) -> u64 {
        self.received().saturating_sub(self.heads.load(Ordering::Relaxed))
    }
}
