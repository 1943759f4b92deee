//! `veil diff`: what another configuration changes, and which share of clients it moves to other backends, found by
//! asking the selection of both where each of many clients goes.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use serde::Serialize;

use crate::client::endpoint::Endpoint;
use crate::client::listener::ListenerConfig;
use crate::client::tls::{TrustError, check_trust};
use crate::config::Config;
use crate::pool::{Backend, Key, Pool, PoolConfig, PoolError};
use crate::route::RouteConfig;

/// How the new configuration differs from the old one.
#[derive(Debug, Default, Serialize)]
pub struct Difference {
    /// Sections of the file besides listeners, routes and pools.
    pub sections: Vec<&'static str>,
    pub listeners: Changes,
    pub routes: Changes,
    pub pools: Changes,
    /// The pools that both have and that are not the same, by name.
    pub changed_pools: BTreeMap<String, PoolDifference>,
}

/// Names, by what became of them.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    pub came: Vec<String>,
    pub left: Vec<String>,
    pub changed: Vec<String>,
}

#[derive(Debug, Serialize)]
pub struct PoolDifference {
    /// What is set otherwise, besides the backends.
    pub settings: Vec<&'static str>,
    pub backends: Changes,
    /// The share of clients that go to another backend when all are well, from 0 to 1; none where no client stays with
    /// a backend anyway, or where the new backends are not known.
    pub moved: Option<f64>,
    /// Why `moved` is unknown, or how far it can be trusted.
    pub note: Option<String>,
}

impl Difference {
    pub fn is_none(&self) -> bool {
        self.sections.is_empty() && self.listeners.is_none() && self.routes.is_none() && self.pools.is_none()
    }
}

impl Changes {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Compares what has the same name. Of several with one name, the first with the first, and so on.
    fn between<T: PartialEq>(old: Vec<(String, T)>, new: Vec<(String, T)>) -> Self {
        let (old, new) = (numbered(old), numbered(new));
        let missing = |these: &Numbered<T>, others: &Numbered<T>| {
            let missing = these.keys().filter(|key| !others.contains_key(*key));
            missing.map(|(name, _)| name.clone()).collect()
        };
        let changed = old
            .iter()
            .filter(|(key, value)| new.get(*key).is_some_and(|other| other != *value));
        Self {
            came: missing(&new, &old),
            left: missing(&old, &new),
            changed: changed.map(|((name, _), _)| name.clone()).collect(),
        }
    }
}

type Numbered<T> = BTreeMap<(String, usize), T>;

fn numbered<T>(entries: Vec<(String, T)>) -> Numbered<T> {
    let mut numbered = BTreeMap::new();
    for (name, value) in entries {
        let number = numbered.keys().filter(|(known, _)| *known == name).count();
        numbered.insert((name, number), value);
    }
    numbered
}

/// Why two configurations cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error(transparent)]
    Pool(#[from] PoolError),
    #[error(transparent)]
    System(#[from] io::Error),
}

/// Compares two configurations. Resolves names, and asks the sources of backends once.
pub async fn diff(old: &Config, new: &Config) -> Result<Difference, DiffError> {
    fn routes(config: &Config) -> Vec<(String, &RouteConfig)> {
        config.routes.iter().map(|route| (route.name(), route)).collect()
    }
    fn pools(config: &Config) -> Vec<(String, &PoolConfig)> {
        config.pools.iter().map(|(name, pool)| (name.clone(), pool)).collect()
    }
    fn listeners(config: &Config) -> Vec<(String, &ListenerConfig)> {
        let listeners = config.listeners.iter();
        listeners.map(|(name, listener)| (name.clone(), listener)).collect()
    }
    check_trust()?;
    let pool_changes = Changes::between(pools(old), pools(new));
    let mut changed_pools = BTreeMap::new();
    for name in &pool_changes.changed {
        let difference = pool_difference(name, &old.pools[name], &new.pools[name]).await?;
        changed_pools.insert(name.clone(), difference);
    }
    Ok(Difference {
        sections: sections(old, new),
        listeners: Changes::between(listeners(old), listeners(new)),
        routes: Changes::between(routes(old), routes(new)),
        pools: pool_changes,
        changed_pools,
    })
}

fn sections(old: &Config, new: &Config) -> Vec<&'static str> {
    let sections = [
        ("threads", old.threads == new.threads),
        ("admin", old.admin == new.admin),
        ("traces", old.traces == new.traces),
        ("body", old.body == new.body),
        ("retry_budget", old.retry_budget == new.retry_budget),
        ("access_log", old.access_log == new.access_log),
        ("keepalived", old.keepalived == new.keepalived),
        ("shutdown", old.shutdown == new.shutdown),
    ];
    changed(&sections)
}

