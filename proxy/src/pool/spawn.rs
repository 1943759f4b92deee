//! Local worker processes: each gets a listening socket as its standard input, and is restarted when it dies.

use serde::Deserialize;

use crate::units::Duration;

/// `spawn: { workers: 2 }`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpawnConfig {
    pub workers: u32,
    /// Program and arguments; this program's own `worker` unless given.
    pub command: Vec<String>,
    /// Wait before the first restart; doubled for each further one, up to `longest_backoff`.
    pub backoff: Duration,
    pub longest_backoff: Duration,
}

impl Default for SpawnConfig {
    fn default() -> Self {
        Self {
            workers: 2,
            command: Vec::new(),
            backoff: Duration::from_millis(100),
            longest_backoff: Duration::from_secs(10),
        }
    }
}
