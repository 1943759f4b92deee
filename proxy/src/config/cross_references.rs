//! What the parts of a configuration cannot know of each other: names that nobody has, sockets that two want, routes
//! that others hide.

use std::collections::{BTreeMap, HashMap};

use super::Config;
use crate::body::Buffering;
use crate::client::endpoint::Endpoint;
use crate::client::listener::ListenerConfig;
use crate::filter::FilterConfig;
use crate::pool::PoolConfig;
use crate::request::tables;
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
        self.hidden(&config.routes);
        for (index, route) in config.routes.iter().enumerate() {
            self.route(index, route, &config.listeners);
            self.filters(index, route, config);
        }
        for (name, pool) in &config.pools {
            self.pool(name, pool);
        }
        self.collector(config);
        self.keepalived(config);
        self.tables(config);
    }

    /// Tables that texts and scripts name.
    fn tables(&mut self, config: &Config) {
        let names: Vec<&str> = config.tables.names().collect();
        let mut unknown = Vec::new();
        for (at, text) in self.document.texts() {
            let named = tables::named_in(text).filter(|name| !names.contains(name));
            unknown.extend(named.map(|name| (at.clone(), name.to_owned())));
        }
        for (at, name) in unknown {
            if !self.document.lost(&steps!["tables"]) {
                let help = suggest("defined tables", &name, names.iter().copied());
                let help =
                    help.unwrap_or_else(|| format!("define it: tables: {{ {name}: {{ of: $host, rows: [] }} }}"));
                self.report(
                    &at,
                    &format!("$table_{name} is of a table that is not defined"),
                    Some(help),
                );
            }
        }
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
        let mut sockets: Vec<(String, Endpoint, Path)> = Vec::new();
        for (name, listener) in &config.listeners {
            let at = steps!["listeners", name.as_str(), "address"].to_vec();
            let all = listener.address.iter();
            sockets.extend(all.map(|address| (format!("listener {name:?}"), address.clone(), at.clone())));
            if listener.proxy_protocol && listener.trusted_proxies.is_empty() {
                let what = format!(
                    "listener {name:?}: proxy_protocol is believed from trusted_proxies alone, and there are none"
                );
                let help = "name the balancers in front: trusted_proxies: [10.0.0.0/24]".to_owned();
                self.report(&steps!["listeners", name.as_str(), "proxy_protocol"], &what, Some(help));
            }
            if listener.client_address_field.is_some() && listener.trusted_proxies.is_empty() {
                let what = format!(
                    "listener {name:?}: client_address_field is believed from trusted_proxies alone, and there are none"
                );
                let help = "name the proxies in front: trusted_proxies: [10.0.0.0/24]".to_owned();
                self.report(
                    &steps!["listeners", name.as_str(), "client_address_field"],
                    &what,
                    Some(help),
                );
            }
        }
        if let Some(admin) = &config.admin {
            let at = steps!["admin", "address"].to_vec();
            sockets.push(("admin".to_owned(), admin.address.clone(), at));
        }
        for (index, (owner, address, at)) in sockets.iter().enumerate() {
            let clash = |(other, taken, _): &&(String, Endpoint, Path)| clash(taken, address, other == owner);
            let earlier = sockets[..index].iter().find(clash);
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

    /// Routes that others before them hide. Only those of one path can.
    fn hidden(&mut self, routes: &[RouteConfig]) {
        let mut of_path: HashMap<String, Vec<&RouteConfig>> = HashMap::new();
        for (index, route) in routes.iter().enumerate() {
            // What it takes is not known.
            if ["match", "when"]
                .iter()
                .any(|key| self.document.lost(&steps!["routes", index, *key]))
            {
                continue;
            }
            let earlier = of_path.entry(format!("{:?}", route.r#match.path)).or_default();
            if let Some(earlier) = earlier.iter().find(|earlier| earlier.hides(route)) {
                let what = format!(
                    "route {:?} is never reached: route {:?} takes the same requests",
                    route.name(),
                    earlier.name()
                );
                let help = "take one of them out, or let them differ in host, path or methods";
                self.report(&steps!["routes", index], &what, Some(help.to_owned()));
            }
            earlier.push(route);
        }
    }

    fn route(&mut self, index: usize, route: &RouteConfig, listeners: &BTreeMap<String, ListenerConfig>) {
        let owner = format!("route {:?}", route.name());
        let at = steps!["routes", index];
        for (number, name) in route.r#match.listeners.iter().enumerate() {
            if !listeners.contains_key(name) {
                let what = format!("{owner} is for listener {name:?}, which is not defined");
                let help = suggest("defined listeners", name, listeners.keys().map(String::as_str));
                self.report(&steps!["routes", index, "match", "listeners", number], &what, help);
            }
        }
        if let Some(pool) = &route.pool {
            self.pool_name(&owner, pool, &steps!["routes", index, "pool"]);
        }
        for (number, share) in route.split.iter().flat_map(|split| &split.pools).enumerate() {
            self.pool_name(
                &owner,
                &share.pool,
                &steps!["routes", index, "split", "pools", number, "pool"],
            );
        }
        if let Some(mirror) = &route.mirror {
            self.pool_name(&owner, &mirror.pool, &steps!["routes", index, "mirror", "pool"]);
        }
        for (number, mirror) in route.mirrors.iter().enumerate() {
            self.pool_name(
                &owner,
                &mirror.pool,
                &steps!["routes", index, "mirrors", number, "pool"],
            );
        }
        if route.pool.is_some() && route.split.is_some() {
            let help = "write one of them; under split, each pool has its weight";
            self.report(&at, &format!("{owner} has both pool and split"), Some(help.to_owned()));
        }
        let answers = route.filters.iter().any(FilterConfig::may_answer_all);
        if route.pools().is_empty() && !answers && !self.document.lost(&at) {
            let help = "give it a pool, or a filter that answers: respond, redirect, files or script".to_owned();
            self.report(&at, &format!("{owner} leads nowhere"), Some(help));
        }
    }

    fn filters(&mut self, index: usize, route: &RouteConfig, config: &Config) {
        let buffering = route.body.buffering.unwrap_or(config.body.buffering);
        for (number, filter) in route.filters.iter().enumerate() {
            let owner = format!("route {:?}: filter {}", route.name(), filter.name());
            for (key, pool) in filter.pools() {
                self.pool_name(
                    &owner,
                    pool,
                    &steps!["routes", index, "filters", number, filter.name(), key],
                );
            }
            for (key, name) in filter.routes() {
                let names: Vec<String> = config.routes.iter().map(RouteConfig::name).collect();
                if !names.iter().any(|known| known == name) {
                    let what = format!("{owner} sends requests to route {name:?}, which is not defined");
                    let help = suggest("defined routes", name, names.iter().map(String::as_str));
                    let at = steps!["routes", index, "filters", number, filter.name(), key];
                    self.report(&at, &what, help);
                }
            }
            if filter.needs_whole_body() && buffering == Buffering::Off {
                let what = format!("{owner} sees no body that passes as it comes");
                let help = "take buffering: off from the route's body, or the filter from the route";
                self.report(
                    &steps!["routes", index, "filters", number],
                    &what,
                    Some(help.to_owned()),
                );
            }
        }
    }

    fn pool_name(&mut self, owner: &str, pool: &str, at: &[Step]) {
        if self.pool_names.iter().any(|name| name == pool) {
            return;
        }
        let what = format!("{owner} uses pool {pool:?}, which is not defined");
        let help = suggest("defined pools", pool, self.pool_names.iter().map(String::as_str))
            .unwrap_or_else(|| "define it under pools".to_owned());
        self.report(at, &what, Some(help));
    }

    fn pool(&mut self, name: &str, pool: &PoolConfig) {
        let at = steps!["pools", name];
        if self.document.lost(&at) {
            return;
        }
        if pool.spawn.as_ref().is_some_and(|spawn| spawn.workers == 0) {
            let help = "write how many are to run: workers: 2".to_owned();
            let at = steps!["pools", name, "spawn", "workers"];
            self.report(&at, &format!("pool {name:?} spawns no workers"), Some(help));
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
        self.transport(name, pool);
        self.backend_names(name, pool);
    }

    /// What cannot be said together of how backends are reached.
    fn transport(&mut self, name: &str, pool: &PoolConfig) {
        if pool.http2 && pool.proxy_protocol.is_some() {
            let what =
                format!("pool {name:?}: proxy_protocol tells of one client, and http2 has all share a connection");
            let help = "take one of them out; X-Forwarded-For tells of the client in each request".to_owned();
            self.report(&steps!["pools", name, "proxy_protocol"], &what, Some(help));
        }
        let Some(tls) = &pool.tls else { return };
        if tls.has_half_a_pair() {
            let what = format!("pool {name:?}: tls has a certificate without a key, or a key without a certificate");
            self.report(&steps!["pools", name, "tls"], &what, Some("write both".to_owned()));
        }
        let nameless = pool.backends.iter().find(|backend| backend.address.host().is_none());
        if let (Some(backend), None) = (nameless, &tls.server_name) {
            let what = format!(
                "pool {name:?}: {} has no name that its certificate could be for",
                backend.address
            );
            let help = "write server_name: app.internal under tls".to_owned();
            self.report(&steps!["pools", name, "tls"], &what, Some(help));
        }
    }

    /// What cannot be said together of how the collector is reached.
    fn collector(&mut self, config: &Config) {
        let Some(traces) = &config.traces else { return };
        let Some(tls) = &traces.tls else { return };
        let at = steps!["traces", "tls"];
        if !traces.to.is_secure {
            let what = format!(
                "traces: tls is for a collector that is reached by https, and {} is not",
                traces.to
            );
            self.report(&at, &what, Some("write https:// or take tls out".to_owned()));
        } else if tls.has_half_a_pair() {
            let what = "traces: tls has a certificate without a key, or a key without a certificate";
            self.report(&at, what, Some("write both".to_owned()));
        }
    }

    fn keepalived(&mut self, config: &Config) {
        let Some(keepalived) = &config.keepalived else { return };
        if self.document.lost(&steps!["keepalived"]) || self.document.lost(&steps!["admin"]) {
            return;
        }
        let admin = config.admin.as_ref().and_then(|admin| admin.address.inet());
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

/// Whether two sockets cannot be open at once. A listener may have every address of both kinds, each with its socket.
fn clash(a: &Endpoint, b: &Endpoint, of_one_listener: bool) -> bool {
    let (Some(first), Some(second)) = (a.inet(), b.inet()) else {
        return a == b;
    };
    if first.port() == 0 || first.port() != second.port() {
        return false;
    }
    let both_everywhere = first.ip().is_unspecified() && second.ip().is_unspecified();
    match of_one_listener && both_everywhere && first.is_ipv4() != second.is_ipv4() {
        true => false,
        false => first.ip().is_unspecified() || second.ip().is_unspecified() || first.ip() == second.ip(),
    }
}
