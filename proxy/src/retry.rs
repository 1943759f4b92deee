//! What to do when a backend fails: pure policy.

use serde::Deserialize;

/// `retry: { attempts: 3 }`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetryConfig {
    /// Backends a request may be sent to, the first one included.
    pub attempts: u32,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self { attempts: 3 }
    }
}
