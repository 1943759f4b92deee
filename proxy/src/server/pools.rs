//! The pools that run: their checks and workers, from the state that first has them until no request needs them.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::pool::Pool;
use crate::state::State;

#[derive(Default)]
pub struct RunningPools(Vec<RunningPool>);

/// A pool's checks and workers.
struct RunningPool {
    pool: Arc<Pool>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl RunningPools {
    /// Starts the pools that do not run yet, and waits for their first round of checks.
    pub async fn start(&mut self, state: &State) {
        let mut rounds = JoinSet::new();
        for pool in state.pools.values() {
            if self.0.iter().any(|running| Arc::ptr_eq(&running.pool, pool)) {
                continue;
            }
            let (stop, stopped) = watch::channel(false);
            self.0.push(RunningPool {
                pool: Arc::clone(pool),
                stop,
                task: tokio::spawn(Arc::clone(pool).run(stopped)),
            });
            let pool = Arc::clone(pool);
            rounds.spawn(async move { pool.first_round().await });
        }
        rounds.join_all().await;
    }

    /// Stops those that the new state has no use for, once no request is left that began under the old one.
    pub fn retire(&mut self, old: Arc<State>, new: &State) {
        let used = |running: &RunningPool| new.pools.values().any(|pool| Arc::ptr_eq(pool, &running.pool));
        let (kept, retired) = std::mem::take(&mut self.0).into_iter().partition(used);
        self.0 = kept;
        let out_of_use = old.out_of_use();
        drop(old);
        tokio::spawn(async move {
            out_of_use.await;
            Self(retired).stop().await;
        });
    }

    /// Returns when their workers have ended.
    pub async fn stop(self) {
        for running in &self.0 {
            running.stop.send_replace(true);
        }
        for running in self.0 {
            // A pool that panicked has said so.
            let _ = running.task.await;
        }
    }
}
