//! The configuration file as a whole: composes the parts' structs, and checks what the parts cannot know of each other.

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::access_log::{AccessLogConfig, Destination};
use crate::body::BodyConfig;
use crate::diagnostic::{Diagnostic, suggest};
use crate::document::{Document, Path, Step, steps};
use crate::filter::FilterConfig;
use crate::keepalived::KeepalivedConfig;
use crate::listener::{AdminConfig, ListenerConfig};
use crate::pool::PoolConfig;
use crate::pool::discovery::DiscoverConfig;
use crate::retry::BudgetConfig;
use crate::route::RouteConfig;
use crate::units::Duration;

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
    pub retry_budget: BudgetConfig,
    pub access_log: AccessLogConfig,
    pub shutdown: ShutdownConfig,
    /// A virtual address that this host shares with another. Only `veil keepalived render` reads it.
    pub keepalived: Option<KeepalivedConfig>,
    /// Threads that serve requests; as many as there are cores unless given. Nginx: `worker_processes`.
    pub threads: Option<NonZeroUsize>,
}

impl Config {
    /// Every file that the configuration names, with its place. They are relative to the file that names them.
    fn file_names(&mut self) -> Vec<(Path, &mut PathBuf)> {
        let mut names = Vec::new();
        for (name, listener) in &mut self.listeners {
            if let Some(tls) = &mut listener.tls {
                let at = |key| steps!["listeners", name.as_str(), "tls", key].to_vec();
                names.push((at("certificate"), &mut tls.certificate));
                names.push((at("key"), &mut tls.key));
            }
        }
        for (name, pool) in &mut self.pools {
            for (index, source) in pool.discover.iter_mut().enumerate() {
                if let DiscoverConfig::File(path) = source {
                    names.push((steps!["pools", name.as_str(), "discover", index, "file"].to_vec(), path));
                }
            }
        }
        if let Destination::File(path) = &mut self.access_log.to {
            names.push((steps!["access_log", "to"].to_vec(), path));
        }
        names
    }
}

/// `shutdown: { delay: 5s, grace: 30s }`
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct ShutdownConfig {
    /// How long connections are still accepted after TERM, INT or QUIT, while `/readyz` says 503: until whoever sends
    /// them here (Kubernetes, keepalived) has noticed.
    pub delay: Duration,
    /// How long requests in flight may take to end after that.
    pub grace: Duration,
}

impl Default for ShutdownConfig {
    fn default() -> Self {
        Self {
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

/// Where a configuration comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    File(PathBuf),
    /// `conf/local.yaml`, built in: a proxy and two blur workers on this machine.
    Local,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Local => f.write_str("conf/local.yaml"),
        }
    }
}

/// Reads and checks a configuration. All mistakes come at once, in the order of the file.
pub fn load(source: &Source) -> Result<Config, Vec<Diagnostic>> {
    let file = source.to_string();
    match text(source) {
        Ok(text) => parse(&file, &text),
        Err(error) => Err(vec![Diagnostic {
            file,
            place: None,
            what: error.to_string(),
            help: None,
        }]),
    }
}

/// A mistake that only showed when the configuration was put to work, with its place.
pub fn mistake(source: &Source, path: &[Step], what: String) -> Diagnostic {
    let file = source.to_string();
    let parse = |text: String| whole(&file, &text).ok();
    let document = text(source).ok().and_then(parse).map(|(document, _)| document);
    match document {
        Some(document) => document.mistake(path, what, None),
        None => Diagnostic {
            file,
            place: None,
            what,
            help: None,
        },
    }
}

/// What may well be a mistake in how the files come together.
pub fn doubts(source: &Source) -> Vec<Diagnostic> {
    let document = text(source)
        .ok()
        .and_then(|text| whole(&source.to_string(), &text).ok());
    document.map_or_else(Vec::new, |(document, _)| document.doubts().to_vec())
}

fn text(source: &Source) -> io::Result<String> {
    match source {
        Source::Local => Ok(include_str!("../../conf/local.yaml").to_owned()),
        Source::File(path) => fs::read_to_string(path),
    }
}

