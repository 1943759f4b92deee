//! Local worker processes. Each gets a listening socket, bound here, as its standard input: no port is raced for, and
//! the address outlives a restart. One that dies is out of rotation at once and is started again, ever more slowly if it
//! keeps dying.

mod backoff;
mod process;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::backoff::Backoff;
use self::process::Process;
use super::Pool;
use super::backend::{Backend, BackendConfig, Health};
use crate::units::Duration;

/// `spawn: { workers: 2 }`
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct SpawnConfig {
    pub workers: u32,
    /// Program and arguments of a worker that serves HTTP on the socket it finds as its standard input; this program's
    /// own `worker` unless given.
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
    /// Wait before the first restart; doubled for each further one, up to `longest_backoff`. A worker that ran for
    /// `longest_backoff` starts anew.
    pub backoff: Duration,
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
            backoff: Duration::from_millis(100),
            longest_backoff: Duration::from_secs(10),
        }
    }
}

/// A pool's own workers.
pub struct Workers {
    config: SpawnConfig,
    command: Command,
    workers: Vec<Arc<Worker>>,
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
        let command = Command::new(config)?;
        let workers = (1..=config.workers).map(|number| Worker::bind(number, config).map(Arc::new));
        Ok(Self {
            command,
            workers: workers.collect::<Result<_, _>>()?,
            config: config.clone(),
        })
    }

    pub fn backends(&self) -> impl Iterator<Item = Arc<Backend>> {
        self.workers.iter().map(|worker| Arc::clone(&worker.backend))
    }

    /// Keeps the workers running until told to stop, then ends them.
    pub async fn run(&self, pool: &Arc<Pool>, stop: watch::Receiver<bool>) {
        let mut running = JoinSet::new();
        for worker in &self.workers {
            let keeper = Keeper {
                pool: Arc::clone(pool),
                worker: Arc::clone(worker),
                command: self.command.clone(),
                config: self.config.clone(),
            };
            running.spawn(keeper.run(stop.clone()));
        }
        running.join_all().await;
    }
}

impl Command {
    fn new(config: &SpawnConfig) -> Result<Self, SpawnError> {
        let (program, mut args) = match config.command.split_first() {
            Some((program, args)) => (program.into(), args.to_vec()),
            None if cfg!(feature = "worker") => (
                std::env::current_exe().map_err(SpawnError::OwnProgram)?,
                BUILT_IN.map(str::to_owned).to_vec(),
            ),
            None => return Err(SpawnError::NoWorkerInside),
        };
        args.extend_from_slice(&config.args);
        Ok(Self {
            program,
            args,
            env: config.env.clone(),
        })
    }
}

const BUILT_IN: [&str; 4] = ["worker", "--listen", "stdin", "--die-with-parent"];

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

/// Keeps one worker running.
struct Keeper {
    pool: Arc<Pool>,
    worker: Arc<Worker>,
    command: Command,
    config: SpawnConfig,
}

impl Keeper {
    async fn run(self, stop: watch::Receiver<bool>) {
        let stopped = super::stopped(stop);
        tokio::pin!(stopped);
        let mut backoff = Backoff::new(self.config.backoff.get(), self.config.longest_backoff.get());
        loop {
            let died = match self.start().await {
                Ok(mut process) => tokio::select! {
                    status = process.wait() => status,
                    () = &mut stopped => return self.stop(process).await,
                },
                Err(error) => format!("cannot be started: {error}"),
            };
            self.took_out();
            let wait = backoff.next();
            if backoff.is_loop() {
                tracing::error!(
                    pool = self.pool.name(),
                    worker = self.worker.name(),
                    "{died}; it keeps dying, next start in {wait:?}"
                );
            } else {
                tracing::warn!(
                    pool = self.pool.name(),
                    worker = self.worker.name(),
                    "{died}; next start in {wait:?}"
                );
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = turn_away(&self.worker.listener) => {}
                () = &mut stopped => return,
            }
        }
    }

    async fn start(&self) -> io::Result<Process> {
        let process = Process::start(
            &self.command,
            &self.worker.listener,
            self.pool.name(),
            self.worker.name(),
        )
        .await?;
        let health = if self.pool.has_checks() {
            Health::Unknown
        } else {
            Health::Up
        };
        self.worker.backend.set_health(health);
        self.worker.backend.set_running();
        tracing::info!(
            pool = self.pool.name(),
            worker = self.worker.name(),
            pid = process.id(),
            "started"
        );
        self.pool.noticed_change();
        Ok(process)
    }

    async fn stop(&self, process: Process) {
        self.worker.backend.set_stopped(false);
        process.stop(self.config.stop_timeout.get()).await;
        tracing::info!(pool = self.pool.name(), worker = self.worker.name(), "stopped");
    }

    fn took_out(&self) {
        self.worker.backend.set_stopped(true);
        self.worker.backend.set_health(Health::Unknown);
        self.pool.noticed_change();
    }
}

/// Resets whoever connects to a worker that is dead. The socket stays open, so the kernel goes on accepting for it; left
/// alone, a request on its way there would hang until the restart instead of being retried elsewhere at once.
async fn turn_away(listener: &TcpListener) {
    let taken = listener.try_clone().and_then(|listener| {
        // Shared with the worker's copy; `Process::start` sets it back.
        listener.set_nonblocking(true)?;
        tokio::net::TcpListener::from_std(listener)
    });
    let Ok(listener) = taken else {
        return std::future::pending().await;
    };
    loop {
        if let Ok((connection, _)) = listener.accept().await {
            // A reset, which says "never served" where an orderly end could mean an empty answer.
            let _ = connection.set_zero_linger();
        } else {
            // Out of file descriptors, most likely.
            tokio::time::sleep(Duration::from_millis(10).get()).await;
        }
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
