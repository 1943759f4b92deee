//! Where `proxy_pass` and `grpc_pass` send requests, and what of their paths is written anew on the way.

use std::collections::BTreeSet;

use super::draft::{Draft, Map};
use super::locations::Paths;
use super::report::Report;
use super::scope::Scope;
use super::syntax::Directive;
use super::texts;

/// What `proxy_pass` names.
pub struct Target {
    /// An upstream, or an address with its port, or a Unix socket.
    pub name: String,
    /// What its pool is called: an upstream that is reached in several ways has one for each.
    pub pool: String,
    /// How it is reached, as a pool says it.
    pub transport: Map,
    /// Where no port is said.
    pub port: u16,
    /// Nginx: `$proxy_host`.
    pub host: String,
    /// Calls of gRPC, which pass as they come.
    pub is_grpc: bool,
    /// What becomes of the path; none where it stays as it was sent.
    pub rewrite: Option<Draft>,
    /// How addresses begin there, and with what the client asks for them. Nginx: `proxy_redirect default`.
    pub back: Option<(String, String)>,
}

impl Target {
    /// `http://NAME[URI]` in a location for these paths; nothing where the report says why it cannot be carried over.
    pub fn of(pass: &Directive, url: &str, scope: &Scope, paths: &Paths, report: &mut Report) -> Option<Self> {
        let mut missing = |what: &str| {
            report.missing(pass, what);
            None
        };
        if texts::has_variables(url) {
            return missing("a server that is known with each request only; write a route for each of them");
        }
        let Some((way, rest)) = way(pass, url) else {
            return missing("there is no such way to a backend; those requests are answered with 404");
        };
        let (name, path) = match rest.strip_prefix("unix:") {
            Some(_) => socket_and_path(rest),
            None => name_and_path(rest),
        };
        let was_variable = texts::has_variables(pass.word(0));
        if was_variable && path.is_some() {
            return missing("behind a variable Nginx takes a path as it is; write the address and the path themselves");
        }
        let rewrite = match path {
            None => None,
            Some(path) => match in_place(paths, path) {
                Ok(rewrite) => rewrite,
                Err(what) => return missing(what),
            },
        };
        match was_variable {
            true => report.changed(
                pass,
                "its name is looked up when the configuration is read, not for each request",
            ),
            false => report.carried(pass),
        }
        let host = if name.starts_with("unix:") { "localhost" } else { name };
        Some(Self {
            name: name.to_owned(),
            pool: format!("{name}{}", way.suffix),
            transport: transport(&way, scope, host, report),
            port: if way.is_secure { 443 } else { 80 },
            host: host.to_owned(),
            is_grpc: way.directives == GRPC,
            rewrite,
            back: (!was_variable && way.directives != GRPC)
                .then(|| back(url, path, paths))
                .flatten(),
        })
    }
}

impl Target {
    /// Has it reached in another way, by a pool of its own.
    pub fn is_reached_by(&mut self, key: &str, value: impl Into<Draft>, suffix: &str) {
        self.transport.put(key, value);
        self.pool.push_str(suffix);
    }
}

/// What `proxy_pass` may name, each with the condition under which it does: one without, or all values of a `map`.
pub fn choices(pass: &Directive, http: &Scope, report: &Report) -> Vec<(Option<String>, String)> {
    let url = report.words.with_constants(pass.word(0));
    let Some((before, name)) = url.split_once('$') else {
        return vec![(None, url)];
    };
    let name = name.trim_start_matches('{').trim_end_matches('}');
    let tables = http.own_named("map").chain(http.own_named("split_clients"));
    let Some(table) = tables
        .into_iter()
        .find(|table| table.word(1).strip_prefix('$') == Some(name))
    else {
        return vec![(None, url)];
    };
    let rows = table.block.iter().flatten().map(|row| row.word(0));
    let values: BTreeSet<&str> = rows
        .filter(|value| !value.is_empty() && !texts::has_variables(value))
        .collect();
    let choice = |value: &str| {
        let holds = format!("filled({:?}) == {value:?}", format!("$table_{name}"));
        (Some(holds), format!("{before}{value}"))
    };
    values.into_iter().map(choice).collect()
}

fn back(url: &str, path: Option<&str>, paths: &Paths) -> Option<(String, String)> {
    match (path, paths) {
        (None, _) => Some((format!("{url}/"), "/".to_owned())),
        (Some(_), Paths::Prefix(ours) | Paths::Exact(ours)) => Some((url.to_owned(), ours.clone())),
        (Some(_), Paths::Regex(_)) => None,
    }
}

