//! Active checks: asks each backend how it is, and believes a change after a few equal answers in a row.
//!
//! Each backend has its own loop, not a round for all as in Pingora's `HealthRegistry`: a hung backend then delays
//! nobody else's check, the very first answer counts at once, and an answer may say `draining` or `busy` besides
//! well and unwell. A hung backend is out after at most `fall × interval + timeout`.

mod check;
mod expect;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

pub use self::check::{Check, Verdict};
use self::expect::ExpectConfig;
use super::Pool;
use super::backend::{Backend, Health};
use super::clock::Moment;
use super::random::Random;
use crate::yaml::units::{ByteSize, Duration, Ratio};

/// `health: { path: /health, … }`
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct HealthConfig {
    /// Path and query.
    #[serde(deserialize_with = "check::path")]
    pub path: String,
    /// The `Host` to ask for; the backend's address unless given.
    pub host: Option<String>,
    /// Where the check connects to, if not to the port that requests go to.
    pub port: Option<u16>,
    /// Sent along.
    #[serde(deserialize_with = "check::headers")]
    pub headers: BTreeMap<String, String>,
    /// From the start of one check to the start of the next.
    #[serde(deserialize_with = "super::some_time")]
    pub interval: Duration,
    /// By how much an interval may be shorter, at random, so that many proxies do not check in step.
    pub jitter: Ratio,
    /// For a whole check, from connecting to the last byte of the answer.
    #[serde(deserialize_with = "super::some_time")]
    pub timeout: Duration,
    /// Good answers in a row until a backend that was down is up.
    pub rise: NonZeroU32,
    /// Bad answers in a row until a backend that was up is down.
    pub fall: NonZeroU32,
    pub expect: ExpectConfig,
    /// An answer longer than this is a bad one.
    pub max_body: ByteSize,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            path: "/health".to_owned(),
            host: None,
            port: None,
            headers: BTreeMap::new(),
            interval: Duration::from_secs(1),
            jitter: Ratio::from_percent(10),
            timeout: Duration::from_millis(800),
            rise: NonZeroU32::MIN,
            fall: NonZeroU32::MIN.saturating_add(1),
            expect: ExpectConfig::default(),
            max_body: ByteSize::from_kib(64),
        }
    }
}

impl HealthConfig {
    /// For a spawned worker of which nothing else is known, so that one that hangs is noticed. Very patient, since a worker
    /// that does one thing at a time answers only behind all that wait for it, and one that is down is ended.
    pub fn of_any_worker() -> Self {
        Self {
            path: "/".to_owned(),
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(5),
            fall: NonZeroU32::MIN.saturating_add(11),
            expect: ExpectConfig::anything(),
            ..Self::default()
        }
    }

    /// For workers of this program's own, where nothing else is said: without checks nobody would notice one that hangs.
    pub fn of_a_blur_worker() -> Self {
        Self {
            expect: ExpectConfig::of_a_blur_worker(),
            ..Self::default()
        }
    }
}

/// Checks all of the pool's backends, those that join later too, until told to stop.
pub async fn run(pool: &Arc<Pool>, check: &Arc<Check>, stop: watch::Receiver<bool>) {
    let mut regrouped = pool.regrouped.subscribe();
    let mut checks = Checks::default();
    let stopped = super::stopped(stop);
    tokio::pin!(stopped);
    loop {
        checks.cover(pool, check);
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
    fn cover(&mut self, pool: &Arc<Pool>, check: &Arc<Check>) {
        let members = pool.backends();
        self.watched.retain(|(backend, task)| {
            let stays = members.iter().any(|member| Arc::ptr_eq(member, backend));
            if !stays {
                task.abort();
            }
            stays
        });
        for member in members {
            if !self.watched.iter().any(|(backend, _)| Arc::ptr_eq(backend, &member)) {
                let task = watch_over(Arc::clone(pool), Arc::clone(check), Arc::clone(&member));
                self.watched.push((member, self.tasks.spawn(task)));
            }
        }
        while self.tasks.try_join_next().is_some() {}
    }
}

async fn watch_over(pool: Arc<Pool>, check: Arc<Check>, backend: Arc<Backend>) {
    let config = check.config();
    let random = Random::default();
    let mut streak = Streak::default();
    loop {
        let began = Instant::now();
        if backend.is_running() {
            let (deaths, asked) = (backend.deaths(), Moment::now());
            let verdict = check.run(backend.address()).await;
            // What a process said that has died since is no news of its successor.
            if backend.is_running() && backend.deaths() == deaths {
                if let Verdict::Well = verdict {
                    backend.set_well(asked);
                }
                streak.count(&verdict);
                apply(&pool, &backend, &verdict, &streak, config);
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

const WHILE_UNKNOWN: std::time::Duration = std::time::Duration::from_millis(50);

/// Equal answers in a row.
#[derive(Debug, Default)]
struct Streak {
    good: u32,
    bad: u32,
}

impl Streak {
    fn count(&mut self, verdict: &Verdict) {
        let (good, bad) = match verdict {
            Verdict::Well => (self.good.saturating_add(1), 0),
            Verdict::Unwell(_) => (0, self.bad.saturating_add(1)),
            Verdict::Draining | Verdict::Busy => return,
        };
        *self = Self { good, bad };
    }
}

/// Moves the backend to the state that the answer calls for, and tells of it if that is another one.
fn apply(pool: &Arc<Pool>, backend: &Backend, verdict: &Verdict, streak: &Streak, config: &HealthConfig) {
    let health = health_after(verdict, backend, streak, config);
    let health_changed = backend.set_health(health) != health;
    let draining_changed = match verdict {
        Verdict::Draining => !backend.set_draining(true),
        Verdict::Well => backend.set_draining(false),
        Verdict::Busy | Verdict::Unwell(_) => false,
    };
    if !health_changed && !draining_changed {
        return;
    }
    let (pool_name, name) = (pool.name(), backend.name());
    match verdict {
        Verdict::Unwell(reason) => tracing::warn!(pool = pool_name, backend = name, "down: {reason}"),
        Verdict::Draining => tracing::info!(pool = pool_name, backend = name, "draining"),
        Verdict::Well | Verdict::Busy => tracing::info!(pool = pool_name, backend = name, "up"),
    }
    pool.noticed_change();
}

/// The first answer of all counts alone; but a worker of ours that is not ready yet is starting, not down.
fn health_after(verdict: &Verdict, backend: &Backend, streak: &Streak, config: &HealthConfig) -> Health {
    match (verdict, backend.health()) {
        (Verdict::Well, Health::Down) if streak.good < config.rise.get() => Health::Down,
        (Verdict::Well, _) => Health::Up,
        (Verdict::Unwell(_), Health::Up) if streak.bad < config.fall.get() => Health::Up,
        (Verdict::Unwell(_), Health::Unknown) if backend.is_starting() => Health::Unknown,
        (Verdict::Unwell(_), _) => Health::Down,
        (Verdict::Draining | Verdict::Busy, Health::Unknown) => Health::Up,
        (Verdict::Draining | Verdict::Busy, known) => known,
    }
}

#[cfg(test)]
mod tests;
