//! Asks each backend of a pool again and again, and believes a change after a few equal answers in a row.
//!
//! Each backend has its own loop, not a round for all as in Pingora's `HealthRegistry`: a hung backend then delays
//! nobody else's check, the very first answer counts at once, and an answer may say `draining` or `busy` besides
//! well and unwell. A hung backend is out after at most `fall × interval + timeout`.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use super::check::{Check, CheckResult};
use super::config::HealthConfig;
use crate::pool::clock::Moment;
use crate::pool::members::backend::{Backend, Health};
use crate::pool::members::roster::Roster;
use crate::pool::random::Random;
use crate::pool::stop::stopped;

/// Checks all of the pool's backends, those that join later too, until told to stop.
pub async fn run(roster: &Arc<Roster>, check: &Arc<Check>, stop: watch::Receiver<bool>) {
    let mut regrouped = roster.regrouped();
    let mut checks = Checks::default();
    let stopped = stopped(stop);
    tokio::pin!(stopped);
    loop {
        checks.cover(roster, check);
        tokio::select! {
            Ok(()) = regrouped.changed() => {}
            () = &mut stopped => break,
        }
    }
    checks.tasks.shutdown().await;
}

/// One task a backend.
#[derive(Default)]
struct Checks {
    tasks: JoinSet<()>,
    watched: Vec<(Arc<Backend>, AbortHandle)>,
}

impl Checks {
    /// Begins with those who joined the pool, and ends with those who left it.
    fn cover(&mut self, roster: &Arc<Roster>, check: &Arc<Check>) {
        let members = roster.members();
        self.watched.retain(|(backend, task)| {
            let stays = members.iter().any(|member| Arc::ptr_eq(member, backend));
            if !stays {
                task.abort();
            }
            stays
        });
        for member in members.iter() {
            if !self.watched.iter().any(|(backend, _)| Arc::ptr_eq(backend, member)) {
                let task = watch_over(Arc::clone(roster), Arc::clone(check), Arc::clone(member));
                self.watched.push((Arc::clone(member), self.tasks.spawn(task)));
            }
        }
        while self.tasks.try_join_next().is_some() {}
    }
}

async fn watch_over(roster: Arc<Roster>, check: Arc<Check>, backend: Arc<Backend>) {
    let config = check.config();
    let random = Random::default();
    let mut streak = Streak::default();
    loop {
        let began = Instant::now();
        cut_unheard(&roster, &backend);
        if backend.is_running() {
            let (deaths, asked) = (backend.deaths(), Moment::now());
            let result = check.run(&backend).await;
            // What a process said that has died since is no news of its successor.
            if backend.is_running() && backend.deaths() == deaths {
                if let CheckResult::Well = result {
                    if backend.set_well(asked) {
                        tracing::info!(pool = roster.pool(), backend = backend.name(), "reached again");
                        roster.tell_change();
                    }
                    roster.tell_passed();
                }
                streak.count(&result);
                apply(&roster, &backend, &result, &streak, config);
            }
        }
        let shortened = 1.0 - config.jitter.get() * random.fraction();
        let interval = match backend.health() {
            // A worker that loads its models is wanted as soon as it is ready.
            Health::Unknown => WHILE_UNKNOWN.min(config.interval.get()),
            Health::Up | Health::Down => config.interval.get().mul_f64(shortened),
        };
        tokio::time::sleep_until(began + interval).await;
    }
}

fn cut_unheard(roster: &Roster, backend: &Backend) {
    let requests = backend.cut_unheard();
    if requests > 0 {
        let (pool, name) = (roster.pool(), backend.name());
        tracing::warn!(pool, backend = name, requests, "nothing sent to it is acknowledged");
    }
}

const WHILE_UNKNOWN: std::time::Duration = std::time::Duration::from_millis(50);

/// Equal answers in a row.
#[derive(Debug, Default)]
struct Streak {
    good: u32,
    bad: u32,
}

impl Streak {
    fn count(&mut self, result: &CheckResult) {
        let (good, bad) = match result {
            CheckResult::Well => (self.good.saturating_add(1), 0),
            CheckResult::Unwell(_) => (0, self.bad.saturating_add(1)),
            CheckResult::Draining | CheckResult::Busy | CheckResult::Unasked => return,
        };
        *self = Self { good, bad };
    }
}

/// Moves the backend to the state that the answer calls for, and tells of it if that is another one.
fn apply(roster: &Roster, backend: &Backend, result: &CheckResult, streak: &Streak, config: &HealthConfig) {
    let health = health_after(result, backend, streak, config);
    let health_changed = backend.set_health(health) != health;
    let draining_changed = match result {
        CheckResult::Draining => !backend.set_draining(true),
        CheckResult::Well => backend.set_draining(false),
        CheckResult::Busy | CheckResult::Unasked | CheckResult::Unwell(_) => false,
    };
    if !health_changed && !draining_changed {
        return;
    }
    let (pool, name) = (roster.pool(), backend.name());
    match result {
        CheckResult::Unwell(reason) => {
            backend.troubles().begin(reason.cause(), reason.to_string());
            tracing::warn!(pool, backend = name, "down: {reason}");
        }
        CheckResult::Draining => tracing::info!(pool, backend = name, "draining"),
        CheckResult::Well | CheckResult::Busy | CheckResult::Unasked => tracing::info!(pool, backend = name, "up"),
    }
    roster.tell_change();
}

/// The first answer of all counts alone; but a worker of ours that is not ready yet is starting, not down.
fn health_after(result: &CheckResult, backend: &Backend, streak: &Streak, config: &HealthConfig) -> Health {
    match (result, backend.health()) {
        (CheckResult::Unasked, known) => known,
        (CheckResult::Well, Health::Down) if streak.good < config.rise.get() => Health::Down,
        (CheckResult::Well, _) => Health::Up,
        (CheckResult::Unwell(_), Health::Up) if streak.bad < config.fall.get() => Health::Up,
        (CheckResult::Unwell(_), Health::Unknown) if backend.is_starting() => Health::Unknown,
        (CheckResult::Unwell(_), _) => Health::Down,
        (CheckResult::Draining | CheckResult::Busy, Health::Unknown) => Health::Up,
        (CheckResult::Draining | CheckResult::Busy, known) => known,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_neither_raises_nor_fells() {
        let mut streak = Streak::default();
        streak.count(&CheckResult::Well);
        streak.count(&CheckResult::Busy);
        streak.count(&CheckResult::Well);
        assert_eq!((streak.good, streak.bad), (2, 0));
    }
}
