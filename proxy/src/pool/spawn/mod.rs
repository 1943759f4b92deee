//! Local worker processes. Each gets a listening socket, bound here, as its standard input: no port is raced for, and
//! the address outlives a restart. One that dies is out of rotation at once and is started again, ever more slowly if it
//! keeps dying.

mod backoff;
mod keeper;
mod output;
mod process;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::keeper::Keeper;
use super::backend::{Backend, BackendConfig};
use crate::program;
use crate::yaml::units::Duration;

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
    #[serde(deserialize_with = "super::some_time")]
    pub hang_timeout: Duration,
    /// Wait before the first restart; doubled for each further one, up to `longest_backoff`. A worker that ran for
    /// `longest_backoff` starts anew.
    #[serde(deserialize_with = "super::some_time")]
    pub backoff: Duration,
    #[serde(deserialize_with = "super::some_time")]
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

/// A pool's own workers. They run while a pool does; a pool and its successor after a reload share them.
pub struct Workers {
    config: SpawnConfig,
    command: Command,
    workers: Vec<Arc<Worker>>,
    /// Told whenever a worker has started or died.
    changed: watch::Sender<()>,
    /// Contended only when pools start and stop.
    running: Mutex<Running>,
}

/// The tasks that keep the workers running, and how many pools want them to.
struct Running {
    pools: usize,
    keepers: JoinSet<()>,
    stop: watch::Sender<bool>,
}

/// How a worker is started.
#[derive(Clone, Debug)]
struct Command {
    program: PathBuf,
    args: Vec<String>,
    env: BTreeMap<String, String>,
}

struct Worker {
    listener: TcpListener,
    backend: Arc<Backend>,
}

impl Workers {
    /// Binds a loopback socket for each worker. Starts nothing yet.
    pub fn bind(config: &SpawnConfig) -> Result<Self, SpawnError> {
        let workers = (1..=config.workers).map(|number| Worker::bind(number, config).map(Arc::new));
        Ok(Self {
            command: Command::new(config)?,
            workers: workers.collect::<Result<_, _>>()?,
            config: config.clone(),
            changed: watch::Sender::new(()),
            running: Mutex::new(Running {
                pools: 0,
                keepers: JoinSet::new(),
                stop: watch::Sender::new(false),
            }),
        })
    }

    pub fn backends(&self) -> impl Iterator<Item = Arc<Backend>> {
        self.workers.iter().map(|worker| Arc::clone(&worker.backend))
    }

    /// Starts the workers unless another pool has. They run until no pool wants them any more.
    pub fn want(&self, pool: &str) -> Wanted<'_> {
        let changed = self.changed.subscribe();
        let mut running = self.running.lock();
        running.pools += 1;
        if running.pools == 1 {
            self.start(pool, &mut running);
        }
        Wanted { workers: self, changed }
    }

    fn start(&self, pool: &str, running: &mut Running) {
        running.stop = watch::Sender::new(false);
        for worker in &self.workers {
            let keeper = Keeper {
                pool: pool.to_owned(),
                worker: Arc::clone(worker),
                command: self.command.clone(),
                config: self.config.clone(),
                changed: self.changed.clone(),
            };
            let stop = running.stop.subscribe();
            running.keepers.spawn(keeper.run(stop));
        }
    }

    /// Tells the keepers to stop if this was the last pool, and gives them back to be waited for.
    fn release(&self) -> Option<JoinSet<()>> {
        let mut running = self.running.lock();
        running.pools -= 1;
        if running.pools > 0 {
            return None;
        }
        running.stop.send_replace(true);
        Some(std::mem::take(&mut running.keepers))
    }
}

/// A pool's wish for the workers.
pub struct Wanted<'a> {
    workers: &'a Workers,
    changed: watch::Receiver<()>,
}

impl Wanted<'_> {
    /// Waits until told to stop, then ends the workers unless another pool wants them. `on_change` hears of every start
    /// and every death.
    pub async fn run(mut self, stop: watch::Receiver<bool>, on_change: impl Fn()) {
        let stopped = super::stopped(stop);
        tokio::pin!(stopped);
        loop {
            tokio::select! {
                Ok(()) = self.changed.changed() => on_change(),
                () = &mut stopped => break,
            }
        }
        let Some(mut keepers) = self.workers.release() else {
            return;
        };
        while keepers.join_next().await.is_some() {}
    }
}

impl Command {
    fn new(config: &SpawnConfig) -> Result<Self, SpawnError> {
        let (program, mut args, mut env) = match config.command.split_first() {
            Some((program, args)) => (program.into(), args.to_vec(), BTreeMap::new()),
            None if cfg!(feature = "worker") => (
                program::path().map_err(SpawnError::OwnProgram)?.to_owned(),
                BUILT_IN.map(str::to_owned).to_vec(),
                BTreeMap::from([LOG_AS_JSON.map(str::to_owned).into()]),
            ),
            None => return Err(SpawnError::NoWorkerInside),
        };
        args.extend_from_slice(&config.args);
        env.extend(config.env.clone());
        Ok(Self { program, args, env })
    }
}

const BUILT_IN: [&str; 4] = ["worker", "--listen", "stdin", "--die-with-parent"];

/// So that [`output`] can tell a line's level from its text.
const LOG_AS_JSON: [&str; 2] = ["BLUR_LOG_FORMAT", "json"];

impl Worker {
    fn bind(number: u32, config: &SpawnConfig) -> Result<Self, SpawnError> {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).map_err(SpawnError::Bind)?;
        let address = listener.local_addr().map_err(SpawnError::Bind)?;
        let config = BackendConfig {
            name: Some(format!("worker-{number}")),
            max_conns: config.max_conns,
            ..BackendConfig::at(address)
        };
        Ok(Self {
            listener,
            backend: Arc::new(Backend::spawned(&config, address)),
        })
    }

    fn name(&self) -> &str {
        self.backend.name()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    #[error("cannot bind a socket for a worker: {0}")]
    Bind(#[source] io::Error),
    #[error("cannot find this program's own file to start workers from: {0}")]
    OwnProgram(#[source] io::Error),
    #[error("this program was built without a worker inside: give spawn a command")]
    NoWorkerInside,
}

#[cfg(test)]
mod tests;
