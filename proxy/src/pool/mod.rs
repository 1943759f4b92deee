//! A pool: the backends that serve the same requests, and what is known of each.

pub mod health;
pub mod select;
pub mod spawn;

use std::net::SocketAddr;

use serde::Deserialize;
use serde_yaml::with::singleton_map_recursive;

use self::health::HealthConfig;
use self::select::SelectConfig;
use self::spawn::SpawnConfig;
use crate::units::Duration;

/// `pools: { blur: {…} }`: either `backends` that run elsewhere or workers to `spawn` here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PoolConfig {
    #[serde(with = "singleton_map_recursive")]
    pub select: SelectConfig,
    pub backends: Vec<BackendConfig>,
    pub spawn: Option<SpawnConfig>,
    pub health: Option<HealthConfig>,
    pub timeouts: TimeoutsConfig,
}

/// One backend, with the meaning and defaults of Nginx's `server` directive.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackendConfig {
    pub address: SocketAddr,
    /// What the backend is known by; its address unless given.
    pub name: Option<String>,
    /// Its share of the requests beside the others'; 0 means drained.
    #[serde(default = "one")]
    pub weight: u32,
    /// So many failures within `fail_timeout` take the backend out for `fail_timeout`; 0 never does.
    #[serde(default = "one")]
    pub max_fails: u32,
    #[serde(default = "ten_seconds")]
    pub fail_timeout: Duration,
    /// Serves only when no other backend can.
    #[serde(default)]
    pub backup: bool,
    /// Requests in flight at a time; unlimited unless given.
    pub max_conns: Option<u32>,
}

impl BackendConfig {
    /// What the backend is known by, in logs, metrics and the admin's commands.
    pub fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.address.to_string())
    }
}

fn one() -> u32 {
    1
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

/// How long each step with a backend may take.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimeoutsConfig {
    pub connect: Duration,
    /// Between two writes of the request.
    pub send: Duration,
    /// Between two reads of the response.
    pub read: Duration,
    /// How long an unused connection is kept.
    pub idle: Duration,
}

impl Default for TimeoutsConfig {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            send: Duration::from_secs(10),
            read: Duration::from_secs(60),
            idle: Duration::from_secs(30),
        }
    }
}
