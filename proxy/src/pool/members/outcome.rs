//! How attempts at backends end.

use std::fmt;
use std::time::Duration;

/// How an attempt at a backend ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Answered {
        status: u16,
        latency: Duration,
    },
    /// Says it has no room; neither a failure nor a success.
    Busy,
    ConnectFailed,
    /// The connection ended before the answer did.
    Reset,
    TimedOut,
    /// Ended by us or by the client; says nothing about the backend.
    Cancelled,
}

impl Outcome {
    /// What metrics call them.
    pub const LABELS: [&str; 6] = ["answered", "busy", "connect_failed", "reset", "timed_out", "cancelled"];

    /// Of its label among [`Outcome::LABELS`].
    pub const fn index(self) -> usize {
        match self {
            Self::Answered { .. } => 0,
            Self::Busy => 1,
            Self::ConnectFailed => 2,
            Self::Reset => 3,
            Self::TimedOut => 4,
            Self::Cancelled => 5,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered { status, .. } => write!(f, "answered {status}"),
            Self::Busy => f.write_str("busy"),
            Self::ConnectFailed => f.write_str("connect failed"),
            Self::Reset => f.write_str("connection reset"),
            Self::TimedOut => f.write_str("timed out"),
            Self::Cancelled => f.write_str("cancelled"),
        }
    }
}
