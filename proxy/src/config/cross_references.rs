//! What the parts of a configuration cannot know of each other: names that nobody has, sockets that two want, routes
//! that others hide.

use std::net::SocketAddr;

use super::Config;
use crate::filter::FilterConfig;
use crate::pool::PoolConfig;
use crate::route::RouteConfig;
use crate::yaml::diagnostic::{Diagnostic, suggest};
use crate::yaml::document::{Document, Path, Step, steps};

/// All that is wrong between the parts. `pool_names` are also those of pools that have mistakes of their own.
pub fn mistakes(config: &Config, document: &Document, pool_names: &[String]) -> Vec<Diagnostic> {
    let mut check = Check {
        document,
        pool_names,
        mistakes: Vec::new(),
    };
    check.all(config);
    check.mistakes
}

struct Check<'a> {
    document: &'a Document,
    pool_names: &'a [String],
    mistakes: Vec<Diagnostic>,
}

impl Check<'_> {
    fn all(&mut self, config: &Config) {
        self.version();
        self.listeners(config);
        self.admin(config);
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

    /// Whoever reaches the admin listener commands Veil, unless it asks for a token.
    fn admin(&mut self, config: &Config) {
        let Some(admin) = &config.admin else { return };
        if admin.token.is_none() && admin.read_token.is_some() {
            let help = "write token too, for commands".to_owned();
            let what = "admin: read_token means nothing while everyone may command without a token";
            self.report(&steps!["admin", "read_token"], what, Some(help));
        }
        if !admin.is_open() {
            return;
        }
        let what = format!(
            "admin: whoever can connect to {} can drain and reload, as there is no token",
            admin.address
        );
        let help = "write token: ${VEIL_ADMIN_TOKEN}, or keep it on a loopback address: 127.0.0.1:8081";
        self.report(&steps!["admin", "address"], &what, Some(help.to_owned()));
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
