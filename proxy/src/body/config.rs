//! What YAML says of request bodies, and the limits of one request that follow from it.

use std::time;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::request::variables::Template;
use crate::yaml::units::{ByteSize, Duration};

/// `body: { max_size: 32MiB, memory: 256MiB }`: what holds for all routes.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct BodyConfig {
    /// A longer body is refused with 413. Nginx: `client_max_body_size`.
    pub max_size: ByteSize,
    /// Nginx: `proxy_request_buffering`.
    pub buffering: Buffering,
    /// For all bodies together, spilled ones included: a memory-backed file is memory too.
    pub memory: ByteSize,
    /// How long a request waits for its share of `memory` before it is answered with 503.
    pub memory_wait: Duration,
    /// A longer body is kept in a memory-backed file, whose pages go back to the system as soon as it is closed.
    pub spill_above: ByteSize,
    /// Bytes a second, on the average, below which a client is too slow: 408.
    pub least_rate: ByteSize,
    /// How far a client may fall behind `least_rate`, the wait for the first byte included. Nginx: `client_body_timeout`.
    pub patience: Duration,
    /// How long a whole body may take at whatever rate: 408.
    pub deadline: Duration,
}

impl Default for BodyConfig {
    fn default() -> Self {
        Self {
            max_size: ByteSize::from_mib(32),
            buffering: Buffering::On,
            memory: ByteSize::from_mib(256),
            memory_wait: Duration::from_secs(10),
            spill_above: ByteSize::from_mib(8),
            least_rate: ByteSize::from_kib(4),
            patience: Duration::from_secs(10),
            deadline: Duration::from_secs(300),
        }
    }
}

/// Whether a body is read as a whole before a backend is chosen, so that it can be sent again to another.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Buffering {
    On,
    /// The body goes to the backend while it arrives; once a byte is sent, the request is not retried.
    Off,
}

/// A route's own `body:`; what it leaves out is as for all routes.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct RouteBodyConfig {
    /// What backends get in the place of the body, which is read nevertheless; none at all where this is nothing.
    /// Nginx: `proxy_set_body`, and `proxy_pass_request_body off`.
    pub replace: Option<Template>,
    pub max_size: Option<ByteSize>,
    pub buffering: Option<Buffering>,
    pub least_rate: Option<ByteSize>,
    pub patience: Option<Duration>,
    pub deadline: Option<Duration>,
}

/// What one request's body has to keep to.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes.
    pub max_size: u64,
    pub buffering: Buffering,
    /// Bytes a second, at least 1.
    pub least_rate: u64,
    pub patience: time::Duration,
    pub deadline: time::Duration,
}

impl Limits {
    pub fn new(all: &BodyConfig, route: &RouteBodyConfig) -> Self {
        Self {
            max_size: route.max_size.unwrap_or(all.max_size).get(),
            buffering: route.buffering.unwrap_or(all.buffering),
            least_rate: route.least_rate.unwrap_or(all.least_rate).get().max(1),
            patience: route.patience.unwrap_or(all.patience).get(),
            deadline: route.deadline.unwrap_or(all.deadline).get(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_route_overrides_only_what_it_names() {
        let all = BodyConfig::default();
        let route: RouteBodyConfig = serde_yaml::from_str("{ max_size: 1MiB, buffering: off }").unwrap();
        let limits = Limits::new(&all, &route);
        assert_eq!(limits.max_size, 1 << 20);
        assert_eq!(limits.buffering, Buffering::Off);
        assert_eq!(limits.deadline, all.deadline.get());
    }

    #[test]
    fn refuses_a_key_it_does_not_know() {
        assert!(serde_yaml::from_str::<BodyConfig>("{ max: 1MiB }").is_err());
        assert!(serde_yaml::from_str::<RouteBodyConfig>("{ memory: 1MiB }").is_err());
    }
}