/// Reads and checks the text of a configuration; `file` is what the mistakes are shown with.
pub fn parse(file: &str, text: &str) -> Result<Config, Vec<Diagnostic>> {
    let (mut document, mut mistakes) = whole(file, text).map_err(|mistake| vec![mistake])?;
    let pool_names = keys(&document, "pools");
    mistakes.extend(document.interpolate(|name| env::var(name).ok()));
    let (mut config, more) = document.read::<Config>();
    mistakes.extend(more);
    for (at, name) in config.iter_mut().flat_map(Config::file_names) {
        *name = document.folder(&at).join(&*name);
    }
    let mut check = Check {
        document,
        pool_names,
        mistakes,
    };
    if let Some(config) = &config {
        check.all(config);
    }
    let Check { document, mistakes, .. } = &mut check;
    mistakes.sort_by_cached_key(|mistake| document.rank(mistake));
    match config {
        Some(config) if check.mistakes.is_empty() => Ok(config),
        _ => Err(check.mistakes),
    }
}

/// The file with those that it includes, and what is wrong with how they come together.
fn whole(file: &str, text: &str) -> Result<(Document, Vec<Diagnostic>), Diagnostic> {
    let mut document = Document::parse(file, text)?;
    let mistakes = document.include(|name| env::var(name).ok());
    Ok((document, mistakes))
}

/// The checks that need more than one part of the file.
struct Check {
    document: Document,
    /// Also those whose definition has mistakes of its own.
    pool_names: Vec<String>,
    mistakes: Vec<Diagnostic>,
}

impl Check {
    fn all(&mut self, config: &Config) {
        self.version();
        self.listeners(config);
        for index in 0..config.routes.len() {
            self.route(index, &config.routes);
        }
        for (name, pool) in &config.pools {
            self.pool(name, pool);
        }
        self.keepalived(config);
    }

    fn version(&mut self) {
        let at = steps!["version"];
        if self.document.root().get("version").is_none() && !self.document.lost(&at) {
            self.report(
                &at,
                "\"version\" is missing",
                Some("begin the file with version: 1".to_owned()),
            );
        }
    }

    fn listeners(&mut self, config: &Config) {
        if config.listeners.is_empty() && !self.document.lost(&steps!["listeners"]) {
            let help = "add listeners: { public: { address: 0.0.0.0:80 } }".to_owned();
            self.report(&steps!["listeners"], "no listener is defined", Some(help));
        }
        let mut sockets: Vec<(String, SocketAddr, Path)> = Vec::new();
        for (name, listener) in &config.listeners {
            let at = steps!["listeners", name.as_str(), "address"].to_vec();
            sockets.push((format!("listener {name:?}"), listener.address, at));
        }
        if let Some(admin) = &config.admin {
            sockets.push(("admin".to_owned(), admin.address, steps!["admin", "address"].to_vec()));
        }
        for (index, (owner, address, at)) in sockets.iter().enumerate() {
            let earlier = sockets[..index].iter().find(|(_, taken, _)| clash(*taken, *address));
            if let Some((other, taken, _)) = earlier {
                let what = format!("{owner}: {address} is taken by {other} on {taken}");
                self.report(at, &what, Some("give each listener its own port".to_owned()));
            }
        }
    }

