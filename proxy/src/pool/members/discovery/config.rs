//! Where the configuration says that further backends are to be found.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::dns::DnsConfig;

/// One entry of `discover`: `{ dns: { name: worker.internal, port: 5000 } }`, `{ file: backends.yaml }`
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum DiscoverConfig {
    /// The records of a name.
    Dns(DnsConfig),
    /// A YAML file that holds a list as `backends` does.
    File(PathBuf),
}

impl DiscoverConfig {
    /// How long an answer may take.
    pub fn patience(&self) -> Duration {
        match self {
            Self::Dns(config) => config.timeout.get(),
            Self::File(_) => Duration::ZERO,
        }
    }
}

impl fmt::Display for DiscoverConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(config) => write!(f, "dns {} {}", config.r#type, config.name),
            Self::File(path) => write!(f, "file {}", path.display()),
        }
    }
}
