//! The configuration file as a whole: composes the parts' structs.

mod asked;
pub mod check;
mod cross_references;
mod effects;
pub mod example;
mod load;
mod own_answer;
pub mod rehearsal;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

pub use self::example::ExampleConfig;
pub use self::load::{Source, announce, doubts, load, load_what_can_be_read, mistake, parse};
use crate::body::{AnswersConfig, BodyConfig};
use crate::client::admin::AdminConfig;
use crate::client::listener::ListenerConfig;
use crate::keepalived::KeepalivedConfig;
use crate::observe::access_log::{AccessLogConfig, Destination};
use crate::observe::traces::TracesConfig;
use crate::pool::PoolConfig;
use crate::pool::members::discovery::DiscoverConfig;
use crate::request::pages::ProblemsConfig;
use crate::request::tables::Tables;
use crate::route::RouteConfig;
use crate::upstream::retry::BudgetConfig;
use crate::yaml::document::{Path, Step, steps};
use crate::yaml::units::Duration;

/// Everything `veil` is told.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub version: Version,
    /// Files whose parts become parts of this one; names, or patterns as a shell's, relative to the file that they are in.
    pub include: Vec<String>,
    pub listeners: BTreeMap<String, ListenerConfig>,
    pub admin: Option<AdminConfig>,
    pub routes: Vec<RouteConfig>,
    pub pools: BTreeMap<String, PoolConfig>,
    pub body: BodyConfig,
    pub answers: AnswersConfig,
    pub retry_budget: BudgetConfig,
    /// What Veil's own errors look like.
    pub problems: ProblemsConfig,
    /// What texts and addresses stand for: `$table_NAME`. Nginx: `map`, `geo` and `split_clients`.
    pub tables: Tables,
    pub access_log: AccessLogConfig,
    /// Tells an OpenTelemetry collector what became of requests, and of their backends' steps.
    pub traces: Option<TracesConfig>,
    pub shutdown: ShutdownConfig,
    /// A virtual address that this host shares with another. Only `veil keepalived render` reads it.
    pub keepalived: Option<KeepalivedConfig>,
    /// Whom Veil becomes where root starts it, once its sockets are bound: all files are read as that user, at a reload
    /// too. Nginx: `user`.
    pub user: Option<String>,
    /// Threads that serve requests; as many as there are cores unless given. Nginx: `worker_processes`.
    pub threads: Option<NonZeroUsize>,
    /// Requests, and what is to become of them: `veil check` tries each without sending it.
    pub examples: Vec<ExampleConfig>,
}

impl Config {
    /// Every file that the configuration names, with its place. They are relative to the file that names them.
    fn file_names(&mut self) -> Vec<(Path, &mut PathBuf)> {
        let mut names = Vec::new();
        for (name, listener) in &mut self.listeners {
            if let Some(tls) = &mut listener.tls {
                for (within, number, key, path) in tls.files() {
                    let mut at = steps!["listeners", name.as_str(), "tls"].to_vec();
                    at.extend(within.into_iter().map(Step::from));
                    at.extend(number.map(Step::from));
                    at.push(key.into());
                    names.push((at, path));
                }
            }
        }
        for (name, pool) in &mut self.pools {
            for (key, path) in pool.tls.iter_mut().flat_map(|tls| tls.files()) {
                names.push((steps!["pools", name.as_str(), "tls", key].to_vec(), path));
            }
            for (index, source) in pool.discover.iter_mut().enumerate() {
                if let DiscoverConfig::File(path) = source {
                    names.push((steps!["pools", name.as_str(), "discover", index, "file"].to_vec(), path));
                }
            }
        }
        for (index, route) in self.routes.iter_mut().enumerate() {
            for (number, filter) in route.filters.iter_mut().enumerate() {
                let name = filter.name();
                let at = |key| steps!["routes", index, "filters", number, name, key].to_vec();
                names.extend(filter.files().into_iter().map(|(key, path)| (at(key), path)));
            }
            for log in route.access_log.own_mut() {
                if let Destination::File(path) = &mut log.to {
                    names.push((steps!["routes", index, "access_log"].to_vec(), path));
                }
            }
        }
        let collector = self.traces.as_mut().and_then(|traces| traces.tls.as_mut());
        for (key, path) in collector.into_iter().flat_map(|tls| tls.files()) {
            names.push((steps!["traces", "tls", key].to_vec(), path));
        }
        if let Destination::File(path) = &mut self.access_log.to {
            names.push((steps!["access_log", "to"].to_vec(), path));
        }
        names
    }
}

/// `shutdown: { quiesce: 2s, delay: 5s, grace: 30s }`
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct ShutdownConfig {
    /// For a host that holds a virtual address: how long at most, before all else, attempts to connect are left without an
    /// answer while the requests in flight end. Clients' systems try again after a second by themselves, and find the
    /// host that has the address by then. From then on Keepalived's `track_process veil` finds no `veil` any more.
    pub quiesce: Duration,
    /// How long connections are still accepted after TERM, INT or QUIT, while `/readyz` says 503: until whoever sends
    /// them here (Kubernetes, keepalived) has noticed.
    pub delay: Duration,
    /// How long requests in flight may take to end after that.
    pub grace: Duration,
}

impl Default for ShutdownConfig {
    fn default() -> Self {
        Self {
            quiesce: Duration::from_secs(0),
            delay: Duration::from_secs(0),
            grace: Duration::from_secs(30),
        }
    }
}

/// The version of the file's format. There is one.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(try_from = "u32")]
#[schemars(with = "u32", extend("const" = 1))]
pub struct Version;

impl TryFrom<u32> for Version {
    type Error = String;

    fn try_from(version: u32) -> Result<Self, String> {
        match version {
            1 => Ok(Self),
            other => Err(format!("{other} is not a version this program knows; write version: 1")),
        }
    }
}
