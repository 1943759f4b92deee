//! The admin listener: liveness, readiness, metrics, pools.

use std::net::SocketAddr;

use serde::Deserialize;

/// `admin: { address: 127.0.0.1:8081 }`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminConfig {
    pub address: SocketAddr,
}
