//! What YAML says of answers, and what holds for one of them.

use std::time;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::body::config::{BodyConfig, Buffering, RouteBodyConfig};
use crate::request::notes::Pace;
use crate::yaml::units::{ByteSize, Duration};

/// `answers: { hold: 200ms, keep: 32MiB }`: what holds for all routes.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct AnswersConfig {
    /// Whether a backend's answer is read as fast as it comes, whatever the client's pace; as `body.buffering` unless
    /// given. Event streams and answers with `X-Accel-Buffering: no` pass as they come. Nginx: `proxy_buffering`.
    pub buffering: Option<Buffering>,
    /// How long an answer is held back from its head on, unless it is complete before: so long it can still be had from
    /// another backend.
    pub hold: Duration,
    /// An answer is not held back beyond this size.
    pub hold_size: ByteSize,
    /// So much of an answer waits for its client, out of `body.memory`; what is longer goes at the client's pace.
    /// Nginx: `proxy_max_temp_file_size`.
    pub keep: ByteSize,
    /// Bytes a second that a client has to take, once it has lagged behind for its listener's `send`.
    pub least_rate: ByteSize,
    /// Bytes a second that a client has to take once there is no more room for its answer, which then holds a backend's
    /// place, and another request has waited for one for half of its time in the `queue`: what is slower is ended.
    pub crowded_rate: ByteSize,
}

impl Default for AnswersConfig {
    fn default() -> Self {
        Self {
            buffering: None,
            hold: Duration::from_millis(200),
            hold_size: ByteSize::from_mib(8),
            keep: ByteSize::from_mib(32),
            least_rate: ByteSize::from_kib(1),
            crowded_rate: ByteSize::from_kib(64),
        }
    }
}

/// A route's own `answers:`; what it leaves out is as for all routes.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct RouteAnswersConfig {
    /// As the route's `body.buffering` unless given.
    pub buffering: Option<Buffering>,
    pub hold: Option<Duration>,
    pub least_rate: Option<ByteSize>,
    /// A backend works on a request whose client has left until its answer begins, in place of being told so: for what must not
    /// be given up half way. Nginx: `proxy_ignore_client_abort`.
    pub outlast_client: bool,
}

/// What holds for one answer.
#[derive(Clone, Copy, Debug)]
pub struct AnswerLimits {
    pub buffering: Buffering,
    pub hold: time::Duration,
    /// Bytes.
    pub hold_size: u64,
    /// Bytes.
    pub keep: u64,
    /// Bytes a second, at least 1.
    pub least_rate: u64,
    /// Bytes a second, where others wait for the place that it holds.
    pub crowded_rate: u64,
    /// How far a client may lag behind.
    pub patience: time::Duration,
    /// Whether it is waited for when the client has left.
    pub outlast_client: bool,
    /// How fast it may go; as fast as the client takes it unless given.
    pub pace: Option<Pace>,
}

impl AnswerLimits {
    /// `patience` is the listener's.
    pub fn new(
        (all, route): (&AnswersConfig, &RouteAnswersConfig),
        (all_bodies, routes_bodies): (&BodyConfig, &RouteBodyConfig),
        patience: time::Duration,
    ) -> Self {
        let own = route.buffering.or(routes_bodies.buffering);
        Self {
            buffering: own.or(all.buffering).unwrap_or(all_bodies.buffering),
            hold: route.hold.unwrap_or(all.hold).get(),
            hold_size: all.hold_size.get(),
            keep: all.keep.get(),
            least_rate: route.least_rate.unwrap_or(all.least_rate).get().max(1),
            crowded_rate: all.crowded_rate.get(),
            patience,
            outlast_client: route.outlast_client,
            pace: None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_said_nearest_decides_on_buffering() {
        let buffering = |all: &str, route: &str, all_bodies: &str, routes_bodies: &str| {
            let limits = AnswerLimits::new(
                (
                    &serde_yaml::from_str(all).unwrap(),
                    &serde_yaml::from_str(route).unwrap(),
                ),
                (
                    &serde_yaml::from_str(all_bodies).unwrap(),
                    &serde_yaml::from_str(routes_bodies).unwrap(),
                ),
                time::Duration::from_secs(1),
            );
            limits.buffering
        };
        let (on, off) = ("{ buffering: on }", "{ buffering: off }");
        assert_eq!(buffering("{}", "{}", "{}", "{}"), Buffering::On);
        assert_eq!(buffering("{}", "{}", off, "{}"), Buffering::Off);
        assert_eq!(buffering(on, "{}", off, "{}"), Buffering::On);
        assert_eq!(buffering(on, "{}", "{}", off), Buffering::Off);
        assert_eq!(buffering(off, on, off, off), Buffering::On);
    }
}
