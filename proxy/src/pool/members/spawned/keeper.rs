//! Keeps one worker running: starts it, takes it out of rotation the moment it dies, starts it again after a wait.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::backoff::Backoff;
use super::config::SpawnConfig;
use super::process::Process;
use super::worker::{Command, Worker};
use crate::pool::members::backend::{Backend, Cause, Health};
use crate::pool::stop::stopped;

pub struct Keeper {
    /// For the log.
    pub pool: String,
    pub worker: Arc<Worker>,
    pub command: Command,
    pub config: SpawnConfig,
    pub changed: watch::Sender<()>,
}

impl Keeper {
    pub async fn run(self, stop: watch::Receiver<bool>) {
        let (pool, worker) = (self.pool.as_str(), self.worker.name());
        let stopped = stopped(stop);
        tokio::pin!(stopped);
        let mut backoff = Backoff::new(self.config.backoff.get(), self.config.longest_backoff.get());
        loop {
            let died = match self.start().await {
                Ok(mut process) => tokio::select! {
                    status = process.wait() => status,
                    () = hangs(&self.worker.backend, self.config.hang_timeout.get()) => process.kill().await,
                    never = self.lasts() => match never {},
                    () = &mut stopped => return self.stop(process).await,
                },
                Err(error) => format!("cannot be started: {error}"),
            };
            self.take_out(&died);
            let wait = backoff.next_wait();
            self.worker.backend.set_degraded(backoff.is_loop());
            if backoff.is_loop() {
                tracing::error!(pool, worker, "{died}; it keeps dying, next start in {wait:?}");
            } else {
                tracing::warn!(pool, worker, "{died}; next start in {wait:?}");
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = turn_away(&self.worker.listener) => {}
                () = &mut stopped => return,
            }
        }
    }

    async fn start(&self) -> io::Result<Process> {
        let worker = &self.worker;
        let process = Process::start(&self.command, &worker.listener, &self.pool, worker.name()).await?;
        worker.backend.set_running();
        tracing::info!(pool = self.pool, worker = worker.name(), pid = process.id(), "started");
        self.changed.send_replace(());
        Ok(process)
    }

    /// A worker that has run for `longest_backoff` is out of its crash loop, if it was in one.
    async fn lasts(&self) -> Infallible {
        tokio::time::sleep(self.config.longest_backoff.get()).await;
        self.worker.backend.set_degraded(false);
        self.changed.send_replace(());
        pending().await
    }

    async fn stop(&self, process: Process) {
        self.worker.backend.set_stopped(false);
        process.stop(self.config.stop_timeout.get()).await;
        tracing::info!(pool = self.pool, worker = self.worker.name(), "stopped");
    }

    fn take_out(&self, died: &str) {
        self.worker.backend.troubles().begin(Cause::Died, died.to_owned());
        self.worker.backend.set_stopped(true);
        self.worker.backend.set_health(Health::Unknown);
        self.changed.send_replace(());
    }
}

/// Returns when the backend has been down by its checks for so long without a break.
async fn hangs(backend: &Backend, limit: Duration) {
    let mut changes = backend.health_changes();
    loop {
        tokio::select! {
            _ = changes.changed() => {}
            () = tokio::time::sleep(limit), if backend.health() == Health::Down => return,
        }
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
        return pending().await;
    };
    loop {
        if let Ok((connection, _)) = listener.accept().await {
            // A reset, which says "never served" where an orderly end could mean an empty answer.
            let _ = connection.set_zero_linger();
        } else {
            // Out of file descriptors, most likely.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
