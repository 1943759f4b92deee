//! `upstream` blocks and what `proxy_pass` names become pools.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::draft::{Draft, Map};
use super::health::{self, Checks};
use super::report::Report;
use super::scope::Scope;
use super::syntax::Directive;
use super::target::Target;
use super::texts;
use super::values;
use super::version::Version;

/// The pools that routes ask for, and the upstreams that they come from.
pub struct Upstreams<'a> {
    version: Version,
    blocks: BTreeMap<&'a str, &'a Directive>,
    checks: Checks<'a>,
    http: Scope<'a>,
    /// None where no server of an upstream can be had.
    pools: BTreeMap<String, Option<Draft>>,
    /// How the servers of a pool are reached, where that is said.
    reached: BTreeMap<String, Map>,
}

impl<'a> Upstreams<'a> {
    pub fn of(http: &Scope<'a>, version: Version) -> Self {
        let mut checks = Checks::new();
        health::checks(http, &mut checks);
        Self {
            version,
            checks,
            http: http.clone(),
            blocks: http.own_named("upstream").map(|block| (block.word(0), block)).collect(),
            pools: BTreeMap::new(),
            reached: BTreeMap::new(),
        }
    }

    /// Has a target reached as `proxy_http_version` says, over connections that are kept where Nginx keeps them. One that is not
    /// reached as pools are by default has a pool of its own.
    pub fn settle_connections(&mut self, target: &mut Target, scope: &Scope, report: &mut Report) {
        self.settle_protocol(target, scope, report);
        bind(target, scope, report);
        let (name, mut number) = (target.pool.clone(), 1);
        // Another location may reach the same servers in another way: believe another certificate, above all.
        while self
            .reached
            .entry(target.pool.clone())
            .or_insert_with(|| target.transport.clone())
            != &target.transport
        {
            number += 1;
            target.pool = format!("{name}-{number}");
        }
    }

    fn settle_protocol(&self, target: &mut Target, scope: &Scope, report: &mut Report) {
        let said = scope.one("proxy_http_version");
        said.into_iter().for_each(|said| report.carried(said));
        let usual = if self.version.keeps_connections() { "1.1" } else { "1.0" };
        let (http1, suffix) = match said.map_or(usual, |said| said.word(0)) {
            _ if target.is_grpc => return,
            "1.0" => ("http_1_0", "-http1.0"),
            "2" => return target.is_reached_by("http2", true, "-http2"),
            _ if self.keeps(&target.name, scope) => return,
            _ => ("one_request", "-closed"),
        };
        target.is_reached_by("http1", http1, suffix);
    }

    /// Whether connections that speak HTTP/1.1 serve further requests.
    fn keeps(&self, name: &str, scope: &Scope) -> bool {
        let Some(upstream) = self.blocks.get(name) else {
            // A server that proxy_pass names itself has no block that could keep any.
            return false;
        };
        let mut directives = upstream.block.iter().flatten();
        match directives.rfind(|inner| inner.name == "keepalive") {
            Some(said) if said.word(0) == "0" => false,
            _ if self.version.keeps_connections() => true,
            // Before, each request said that its connection was to be closed unless that field was taken away.
            said => said.is_some() && scope.all("proxy_set_header").iter().any(|field| is_connection(field)),
        }
    }

    /// Sees to it that there is the pool of an upstream's name, or of a server that `proxy_pass` names itself; whether it
    /// has anybody to serve requests.
    pub fn has_pool(&mut self, name: &str, report: &mut Report) -> bool {
        if !self.pools.contains_key(name) {
            let pool = match self.blocks.get(name) {
                Some(block) => self
                    .pool_of(block, report)
                    .map(|pool| Draft::from(pool).placed_at(&block.place)),
                None => Some(of_one_server(name, 80).into()),
            };
            self.pools.insert(name.to_owned(), pool);
        }
        self.pools.get(name).is_some_and(Option::is_some)
    }

    /// The same, of a target that may be reached in another way than plain HTTP.
    pub fn has_pool_for(&mut self, target: &Target, report: &mut Report) -> bool {
        if target.pool == target.name {
            return self.has_pool(&target.name, report);
        }
        if !self.pools.contains_key(&target.pool) {
            let pool = match self.blocks.get(target.name.as_str()) {
                Some(block) => self.pool_of(block, report),
                None => Some(of_one_server(&target.name, target.port)),
            };
            let reached = pool.map(|mut pool| {
                pool.extend(target.transport.clone());
                Draft::from(pool)
            });
            self.pools.insert(target.pool.clone(), reached);
        }
        self.pools.get(&target.pool).is_some_and(Option::is_some)
    }

    fn pool_of(&self, block: &Directive, report: &mut Report) -> Option<Map> {
        let check = self.checks.get(block.word(0));
        let mut pool = pool(block, report)?;
        // Nginx has it in a location, many who write of it in the upstream.
        let own = block.block.iter().flatten().find(|inner| inner.name == "health_check");
        let own = own.map(|own| (own, &self.http));
        let check = check.map(|(directive, scope)| (*directive, scope)).or(own);
        if let Some((directive, scope)) = check {
            let health = health::health(directive, block.word(0), scope, &self.http, report);
            pool.put("health", health);
        }
        Some(pool)
    }

