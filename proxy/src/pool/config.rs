//! What is configured of a pool as a whole.

use std::net::IpAddr;
use std::time;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::admission::queue::{PATIENCE_WITH_OWN_WORKERS, QueueConfig, USUAL_PATIENCE};
use super::choose::selection::{self, SelectConfig};
use super::choose::sticky::StickyConfig;
use super::hedge::HedgeConfig;
use super::members::backend::BackendConfig;
use super::members::discovery::DiscoverConfig;
use super::members::ejection::EjectionConfig;
use super::members::health::HealthConfig;
use super::members::spawned::SpawnConfig;
use super::transport::{Http1, TlsConfig, TransportConfig};
use crate::client::proxy_protocol::ProxyProtocol;
use crate::yaml::units::{Duration, some_time};

/// `pools: { blur: {…} }`: `backends` that run elsewhere, written here or to be discovered, and workers to `spawn` here.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct PoolConfig {
    #[serde(deserialize_with = "selection::bare_or_with_settings")]
    pub select: SelectConfig,
    pub sticky: Option<StickyConfig>,
    pub backends: Vec<BackendConfig>,
    #[serde(deserialize_with = "serde_yaml::with::singleton_map_recursive::deserialize")]
    pub discover: Vec<DiscoverConfig>,
    pub spawn: Option<SpawnConfig>,
    /// Unless given, a pool that spawns this program's own workers asks them whether they are healthy, one that spawns
    /// others whether they answer `/` within 5 s at least once a minute or two, and another pool's backends are trusted until they fail.
    pub health: Option<HealthConfig>,
    pub ejection: EjectionConfig,
    pub queue: QueueConfig,
    pub hedge: Option<HedgeConfig>,
    /// Backends are spoken to in TLS. `{}` is enough where the system trusts whoever signed their certificates.
    pub tls: Option<TlsConfig>,
    /// Backends of HTTP/1 are spoken to otherwise than in HTTP/1.1 over connections that are kept.
    pub http1: Http1,
    /// Backends speak HTTP/2, as those of gRPC do: agreed upon in TLS (ALPN), else from the first byte (h2c).
    pub http2: bool,
    /// Tells backends of the client before all else on a connection, which then serves that client's requests alone.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// The address of this host's that connections to backends come from; as the system has it unless given. Nginx: `proxy_bind`.
    pub connect_from: Option<IpAddr>,
    pub timeouts: TimeoutsConfig,
}

impl PoolConfig {
    /// How long a request waits for a place where the queue's settings do not say.
    pub(super) fn usual_patience(&self) -> Duration {
        match &self.spawn {
            Some(spawn) if spawn.is_built_in() => PATIENCE_WITH_OWN_WORKERS,
            _ => USUAL_PATIENCE,
        }
    }

    /// How the backends are reached.
    pub fn transport(&self) -> TransportConfig {
        TransportConfig {
            tls: self.tls.clone(),
            http1: self.http1,
            http2: self.http2,
            proxy_protocol: self.proxy_protocol,
            connect_from: self.connect_from,
        }
    }

    /// How the backends are asked how they are, if they are.
    pub(super) fn checks(&self) -> Option<HealthConfig> {
        let of_its_workers = |spawn: &SpawnConfig| match spawn.is_built_in() {
            true => HealthConfig::of_a_blur_worker(),
            false => HealthConfig::of_any_worker(),
        };
        self.health.clone().or_else(|| self.spawn.as_ref().map(of_its_workers))
    }
}

/// How long each step with a backend may take.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct TimeoutsConfig {
    pub connect: Duration,
    /// Between two writes of the request.
    pub send: Duration,
    /// Between two reads of the response.
    pub read: Duration,
    /// From a request's last byte to the head of its answer, or the 101 of an upgrade, over all attempts and the time in
    /// the queue; two minutes unless given, or as long as `read` where that is longer. Nginx: `proxy_next_upstream_timeout`.
    #[serde(deserialize_with = "some_time_if_given")]
    pub total: Option<Duration>,
    /// How long an unused connection is kept.
    pub idle: Duration,
}

impl TimeoutsConfig {
    const TOTAL: time::Duration = time::Duration::from_secs(120);

    pub fn total(&self) -> time::Duration {
        let longest = Self::TOTAL.max(self.read.get());
        self.total.map_or(longest, Duration::get)
    }
}

impl Default for TimeoutsConfig {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            send: Duration::from_secs(10),
            read: Duration::from_secs(60),
            total: None,
            idle: Duration::from_secs(30),
        }
    }
}

/// A route's own `timeouts:`; what it leaves out is as for its pool.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct RouteTimeouts {
    connect: Option<Duration>,
    send: Option<Duration>,
    read: Option<Duration>,
    #[serde(deserialize_with = "some_time_if_given")]
    total: Option<Duration>,
}

impl RouteTimeouts {
    /// What holds for the route's requests.
    pub fn over(&self, pool: &TimeoutsConfig) -> TimeoutsConfig {
        TimeoutsConfig {
            connect: self.connect.unwrap_or(pool.connect),
            send: self.send.unwrap_or(pool.send),
            read: self.read.unwrap_or(pool.read),
            total: self.total.or(pool.total),
            idle: pool.idle,
        }
    }
}

fn some_time_if_given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    some_time(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_total_is_no_shorter_than_a_read_unless_it_is_said_to_be() {
        let total = |yaml| serde_yaml::from_str::<TimeoutsConfig>(yaml).unwrap().total().as_secs();
        for (yaml, seconds) in [
            ("{}", 120),
            ("read: 10s", 120),
            ("read: 10m", 600),
            ("{ read: 10m, total: 3s }", 3),
        ] {
            assert_eq!(total(yaml), seconds, "{yaml}");
        }
        assert!(serde_yaml::from_str::<TimeoutsConfig>("total: 0s").is_err());
    }

    #[test]
    fn a_route_overrides_only_what_it_names() {
        let route: RouteTimeouts = serde_yaml::from_str("{ read: 1h }").unwrap();
        let pool = TimeoutsConfig::default();
        let both = route.over(&pool);
        assert_eq!((both.connect, both.read), (pool.connect, Duration::from_secs(3600)));
        assert_eq!(both.total().as_secs(), 3600);
        assert!(serde_yaml::from_str::<RouteTimeouts>("{ idle: 1s }").is_err());
    }
}
