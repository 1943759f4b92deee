//! What is configured of a pool as a whole.

use schemars::JsonSchema;
use serde::Deserialize;

use super::admission::queue::QueueConfig;
use super::choose::selection::{self, SelectConfig};
use super::choose::sticky::StickyConfig;
use super::hedge::HedgeConfig;
use super::members::backend::BackendConfig;
use super::members::discovery::DiscoverConfig;
use super::members::ejection::EjectionConfig;
use super::members::health::HealthConfig;
use super::members::spawned::SpawnConfig;
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
    pub timeouts: TimeoutsConfig,
}

impl PoolConfig {
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
    /// From a request's last byte to the head of its answer, over all attempts. Nginx: `proxy_next_upstream_timeout`.
    #[serde(deserialize_with = "some_time")]
    pub total: Duration,
    /// How long an unused connection is kept.
    pub idle: Duration,
}

impl Default for TimeoutsConfig {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            send: Duration::from_secs(10),
            read: Duration::from_secs(60),
            total: Duration::from_secs(120),
            idle: Duration::from_secs(30),
        }
    }
}
