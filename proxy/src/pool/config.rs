//! What is configured of a pool as a whole.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use super::backend::BackendConfig;
use super::discovery::DiscoverConfig;
use super::ejection::EjectionConfig;
use super::health::HealthConfig;
use super::hedge::HedgeConfig;
use super::queue::QueueConfig;
use super::select::{self, SelectConfig};
use super::spawn::SpawnConfig;
use super::sticky::StickyConfig;
use crate::yaml::units::Duration;

/// `pools: { blur: {…} }`: `backends` that run elsewhere, written here or to be discovered, and workers to `spawn` here.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct PoolConfig {
    #[serde(deserialize_with = "select::bare_or_with_settings")]
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

/// Reads a duration where none at all would mean to do something without a pause, or at once.
pub(super) fn some_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let duration = Duration::deserialize(deserializer)?;
    if duration.get().is_zero() {
        return Err(D::Error::custom("has to be longer than 0s"));
    }
    Ok(duration)
}
