//! The run loop: listeners, signals, drain.

use std::net::SocketAddr;

use serde::Deserialize;

use crate::units::Duration;

/// `listeners: { public: { address: 0.0.0.0:80 } }`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerConfig {
    /// Port 0 takes a free one, which is printed at start.
    pub address: SocketAddr,
}

/// `shutdown: { grace: 30s }`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShutdownConfig {
    /// How long requests in flight may take to end after TERM, INT or QUIT.
    pub grace: Duration,
}

impl Default for ShutdownConfig {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(30),
        }
    }
}
