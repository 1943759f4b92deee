//! What is configured of workers that run here.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::{env, thread};

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
    /// Requests in flight at a time on each worker. Unless given, this program's own take as many as they work on at a time
    /// and let wait, so that further ones wait in front of them all; other programs take any number.
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

    /// Of each of this program's own workers; none of another program's.
    pub fn size(&self) -> Option<WorkerSize> {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get) as u32;
        self.is_built_in().then(|| WorkerSize {
            parallel: self
                .setting("--workers", WorkerSize::PARALLEL)
                .unwrap_or_else(|| cores.div_ceil(self.workers.max(1))),
            waiting: self.setting("--queue", WorkerSize::WAITING).unwrap_or(WAITING),
        })
    }

    /// What a worker is told by its arguments, or else by its environment.
    fn setting(&self, flag: &str, variable: &str) -> Option<u32> {
        let written = self
            .args
            .iter()
            .enumerate()
            .find_map(|(place, arg)| match arg.strip_prefix(flag)? {
                "" => self.args.get(place + 1).cloned(),
                rest => rest.strip_prefix('=').map(str::to_owned),
            });
        let set = || self.env.get(variable).cloned().or_else(|| env::var(variable).ok());
        written.or_else(set)?.parse().ok()
    }
}

/// How much one worker takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerSize {
    /// Requests that it works on at a time: its share of the cores, unless it is told otherwise.
    pub parallel: u32,
    /// Further ones that may wait there.
    pub waiting: u32,
}

impl WorkerSize {
    /// By which variables a worker is told.
    pub const PARALLEL: &str = "BLUR_WORKERS";
    pub const WAITING: &str = "BLUR_QUEUE";
}

/// Enough that no worker idles while the next request is on its way.
const WAITING: u32 = 16;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn size(yaml: &str) -> Option<(u32, u32)> {
        let config: SpawnConfig = serde_yaml::from_str(yaml).unwrap();
        config.size().map(|size| (size.parallel, size.waiting))
    }

    #[test]
    fn a_worker_is_as_large_as_it_is_told() {
        assert_eq!(size("{ args: [--workers, '3', --queue=5] }"), Some((3, 5)));
        assert_eq!(size("{ env: { BLUR_WORKERS: '4', BLUR_QUEUE: '0' } }"), Some((4, 0)));
        assert_eq!(
            size("{ args: [--workers=2], env: { BLUR_WORKERS: '4' } }"),
            Some((2, 16))
        );
        assert_eq!(size("{ command: [gunicorn] }"), None);
    }

    #[test]
    fn the_cores_are_shared_out() {
        assert_eq!(size("{ workers: 10000 }").unwrap().0, 1);
        let cores = thread::available_parallelism().unwrap().get() as u32;
        assert_eq!(size("{ workers: 1 }").unwrap().0, cores);
    }
}
