//! The request body: read under limits, kept, and sent again where the first backend fails.

mod framing;

pub use framing::{HeadLimits, Violation, Watch};

use serde::Deserialize;

use crate::units::ByteSize;

/// `body: { max_size: 32MiB }`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BodyConfig {
    /// A longer body is refused with 413.
    pub max_size: ByteSize,
}

impl Default for BodyConfig {
    fn default() -> Self {
        Self {
            max_size: ByteSize::from_mib(32),
        }
    }
}
