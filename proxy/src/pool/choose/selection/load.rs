//! What a backend is busy with, in the unit that suits its pool.

use schemars::JsonSchema;
use serde::Deserialize;

use super::select::Candidates;
use crate::pool::choose::key::Key;
use crate::pool::members::backend::Backend;

/// `load: requests`, or `load: bytes` where some uploads are a hundred times as much work as others.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Load {
    /// Requests in flight.
    #[default]
    Requests,
    /// Bytes of the uploads in flight, as far as their heads tell.
    Bytes,
}

/// `{ load: requests }`
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct LoadConfig {
    pub load: Load,
}

impl Load {
    /// What the backend has in flight.
    pub fn on(self, backend: &Backend) -> f64 {
        let requests = f64::from(backend.in_flight());
        match self {
            Self::Requests => requests,
            Self::Bytes => backend.in_flight_bytes() as f64 + requests * REQUEST_BYTES,
        }
    }

    /// What this request will add to it.
    pub fn of(self, key: &Key) -> f64 {
        match self {
            Self::Requests => 1.0,
            Self::Bytes => key.upload_bytes() as f64 + REQUEST_BYTES,
        }
    }

    /// What the backend has in flight for each unit of its share.
    pub fn per_share(self, backend: &Backend, candidates: &Candidates<'_>) -> f64 {
        self.on(backend) / backend.share(candidates.now)
    }
}

/// What a request counts for beside its body, so that those without one are not for nothing.
const REQUEST_BYTES: f64 = 4096.0;
