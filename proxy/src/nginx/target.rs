//! Where `proxy_pass` and `grpc_pass` send requests, and what of their paths is written anew on the way.

use std::collections::BTreeSet;

use super::conditions;
use super::draft::{Draft, Map};
use super::paths::Paths;
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
    /// It has variables, and so goes before what rules have made of the path.
    pub has_variables: bool,
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
        let Some((way, rest)) = way(pass, url) else {
            return missing("there is no such way to a backend; those requests are answered with 404");
        };
        let (name, path) = apart(rest);
        if texts::has_variables(name) {
            return missing("a server that is known with each request only; write a route for each of them");
        }
        let was_variable = texts::has_variables(pass.word(0));
        let rewrite = match path {
            None => Ok(None),
            Some(path) if was_variable => as_it_is(path, report).map(Some),
            Some(path) => in_place(paths, path).map_err(str::to_owned),
        };
        let rewrite = match rewrite {
            Ok(rewrite) => rewrite,
            Err(what) => {
                report.missing(pass, what);
                return None;
            }
        };
        tell(pass, path, report);
        let host = if name.starts_with("unix:") { "localhost" } else { name };
        Some(Self {
            name: name.to_owned(),
            pool: format!("{name}{}", way.suffix),
            transport: transport(&way, scope, host, report),
            port: if way.is_secure { 443 } else { 80 },
            host: host.to_owned(),
            is_grpc: way.directives == GRPC,
            rewrite,
            has_variables: was_variable,
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

/// What `proxy_pass` may name, each with the condition under which it does: one without, or all that a variable may be.
pub fn choices(pass: &Directive, http: &Scope, report: &mut Report) -> Vec<(Option<String>, String)> {
    let url = report.words.with_settings(pass.word(0));
    if let Some(scheme) = url.strip_suffix(":/$uri").or_else(|| url.strip_suffix(":/${uri}")) {
        return by_first_part(pass, scheme, http, report);
    }
    let begin = url.find("://").map_or(0, |at| at + "://".len());
    let (authority, _) = apart(&url[begin..]);
    let Some(at) = authority.find('$').map(|at| begin + at) else {
        return vec![(None, url)];
    };
    let (name, behind) = texts::name(&url[at + 1..]);
    let may_be_upstream = at == begin && !behind.starts_with(|c: char| c != '/' && c != '$');
    let values = match (known_values(name, http, report), may_be_upstream) {
        (None, true) => upstreams(pass, http, report),
        (known, _) => known.unwrap_or_default(),
    };
    let (Ok(template), false) = (report.words.template(&format!("${{{name}}}")), values.is_empty()) else {
        return vec![(None, url)];
    };
    let choice = |value: String| {
        let holds = format!(
            "filled({}) == {}",
            conditions::quoted(&template),
            conditions::quoted(&value)
        );
        (Some(holds), format!("{}{value}{behind}", &url[..at]))
    };
    values.into_iter().map(choice).collect()
}

/// `http:/$uri`: what the path begins with is believed to name an upstream.
fn by_first_part(pass: &Directive, scheme: &str, http: &Scope, report: &mut Report) -> Vec<(Option<String>, String)> {
    let upstreams = upstreams(pass, http, report);
    if upstreams.is_empty() {
        return vec![(None, format!("{scheme}:/$uri"))];
    }
    report.changed(
        pass,
        "the path's first part names one of this file's upstreams, which gets the path whole: all else is answered with 502",
    );
    let of = conditions::rhai("$uri", report).unwrap_or_default();
    let choice = |name: String| {
        let expression = format!("^/{}(/|$)", texts::escaped(&name));
        let holds = format!("matches({of}, {})", conditions::quoted(&expression));
        (Some(holds), format!("{scheme}://{name}"))
    };
    upstreams.into_iter().map(choice).collect()
}

/// All that a variable of a `map`, of `split_clients` or of `set` can be; none where that is not to be said.
fn known_values(name: &str, http: &Scope, report: &Report) -> Option<BTreeSet<String>> {
    let mut tables = http.own_named("map").chain(http.own_named("split_clients"));
    let Some(table) = tables.find(|table| table.word(1).strip_prefix('$') == Some(name)) else {
        return Some(report.words.settings(name)?.map(str::to_owned).collect());
    };
    let rows = table.block.iter().flatten().map(|row| row.word(0));
    let plain = rows.filter(|value| !value.is_empty() && !texts::has_variables(value));
    Some(plain.map(str::to_owned).collect())
}

/// What a variable that may be anything is believed to name.
fn upstreams(pass: &Directive, http: &Scope, report: &mut Report) -> BTreeSet<String> {
    let names: BTreeSet<String> = http
        .own_named("upstream")
        .map(|upstream| upstream.word(0).to_owned())
        .collect();
    if !names.is_empty() {
        report.changed(
            pass,
            "of what it may name only this file's upstreams are known: all else is answered with 502",
        );
    }
    names
}

/// Server or socket, and the path behind it, which may begin with a variable.
pub fn apart(rest: &str) -> (&str, Option<&str>) {
    if rest.starts_with("unix:") {
        return socket_and_path(rest);
    }
    let variable = PATHS.iter().filter_map(|variable| rest.find(variable)).min();
    match variable.filter(|at| !rest[..*at].contains('/')) {
        Some(at) => (&rest[..at], Some(&rest[at..])),
        None => name_and_path(rest),
    }
}

/// Variables that begin with a slash.
const PATHS: [&str; 6] = [
    "$request_uri",
    "${request_uri}",
    "$uri",
    "${uri}",
    "$document_uri",
    "${document_uri}",
];

/// What is otherwise where there are variables.
fn tell(pass: &Directive, path: Option<&str>, report: &mut Report) {
    match (texts::has_variables(pass.word(0)), path) {
        (true, None) => report.changed(
            pass,
            "its name is looked up when the configuration is read, not for each request",
        ),
        (true, Some(path)) if texts::has_variables(path) && !matches!(path, "$request_uri" | "${request_uri}") => {
            report.changed(
                pass,
                "what cannot stand in a path is escaped on the way, which Nginx sends as it is",
            );
        }
        _ => report.carried(pass),
    }
}

/// A path with variables goes to backends as it is, without the client's query unless it says so.
///
/// # Errors
/// Why it cannot.
fn as_it_is(path: &str, report: &Report) -> Result<Draft, String> {
    let template = report
        .words
        .template(path)
        .map_err(|variable| format!("{variable} is not known"))?;
    if template.contains(|c: char| c.is_control() || c == ' ' || c == '#') {
        return Err("such a path cannot be asked for".to_owned());
    }
    let says_of_query = ["?", "$request_uri", "$(request_uri)", "query_mark"];
    let mark = if says_of_query.iter().any(|says| template.contains(says)) {
        ""
    } else {
        "?"
    };
    Ok(Map::default()
        .with("rewrite", Map::default().with("to", format!("{template}{mark}")))
        .into())
}

fn back(url: &str, path: Option<&str>, paths: &Paths) -> Option<(String, String)> {
    match (path, paths) {
        (None, _) => Some((format!("{url}/"), "/".to_owned())),
        (Some(_), Paths::Prefix(ours) | Paths::Firm(ours) | Paths::Exact(ours)) => Some((url.to_owned(), ours.clone())),
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
    match verified {
        true => tls.put("common_names", true),
        false => tls.put("danger_accept_any_certificate", true),
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
                tls.put("server_name", without_port(&said));
            }
        },
        None => tls.put("server_name", without_port(host)),
    }
    if scope.is_on(&format!("{directives}_ssl_server_name"), report) != Some(true) {
        tls.put("without_sni", true);
    }
    if scope.is_on(&format!("{directives}_ssl_session_reuse"), report) == Some(false) {
        tls.put("without_resumption", true);
    }
    for what in ["protocols", "ciphers"] {
        if let Some(directive) = said(what) {
            report.harmless(directive, "TLS 1.2 and 1.3 are spoken, with what has forward secrecy");
        }
    }
    tls
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            name.trim_start_matches('[').trim_end_matches(']')
        }
        _ => host.trim_start_matches('[').trim_end_matches(']'),
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
        Paths::Prefix(prefix) | Paths::Firm(prefix) | Paths::Exact(prefix) if prefix == path => Ok(None),
        Paths::Exact(_) => Ok(rewrite(Map::default().with("to", path))),
        Paths::Prefix(prefix) | Paths::Firm(prefix) => {
            let expression = format!("(?s)^{}(.*)$", texts::escaped(prefix));
            let to = format!("{path}$capture_1");
            Ok(rewrite(Map::default().with("path", expression).with("to", to)))
        }
        Paths::Regex(_) => Err("Nginx does not take a path here"),
    }
}