/// What comes before a server's name.
struct Way {
    /// What the directives begin with that are for it.
    directives: &'static str,
    is_secure: bool,
    suffix: &'static str,
}

const GRPC: &str = "grpc";

fn way<'a>(pass: &Directive, url: &'a str) -> Option<(Way, &'a str)> {
    let is_grpc = pass.name == "grpc_pass";
    let (scheme, rest) = match url.split_once("://") {
        Some(apart) => apart,
        None if is_grpc => ("grpc", url),
        None => return None,
    };
    let (directives, is_secure, suffix) = match (scheme, is_grpc) {
        ("http", false) => ("proxy", false, ""),
        ("https", false) => ("proxy", true, "-tls"),
        ("grpc", true) => (GRPC, false, "-grpc"),
        ("grpcs", true) => (GRPC, true, "-grpc-tls"),
        _ => return None,
    };
    let way = Way {
        directives,
        is_secure,
        suffix,
    };
    Some((way, rest))
}

fn transport(way: &Way, scope: &Scope, host: &str, report: &mut Report) -> Map {
    let mut transport = Map::default();
    if way.directives == GRPC {
        transport.put("http2", true);
    }
    if way.is_secure {
        transport.put("tls", tls(way.directives, scope, host, report));
    }
    transport
}

/// `proxy_ssl_…` or `grpc_ssl_…`. Nginx believes any certificate unless it is told otherwise.
fn tls(directives: &str, scope: &Scope, host: &str, report: &mut Report) -> Map {
    let said = |what: &str| scope.one(&format!("{directives}_ssl_{what}"));
    let mut tls = Map::default();
    let verified = scope.is_on(&format!("{directives}_ssl_verify"), report) == Some(true);
    if !verified {
        tls.put("danger_accept_any_certificate", true);
    }
    for (key, what) in [
        ("ca", "trusted_certificate"),
        ("certificate", "certificate"),
        ("key", "certificate_key"),
    ] {
        if let Some(file) = said(what) {
            report.carried(file);
            tls.put(key, file.word(0));
        }
    }
    match said("name") {
        Some(name) => match report.words.with_constants(name.word(0)) {
            said if texts::has_variables(&said) => report.missing(
                name,
                "one name for all of a pool's backends, or that of each one's address",
            ),
            said => {
                report.carried(name);
                tls.put("server_name", said);
            }
        },
        None => tls.put("server_name", without_port(host)),
    }
    for what in ["server_name", "session_reuse", "protocols", "ciphers"] {
        if let Some(directive) = said(what) {
            report.harmless(
                directive,
                "backends are always told the name, sessions resumed, and TLS 1.2 and 1.3 spoken",
            );
        }
    }
    tls
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            name.trim_start_matches('[').trim_end_matches(']')
        }
        _ => host,
    }
}

/// `unix:/run/app.sock` and `/PATH` of `unix:/run/app.sock:/PATH`.
fn socket_and_path(name: &str) -> (&str, Option<&str>) {
    match name.get("unix:".len()..).and_then(|path| path.find(':')) {
        Some(colon) => {
            let colon = "unix:".len() + colon;
            (&name[..colon], Some(&name[colon + 1..]).filter(|path| !path.is_empty()))
        }
        None => (name, None),
    }
}

/// `NAME` and `/PATH` of `NAME/PATH`.
pub fn name_and_path(url: &str) -> (&str, Option<&str>) {
    let (name, path) = url.split_at(url.find('/').unwrap_or(url.len()));
    (name, Some(path).filter(|path| !path.is_empty()))
}

/// The location's own path is replaced by that of `proxy_pass`.
fn in_place(paths: &Paths, path: &str) -> Result<Option<Draft>, &'static str> {
    let rewrite = |map: Map| Some(Draft::from(Map::default().with("rewrite", map)));
    match paths {
        Paths::Prefix(prefix) | Paths::Exact(prefix) if prefix == path => Ok(None),
        Paths::Exact(_) => Ok(rewrite(Map::default().with("to", path))),
        Paths::Prefix(prefix) => {
            let expression = format!("(?s)^{}(.*)$", texts::escaped(prefix));
            let to = format!("{path}$capture_1");
            Ok(rewrite(Map::default().with("path", expression).with("to", to)))
        }
        Paths::Regex(_) => Err("Nginx does not take a path here"),
    }
}
