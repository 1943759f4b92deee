//! Whether a backend may be sent requests.

use serde::{Deserialize, Serialize};

/// What the active checks say.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Not checked yet.
    Unknown,
    Up,
    Down,
}

/// Whether a backend may be sent requests, or the first reason why not.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    Eligible,
    /// A spawned worker whose process does not run.
    Stopped,
    /// Taken out by the admin, or of weight 0.
    Drained,
    /// Takes itself out.
    Draining,
    Unchecked,
    Down,
    Ejected,
    /// Has `max_conns` requests in flight, or one that has to be alone.
    Full,
}

impl Standing {
    /// Whether it serves, be it full at the moment.
    pub(in crate::pool) fn is_fit(self) -> bool {
        matches!(self, Self::Eligible | Self::Full)
    }

    /// Not fit to serve as far as is known, but nobody said it must not be asked.
    pub(in crate::pool) fn is_doubtful(self) -> bool {
        matches!(self, Self::Unchecked | Self::Down | Self::Ejected)
    }
}