    /// All pools: of upstreams that no route uses, too, so that they can be looked at.
    pub fn into_pools(mut self, report: &mut Report) -> Map {
        // Who is asked nothing needs no check.
        self.checks.clear();
        let names: Vec<String> = self.blocks.keys().map(|name| (*name).to_owned()).collect();
        for name in names {
            self.has_pool(&name, report);
        }
        let mut pools = Map::default();
        for (name, pool) in self.pools {
            pools.put_some(&name, pool);
        }
        pools
    }
}

/// `proxy_bind ADDRESS`
fn bind(target: &mut Target, scope: &Scope, report: &mut Report) {
    let kind = if target.is_grpc { "grpc_bind" } else { "proxy_bind" };
    let Some(said) = scope.one(kind) else { return };
    match said.word(0).parse::<IpAddr>() {
        Ok(address) if said.words.len() == 1 => {
            report.carried(said);
            target.is_reached_by("connect_from", address.to_string(), &format!("-from-{address}"));
        }
        _ if said.word(0) == "off" => report.carried(said),
        _ => report.missing(
            said,
            "only an address is known here; connections come from where the system has them",
        ),
    }
}

fn is_connection(field: &Directive) -> bool {
    field.word(0).eq_ignore_ascii_case("connection") && field.word(1) != "close"
}

fn of_one_server(name: &str, port: u16) -> Map {
    let backend = Map::default()
        .with("address", with_port(name, port))
        .with("max_fails", 0_u32);
    as_nginx(
        Map::default()
            .with("select", "round_robin")
            .with("backends", vec![backend]),
    )
}

/// What Nginx's upstreams do not have: a queue, and ejection by what a backend answers.
fn as_nginx(pool: Map) -> Map {
    pool.with("ejection", Map::default().with("consecutive_5xx", 0_u32))
        .with("queue", Map::default().with("length", 0_u32))
}

/// `10.0.0.1`, `[::1]` and `worker.internal` get a port where none is said.
fn with_port(address: &str, port: u16) -> String {
    let behind_brackets = address.rsplit(']').next().unwrap_or(address);
    if behind_brackets.contains(':') {
        address.to_owned()
    } else {
        format!("{address}:{port}")
    }
}

fn pool(block: &Directive, report: &mut Report) -> Option<Map> {
    report.carried(block);
    let (mut select, mut backends, mut discovered) = (Draft::from("round_robin"), Vec::new(), Vec::new());
    let (mut sticky, mut timeouts) = (None, Map::default());
    for directive in block.block.iter().flatten() {
        match directive.name.as_str() {
            "server" => server(directive, &mut backends, &mut discovered, report),
            "ip_hash" | "hash" | "least_conn" | "random" => select = selection(directive, report).unwrap_or(select),
            "sticky" => sticky = sticky_cookie(directive, report),
            "keepalive_timeout" => {
                timeouts.put_some("idle", values::time(directive.word(0)));
                report.carried(directive);
            }
            "keepalive" | "keepalive_requests" | "keepalive_time" => {
                report.harmless(directive, "Veil keeps every connection until it has been idle for long");
            }
            "zone" | "state" => report.harmless(directive, "all of Veil's threads share one state"),
            _ => {}
        }
    }
    if backends.is_empty() && discovered.is_empty() {
        return None;
    }
    let mut pool = Map::default().with("select", select);
    pool.put_some("sticky", sticky);
    if !backends.is_empty() {
        pool.put("backends", backends);
    }
    if !discovered.is_empty() {
        pool.put("discover", discovered);
    }
    pool.put_part("timeouts", timeouts);
    Some(as_nginx(pool))
}

fn server(directive: &Directive, backends: &mut Vec<Draft>, discovered: &mut Vec<Draft>, report: &mut Report) {
    let address = directive.word(0);
    let address = with_port(address, 80);
    let mut settings = Map::default();
    let (mut by_name, mut known) = (false, true);
    for word in directive.texts().skip(1) {
        match word.split_once('=') {
            Some((key @ ("weight" | "max_fails" | "max_conns"), number)) => match number.parse::<u32>() {
                Ok(0) if key == "max_conns" => {}
                Ok(number) => settings.put(key, number),
                Err(_) => known = false,
            },
            Some((key @ ("fail_timeout" | "slow_start"), text)) => match values::time(text) {
                Some(time) => settings.put(key, time),
                None => known = false,
            },
            None if word == "backup" => settings.put("backup", true),
            None if word == "down" => settings.put("weight", 0_u32),
            None if word == "resolve" => by_name = true,
            _ => known = false,
        }
    }
    match known {
        true => report.carried(directive),
        false => report.missing(
            directive,
            "not all of its parameters are known; the server is taken without them",
        ),
    }
    match address.rsplit_once(':') {
        Some((name, port)) if by_name => {
            let mut dns = Map::default()
                .with("name", name)
                .with("port", Draft::Scalar(port.to_owned()));
            dns.put_part("each", settings);
            discovered.push(Draft::from(Map::default().with("dns", dns)).placed_at(&directive.place));
        }
        _ => {
            if let Some(twin) = backends.iter_mut().find(|backend| backend.says("address", &address)) {
                twin.add("weight", settings.number("weight").unwrap_or(1), 1);
                twin.add("tries", 1, 1);
                if let Some(more) = settings.number("max_conns").filter(|_| twin.is_of("max_conns")) {
                    twin.add("max_conns", more, more);
                }
                return report.changed(
                    directive,
                    "an address is one backend: it has the weight of both, and as many tries",
                );
            }
            let mut backend = Map::default().with("address", address);
            backend.extend(settings);
            backends.push(Draft::from(backend).placed_at(&directive.place));
        }
    }
}