    fn route(&mut self, index: usize, routes: &[RouteConfig]) {
        let route = &routes[index];
        let owner = format!("route {:?}", route.name());
        let at = steps!["routes", index];
        if let Some(earlier) = routes[..index]
            .iter()
            .find(|earlier| earlier.r#match.hides(&route.r#match))
        {
            let what = format!(
                "{owner} is never reached: route {:?} takes the same requests",
                earlier.name()
            );
            self.report(
                &at,
                &what,
                Some("take one of them out, or let them differ in host, path or methods".to_owned()),
            );
        }
        match &route.pool {
            Some(pool) if self.pool_names.contains(pool) => {}
            Some(pool) => {
                let what = format!("{owner} uses pool {pool:?}, which is not defined");
                let help = suggest("defined pools", pool, self.pool_names.iter().map(String::as_str))
                    .unwrap_or_else(|| "define it under pools".to_owned());
                self.report(&steps!["routes", index, "pool"], &what, Some(help));
            }
            None if route.filters.iter().any(FilterConfig::always_answers) || self.document.lost(&at) => {}
            None => {
                let help = "give it a pool, or a filter that answers: respond or redirect".to_owned();
                self.report(&at, &format!("{owner} leads nowhere"), Some(help));
            }
        }
    }

    fn pool(&mut self, name: &str, pool: &PoolConfig) {
        let at = steps!["pools", name];
        if self.document.lost(&at) {
            return;
        }
        let mistake = match pool.backends.as_slice() {
            _ if pool.spawn.is_some() || !pool.discover.is_empty() => None,
            [] => Some((
                "has nobody to serve",
                "list backends, discover them, or spawn: { workers: 2 } to run workers here",
            )),
            backends if backends.iter().all(|backend| backend.backup) => Some((
                "has backups but no primary backend",
                "take backup: true from at least one",
            )),
            backends if backends.iter().all(|backend| backend.weight == 0) => Some((
                "has drained backends only",
                "weight: 0 drains a backend; leave at least one above 0",
            )),
            _ => None,
        };
        if let Some((what, help)) = mistake {
            let at = steps!["pools", name, "backends"];
            self.report(&at, &format!("pool {name:?} {what}"), Some(help.to_owned()));
        }
        self.backend_names(name, pool);
    }

    fn keepalived(&mut self, config: &Config) {
        let Some(keepalived) = &config.keepalived else { return };
        if self.document.lost(&steps!["keepalived"]) || self.document.lost(&steps!["admin"]) {
            return;
        }
        let admin = config.admin.as_ref().map(|admin| admin.address);
        for mistake in keepalived.mistakes(admin) {
            self.report(&mistake.path, &mistake.what, mistake.help);
        }
    }

    fn backend_names(&mut self, pool_name: &str, pool: &PoolConfig) {
        for (index, backend) in pool.backends.iter().enumerate() {
            let backend_name = backend.name();
            if pool.backends[..index]
                .iter()
                .any(|earlier| earlier.name() == backend_name)
            {
                let what = format!("pool {pool_name:?}: two backends are called {backend_name:?}");
                let help = "a backend is known by its name, or its address if it has none; make them differ";
                self.report(
                    &steps!["pools", pool_name, "backends", index],
                    &what,
                    Some(help.to_owned()),
                );
            }
        }
    }

    fn report(&mut self, path: &[Step], what: &str, help: Option<String>) {
        self.mistakes.push(self.document.mistake(path, what.to_owned(), help));
    }
}

/// Whether two sockets cannot be open at once.
fn clash(a: SocketAddr, b: SocketAddr) -> bool {
    let everywhere = a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() != 0 && a.port() == b.port() && (everywhere || a.ip() == b.ip())
}

fn keys(document: &Document, section: &str) -> Vec<String> {
    let section = document.root().get(section).and_then(|section| section.as_mapping());
    section
        .into_iter()
        .flatten()
        .filter_map(|(name, _)| name.as_str().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_embedded_configuration_is_good() {
        let config = load(&Source::Local).unwrap();
        assert_eq!(config.pools["blur"].spawn.as_ref().unwrap().workers, 2);
        assert!(config.routes.iter().any(|route| route.idempotent));
    }

    #[test]
    fn the_articles_configuration_is_good() {
        let config = parse("article.yaml", include_str!("../../conf/examples/article.yaml")).unwrap();
        let backends = &config.pools["blur"].backends;
        assert_eq!(
            backends.iter().map(|backend| backend.weight).collect::<Vec<_>>(),
            [3, 3, 1]
        );
        assert!(backends[2].backup);
    }

    #[test]
    fn a_missing_file_is_a_mistake_with_its_name() {
        let mistakes = load(&Source::File("no/such.yaml".into())).unwrap_err();
        assert!(
            mistakes[0].to_string().starts_with("no/such.yaml: No such file"),
            "{}",
            mistakes[0]
        );
    }

    #[test]
    fn all_mistakes_come_at_once_in_the_order_of_the_file() {
        let text = "\
version: 1
listeners:
  public: { adress: 0.0.0.0:80 }
routes:
  - match: { path_prefix: / }
    pool: blurr
pools:
  blur:
    select: { ketamma: {} }
    backends:
      - { address: 10.0.0.1:5000, weight: many }
      - { address: 10.0.0.1:5000 }
";
        let mistakes = parse("x.yaml", text).unwrap_err();
        let shown: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        let places: Vec<&str> = shown.iter().map(|text| &text[..text.find(": ").unwrap()]).collect();
        assert_eq!(
            places,
            ["x.yaml:3:13", "x.yaml:6:11", "x.yaml:9:15", "x.yaml:11:43"],
            "{shown:#?}"
        );
    }
}
