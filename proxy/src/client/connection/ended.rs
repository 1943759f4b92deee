//! Connections that Veil has ended before their clients did, by why.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why a connection was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its TLS handshake, or the word of the proxy in front, was none.
    Handshake,
    /// No whole head, or handshake, came in time. Over HTTP/1, who began a head is told so, which counts as a refused one.
    Late,
    /// No further request came.
    Idle,
    /// Nothing of what was written was taken.
    Slow,
    /// Newcomers had no place.
    Room,
    /// HTTP/2's rules were broken, or too many requests were cancelled.
    Http2,
    /// Frames of HTTP/2 came that nobody needs so many of.
    Flood,
}

impl Cause {
    const ALL: [Self; 7] = [
        Self::Handshake,
        Self::Late,
        Self::Idle,
        Self::Slow,
        Self::Room,
        Self::Http2,
        Self::Flood,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Late => "late",
            Self::Idle => "idle",
            Self::Slow => "slow",
            Self::Room => "room",
            Self::Http2 => "http2",
            Self::Flood => "flood",
        }
    }
}

/// How many, of each cause.
#[derive(Default)]
pub struct Ended([AtomicU64; Cause::ALL.len()]);

impl Ended {
    pub fn count(&self, cause: Cause) {
        self.0[cause as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// By the causes' names.
    pub fn counts(&self) -> [(&'static str, u64); Cause::ALL.len()] {
        Cause::ALL.map(|cause| (cause.name(), self.0[cause as usize].load(Ordering::Relaxed)))
    }
}