/// `ip_hash`, `hash KEY [consistent]`, `least_conn`, `random [two [least_conn]]`.
fn selection(directive: &Directive, report: &mut Report) -> Option<Draft> {
    match (directive.name.as_str(), directive.word(0)) {
        ("ip_hash", _) => {
            report.carried(directive);
            Some("nginx_ip_hash".into())
        }
        ("least_conn", _) => {
            report.carried(directive);
            Some("least_conn".into())
        }
        ("random", _) => {
            match directive.word(0) {
                "two" if matches!(directive.word(1), "" | "least_conn") => report.carried(directive),
                _ => report.changed(directive, "the less busy one of two at random is chosen"),
            }
            Some("random_two".into())
        }
        (_, key) => {
            let Some(key_of) = hash_key(key) else {
                report.missing(
                    directive,
                    format!("a hash of {key:?} is not known; write another key under `select`"),
                );
                return None;
            };
            match directive.word(1) {
                "consistent" => report.carried(directive),
                _ => report.changed(
                    directive,
                    "the hash is consistent: other keys go to other servers than Nginx's",
                ),
            }
            let ketama = Map::default()
                .with("key", key_of)
                .with("load_factor", Draft::Scalar("off".into()));
            Some(Map::default().with("ketama", ketama).into())
        }
    }
}

/// What a hash is taken of.
fn hash_key(key: &str) -> Option<Draft> {
    let of = |kind: &str, name: &str| Draft::from(Map::default().with(kind, name.to_owned()));
    match key.trim_start_matches('$').trim_matches(['{', '}']) {
        "remote_addr" | "binary_remote_addr" => Some("client_address".into()),
        "uri" => Some("path".into()),
        "request_uri" => Some("request_uri".into()),
        _ if key.matches('$').count() > 1 || !key.starts_with('$') => {
            Some(Map::default().with("template", several(key)?).into())
        }
        name => {
            let named = |prefix: &str| name.strip_prefix(prefix).filter(|_| key.matches('$').count() == 1);
            named("arg_")
                .map(|name| of("query", name))
                .or_else(|| named("cookie_").map(|name| of("cookie", name)))
                .or_else(|| named("http_").map(|name| of("header", &name.replace('_', "-"))))
        }
    }
}

/// Several of these together.
fn several(key: &str) -> Option<String> {
    let (before, mut rest) = key.split_once('$')?;
    let mut written = before.to_owned();
    loop {
        let (name, behind) = texts::name(rest);
        let (text, next) = match behind.split_once('$') {
            Some((text, next)) => (text, Some(next)),
            None => (behind, None),
        };
        let named = |theirs: &str, ours: &str| Some(format!("{ours}{}", name.strip_prefix(theirs)?));
        let ours = match name {
            "remote_addr" | "binary_remote_addr" => "client_address".to_owned(),
            "uri" => "path".to_owned(),
            "host" | "request_uri" => name.to_owned(),
            _ => named("arg_", "query_")
                .or_else(|| named("cookie_", "cookie_"))
                .or_else(|| named("http_", "header_"))?,
        };
        written.extend(["$(", &ours, ")", text]);
        let Some(next) = next else { return Some(written) };
        rest = next;
    }
}

/// `sticky cookie NAME [expires=1h] [httponly] [secure] [samesite=strict]`
fn sticky_cookie(directive: &Directive, report: &mut Report) -> Option<Map> {
    if directive.word(0) != "cookie" {
        report.missing(
            directive,
            "of sticky sessions only those by a cookie of the balancer's are known",
        );
        return None;
    }
    let mut sticky = Map::default().with("cookie", directive.word(1));
    let mut known = true;
    for word in directive.texts().skip(2) {
        match word.split_once('=') {
            Some(("expires", time)) if time != "max" => sticky.put_some("max_age", values::time(time)),
            Some(("samesite", site @ ("lax" | "strict" | "none"))) => sticky.put("same_site", site),
            None if word == "secure" => sticky.put("secure", "always"),
            Some(("path", "/")) => {}
            None if word == "httponly" => {}
            _ => known = false,
        }
    }
    match known {
        true => report.changed(
            directive,
            "the cookie's value is another than Nginx's: each client is balanced once more",
        ),
        false => report.missing(
            directive,
            "not all of its parameters are known; the cookie is set without them",
        ),
    }
    Some(sticky)
}
