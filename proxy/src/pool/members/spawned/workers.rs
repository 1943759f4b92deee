//! The workers of one pool. They run while a pool does; a pool and its successor after a reload share them.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::config::SpawnConfig;
use super::keeper::Keeper;
use super::worker::{Command, SpawnError, Worker};
use crate::pool::members::backend::Backend;
use crate::pool::stop::stopped;

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
        let stopped = stopped(stop);
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
