//! Active checks: asks each backend how it is, and believes it after a few equal answers.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::units::{ByteSize, Duration};

/// `health: { path: /health, … }`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HealthConfig {
    pub path: String,
    /// From the start of one check to the start of the next.
    pub interval: Duration,
    /// For a whole check, from connecting to the last byte of the answer.
    pub timeout: Duration,
    /// Good answers in a row until a backend that was down is up.
    pub rise: u32,
    /// Bad answers in a row until a backend that was up is down.
    pub fall: u32,
    pub expect: ExpectConfig,
    /// An answer longer than this is a bad one.
    pub max_body: ByteSize,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            path: "/health".to_owned(),
            interval: Duration::from_secs(1),
            timeout: Duration::from_millis(800),
            rise: 1,
            fall: 2,
            expect: ExpectConfig::default(),
            max_body: ByteSize::from_kib(64),
        }
    }
}

/// What a good answer looks like.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExpectConfig {
    pub status: u16,
    /// Field of the JSON body, and the value it has to have.
    pub json: BTreeMap<String, serde_json::Value>,
}

impl Default for ExpectConfig {
    fn default() -> Self {
        Self {
            status: 200,
            json: BTreeMap::new(),
        }
    }
}