fn settings(old: &PoolConfig, new: &PoolConfig) -> Vec<&'static str> {
    let settings = [
        ("select", old.select == new.select),
        ("sticky", old.sticky == new.sticky),
        ("discover", old.discover == new.discover),
        ("spawn", old.spawn == new.spawn),
        ("queue", old.queue == new.queue),
        ("hedge", old.hedge == new.hedge),
        ("health", old.health == new.health),
        ("ejection", old.ejection == new.ejection),
        ("timeouts", old.timeouts == new.timeouts),
    ];
    changed(&settings)
}

/// The names of what is not the same.
fn changed(parts: &[(&'static str, bool)]) -> Vec<&'static str> {
    let changed = parts.iter().filter(|(_, same)| !same);
    changed.map(|(name, _)| *name).collect()
}

async fn pool_difference(name: &str, old: &PoolConfig, new: &PoolConfig) -> Result<PoolDifference, PoolError> {
    let before = ready(Pool::new(name, old, None)?).await;
    // As on a reload: workers that stay keep their addresses.
    let after = ready(Pool::new(name, new, Some(&before))?).await;
    let other_workers = old.spawn != new.spawn;
    let sticky = old.select.strict().is_some() && new.select.strict().is_some();
    let troubles: Vec<String> = before
        .outlook()
        .troubles()
        .into_iter()
        .chain(after.outlook().troubles())
        .collect();
    let (moved, note) = if !sticky {
        (None, Some("clients do not stay with a backend".to_owned()))
    } else if other_workers {
        (None, Some("its own workers get new addresses".to_owned()))
    } else {
        let trouble = (!troubles.is_empty()).then(|| format!("not all are known: {}", troubles.join("; ")));
        (Some(moved(&before, &after)), trouble)
    };
    Ok(PoolDifference {
        settings: settings(old, new),
        backends: Changes::between(members(&before), members(&after)),
        moved,
        note,
    })
}

async fn ready(pool: Arc<Pool>) -> Arc<Pool> {
    pool.outlook().discover().await;
    pool.outlook().hope_for_the_best();
    pool
}

/// What else is said of a backend than address, weight and tier moves nobody.
fn members(pool: &Pool) -> Vec<(String, (Endpoint, u32, bool))> {
    let backends = pool.backends();
    let member = |backend: &Arc<Backend>| {
        let seen = (backend.address().clone(), backend.weight(), backend.is_backup());
        (backend.name().to_owned(), seen)
    };
    backends.iter().map(member).collect()
}

/// The share of the sample that goes to another address.
fn moved(before: &Arc<Pool>, after: &Arc<Pool>) -> f64 {
    let home = |pool: &Arc<Pool>, key: &Key| pool.outlook().home(key).map(|backend| backend.address().clone());
    let moved = sample().filter(|key| home(before, key) != home(after, key)).count();
    moved as f64 / f64::from(SAMPLE)
}

/// Clients that are always the same, of networks all over the address space. They stand for keys of other kinds too.
fn sample() -> impl Iterator<Item = Key> {
    // Knuth's multiplicative hash: every address once, in no order.
    (0..SAMPLE).map(|number| Key::of_client(Ipv4Addr::from_bits(number.wrapping_mul(2_654_435_761)).into()))
}

const SAMPLE: u32 = 10_000;

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_none() {
            return writeln!(f, "no difference");
        }
        for section in &self.sections {
            writeln!(f, "~ {section}")?;
        }
        self.listeners.write(f, "", "listener")?;
        self.routes.write(f, "", "route")?;
        self.pools.write(f, "", "pool")?;
        for (name, pool) in &self.changed_pools {
            match pool.moved {
                Some(moved) => writeln!(f, "pool {name:?}: {:.1} % of clients move", moved * 100.0)?,
                None => writeln!(f, "pool {name:?}: how many clients move is unknown")?,
            }
            if let Some(note) = &pool.note {
                writeln!(f, "  {note}")?;
            }
            for setting in &pool.settings {
                writeln!(f, "  ~ {setting}")?;
            }
            pool.backends.write(f, "  ", "backend")?;
        }
        Ok(())
    }
}

impl Changes {
    fn write(&self, f: &mut fmt::Formatter<'_>, indent: &str, what: &str) -> fmt::Result {
        for (sign, names) in [('+', &self.came), ('-', &self.left), ('~', &self.changed)] {
            for name in names {
                writeln!(f, "{indent}{sign} {what} {name:?}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config;

    /// A configuration of one pool, given as YAML.
    fn config(pool: &str) -> Config {
        let text = format!(
            "version: 1\nlisteners: {{ public: {{ address: 127.0.0.1:0 }} }}\n\
             routes: [{{ match: {{ path_prefix: / }}, pool: blur }}]\npools: {{ blur: {pool} }}\n"
        );
        config::parse("x.yaml", &text).unwrap()
    }

    async fn between(old: &str, new: &str) -> Difference {
        diff(&config(old), &config(new)).await.unwrap()
    }

    const THREE: &str = "{ backends: [{ address: 10.0.0.1:80 }, { address: 10.0.0.2:80 }, { address: 10.0.0.3:80 }] }";

    #[tokio::test]
    async fn one_more_backend_moves_its_share_of_clients_and_no_others() {
        let four = THREE.replace("] }", ", { address: 10.0.0.4:80, name: new }] }");
        let difference = between(THREE, &four).await;
        let pool = &difference.changed_pools["blur"];
        assert_eq!(pool.backends.came, ["new"]);
        assert!((0.15..0.35).contains(&pool.moved.unwrap()), "{difference:?}");
        let back = between(&four, THREE).await;
        assert_eq!(back.changed_pools["blur"].moved, pool.moved);
        assert_eq!(back.changed_pools["blur"].backends.left, ["new"]);
    }

    #[tokio::test]
    async fn what_does_not_concern_the_selection_moves_nobody() {
        let named = THREE.replace("10.0.0.1:80", "10.0.0.1:80, name: left, max_conns: 8");
        let difference = between(THREE, &named).await;
        assert_eq!(difference.changed_pools["blur"].moved, Some(0.0));
        assert_eq!(difference.changed_pools["blur"].backends.came, ["left"]);
        assert!(between(THREE, THREE).await.is_none());
        assert_eq!(between(THREE, THREE).await.to_string(), "no difference\n");
    }

    #[tokio::test]
    async fn says_where_no_client_stays_anyway() {
        let turns = THREE.replace("{ backends", "{ select: { round_robin: {} }, backends");
        let difference = between(THREE, &turns).await;
        let pool = &difference.changed_pools["blur"];
        assert_eq!(
            (pool.moved, pool.note.as_deref()),
            (None, Some("clients do not stay with a backend"))
        );
    }

    #[tokio::test]
    async fn names_listeners_and_settings_of_pools_that_changed() {
        let old = config(THREE);
        let mut new = config(&THREE.replace("{ backends", "{ queue: { length: 1 }, backends"));
        let public = new.listeners.remove("public").unwrap();
        new.listeners.insert("other".to_owned(), public);
        let expected = "\
+ listener \"other\"
- listener \"public\"
~ pool \"blur\"
pool \"blur\": 0.0 % of clients move
  ~ queue
";
        assert_eq!(diff(&old, &new).await.unwrap().to_string(), expected);
    }

    #[tokio::test]
    async fn names_routes_and_sections_that_changed() {
        let old = config(THREE);
        let mut new = old.clone();
        new.routes[0].idempotent = true;
        new.threads = std::num::NonZeroUsize::new(3);
        let mut twice = new.routes[0].clone();
        twice.name = Some("second".to_owned());
        new.routes.push(twice);
        let difference = diff(&old, &new).await.unwrap();
        assert_eq!(difference.to_string(), "~ threads\n+ route \"second\"\n~ route \"/\"\n");
    }
}
