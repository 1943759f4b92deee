//! What is configured of workers that run here.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::yaml::units::{Duration, some_time};

/// `spawn: { workers: 2 }`
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct SpawnConfig {
    pub workers: u32,
    /// Program and arguments of a worker that serves HTTP on the socket it finds as its standard input; this program's
    /// own `worker` unless given. That one ends with this program however it ends; another command does so too, even when
    /// this program is killed, if it is started through `setpriv --pdeathsig KILL`.
    pub command: Vec<String>,
    /// Further arguments, for instance `[--detail, fast]`.
    pub args: Vec<String>,
    /// Further environment variables.
    pub env: BTreeMap<String, String>,
    /// Requests in flight at a time on each worker; unlimited unless given.
    pub max_conns: Option<u32>,
    /// How long the listeners wait, at most, until each worker has passed its first check.
    pub start_timeout: Duration,
    /// How long a worker may take to end after SIGTERM.
    pub stop_timeout: Duration,
    /// A worker that has been down by its checks for so long without a break is killed and started again.
    #[serde(deserialize_with = "some_time")]
    pub hang_timeout: Duration,
    /// Wait before the first restart; doubled for each further one, up to `longest_backoff`. A worker that ran for
    /// `longest_backoff` starts anew.
    #[serde(deserialize_with = "some_time")]
    pub backoff: Duration,
    #[serde(deserialize_with = "some_time")]
    pub longest_backoff: Duration,
}

impl Default for SpawnConfig {
    fn default() -> Self {
        Self {
            workers: 2,
            command: Vec::new(),
            args: Vec::new(),
            env: BTreeMap::new(),
            max_conns: None,
            start_timeout: Duration::from_secs(30),
            stop_timeout: Duration::from_secs(10),
            hang_timeout: Duration::from_secs(60),
            backoff: Duration::from_millis(100),
            longest_backoff: Duration::from_secs(10),
        }
    }
}

impl SpawnConfig {
    /// Whether the workers are this program's own, and not another one's.
    pub fn is_built_in(&self) -> bool {
        self.command.is_empty()
    }
}
