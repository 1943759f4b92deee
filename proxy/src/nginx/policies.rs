//! What Nginx's modules do to a request or an answer becomes filters.

use http::HeaderName;

use super::draft::{Draft, Map};
use super::report::Report;
use super::scope::Scope;
use super::syntax::Directive;
use super::target::name_and_path;
use super::texts;
use super::upstreams::Upstreams;
use crate::yaml::units::{ByteSize, Moment};

pub(super) fn filter(name: &str, settings: Map) -> Draft {
    Map::default().with(name, settings).into()
}

/// `return CODE [TEXT]`, `return CODE URL`, `return URL`.
pub fn answer(directive: &Directive, place: &Place, report: &mut Report) -> Option<Draft> {
    let (status, text) = match directive.word(0).parse::<u16>() {
        Ok(status) => (status, directive.word(1)),
        Err(_) => (302, directive.word(0)),
    };
    if matches!(status, 301 | 302 | 303 | 307 | 308) {
        return redirect(directive, status, text, &place.here, report);
    }
    if !(200..=599).contains(&status) {
        report.missing(
            directive,
            "no status that ends a request; those requests are answered with 404",
        );
        return None;
    }
    // Nginx has a page of 400 for its own.
    let is_bad = (494..=497).contains(&status) && text.is_empty() && !place.paged.contains(&status);
    let mut settings = Map::default().with("status", if is_bad { 400 } else { status });
    let template = template(directive, text, report)?;
    if texts::has_variables(text) {
        settings.put("template", template);
    } else if !text.is_empty() {
        settings.put("body", text);
    }
    if !text.is_empty() {
        settings.put("content_type", &*place.content_type);
    }
    report.carried(directive);
    Some(filter("respond", settings))
}

/// What a place says of the answers that are given there.
pub struct Place {
    /// What a redirect's path comes behind.
    pub here: String,
    /// Of texts.
    content_type: String,
    /// Statuses that have a page there.
    paged: Vec<u16>,
}

impl Place {
    pub fn of(scope: &Scope, port: u16, report: &mut Report) -> Self {
        let pages = scope.all("error_page");
        let statuses = pages.iter().flat_map(|page| page.texts());
        Self {
            here: here(scope, port, report),
            content_type: content_type(scope),
            paged: statuses.filter_map(|status| status.parse().ok()).collect(),
        }
    }
}

/// Of texts that Nginx answers with itself.
fn content_type(scope: &Scope) -> String {
    let said = |name: &str| scope.one(name).map(|directive| directive.word(0));
    let of = said("default_type").unwrap_or("text/plain");
    match said("charset").filter(|charset| *charset != "off" && !texts::has_variables(charset)) {
        Some(charset) if TEXTS.contains(&of) => format!("{of}; charset={charset}"),
        _ => of.to_owned(),
    }
}

/// Those that go with a charset. Nginx: `charset_types`.
const TEXTS: [&str; 6] = [
    "text/html",
    "text/xml",
    "text/plain",
    "text/vnd.wap.wml",
    "application/javascript",
    "application/rss+xml",
];

fn redirect(directive: &Directive, status: u16, url: &str, here: &str, report: &mut Report) -> Option<Draft> {
    let to = template(directive, url, report)?;
    report.carried(directive);
    let to = if to.starts_with('/') { format!("{here}{to}") } else { to };
    Some(filter("redirect", Map::default().with("to", to).with("status", status)))
}

/// What it says in Veil's words; none where a variable is not known, which is reported.
fn template(directive: &Directive, text: &str, report: &mut Report) -> Option<String> {
    let template = report.words.template(text);
    let told = template.map_err(|variable| {
        report.missing(
            directive,
            format!("{variable} is not known; those requests are answered with 404"),
        );
    });
    told.ok()
}

/// What Nginx puts before the path of a redirect: scheme, host and the port that was connected to, as the directives say.
pub fn here(scope: &Scope, port: u16, report: &mut Report) -> String {
    if scope.is_on("absolute_redirect", report) == Some(false) {
        return String::new();
    }
    let name = report.words.server_name.clone();
    let host = match scope.is_on("server_name_in_redirect", report) == Some(true) && !name.is_empty() {
        true => name.replace('$', "$$"),
        false => "$host".to_owned(),
    };
    match port {
        80 | 443 => format!("$scheme://{host}"),
        _ if scope.is_on("port_in_redirect", report) == Some(false) => format!("$scheme://{host}"),
        port => format!("$scheme://{host}:{port}"),
    }
}

/// `allow` and `deny`, whose first that fits decides.
pub fn access(scope: &Scope, report: &mut Report) -> Option<Draft> {
    let rules = scope.all_of(&["allow", "deny"]);
    if rules.is_empty() {
        return None;
    }
    let (mut allow, mut deny, mut ends) = (Vec::new(), Vec::new(), None);
    for rule in &rules {
        let network = rule.word(0);
        match (rule.name.as_str(), network) {
            _ if ends.is_some() => {}
            (name, "all") => ends = Some(name),
            ("allow", network) => allow.push(network),
            // A denied network is looked at before all allowed ones.
            (_, network) if allow.is_empty() => deny.push(network),
            _ => {
                rules.iter().for_each(|rule| {
                    report.missing(
                        rule,
                        "networks that are denied come before those that are allowed: write them in that order",
                    )
                });
                return Some(closed());
            }
        }
    }
    rules.iter().for_each(|rule| report.carried(rule));
    let list = |networks: Vec<&str>| networks.into_iter().map(Draft::from).collect::<Vec<_>>();
    let mut settings = Map::default();
    match (ends, allow.is_empty()) {
        (Some("deny"), true) => return Some(closed()),
        (Some("deny"), false) => settings.put("allow", list(allow)),
        _ => {}
    }
    if !deny.is_empty() {
        settings.put("deny", list(deny));
    }
    (!settings.is_empty()).then(|| filter("access", settings))
}

/// These filters where none of the conditions holds.
pub fn unless(conditions: &[String], filters: Vec<Draft>) -> Vec<Draft> {
    if conditions.is_empty() {
        return filters;
    }
    let none = conditions.iter().map(|condition| format!("!({condition})"));
    let none = none.collect::<Vec<_>>().join(" && ");
    let filters = filters.into_iter().map(|filter| match filter {
        Draft::Map(map) => map.with("when", none.as_str()).into(),
        filter => filter,
    });
    filters.collect()
}

/// Where it cannot be said who may come in, nobody may.
pub fn closed() -> Draft {
    let everybody = vec![Draft::from("0.0.0.0/0"), Draft::from("::/0")];
    filter("access", Map::default().with("deny", everybody))
}

/// Directives that ask for leave in ways that are not known here.
const GUARDS: [&str; 5] = [
    "auth_jwt",
    "secure_link",
    "ssl_verify_client",
    "valid_referers",
    "auth_delay",
];

/// Keeps everybody out of what Nginx let in by other leave than an address. `are_clients_asked` says that the listener asks
/// for clients' certificates.
pub fn guards(scope: &Scope, are_clients_asked: bool, report: &mut Report) -> Option<Draft> {
    let holds = |directive: &&Directive| {
        let is_asked = directive.name == "ssl_verify_client" && are_clients_asked;
        !is_asked && !matches!(directive.word(0), "off" | "all" | "")
    };
    let guards: Vec<&Directive> = GUARDS.iter().filter_map(|name| scope.one(name)).filter(holds).collect();
    for guard in &guards {
        report.missing(
            guard,
            "it is not known; until it is replaced, those requests are answered with 403",
        );
    }
    (!guards.is_empty()).then(closed)
}

/// Who may come in: all of `access`, `auth_basic` and `auth_request` have to let one in, or with `satisfy any` one of them.
pub fn doors<'a>(
    scope: &Scope<'a>,
    server: &Scope<'a>,
    upstreams: &mut Upstreams<'a>,
    report: &mut Report,
) -> Vec<Draft> {
    let by_address = !scope.all_of(&["allow", "deny"]).is_empty();
    let access = access(scope, report);
    let is_open = by_address && access.is_none();
    let mut doors: Vec<Draft> = access.into_iter().collect();
    doors.extend(basic_auth(scope, report));
    doors.extend(forward_auth(scope, server, upstreams, report));
    let satisfy = scope.one("satisfy");
    satisfy.into_iter().for_each(|directive| report.carried(directive));
    match satisfy.map(|directive| directive.word(0)) {
        Some("any") if is_open => Vec::new(),
        Some("any") if doors.len() > 1 => vec![Map::default().with("any_of", doors).into()],
        _ => doors,
    }
}

/// `auth_basic` with `auth_basic_user_file`.
pub fn basic_auth(scope: &Scope, report: &mut Report) -> Option<Draft> {
    let realm = scope.one("auth_basic").filter(|directive| directive.word(0) != "off")?;
    let file = scope
        .one("auth_basic_user_file")
        .filter(|_| !texts::has_variables(realm.word(0)));
    let Some((file, users)) = file.and_then(|file| Some((file, users(file, report)?))) else {
        report.missing(
            realm,
            "it has no file of users, or variables that are not known; those requests are answered with 403",
        );
        return Some(closed());
    };
    report.carried(realm);
    report.carried(file);
    let mut settings = Map::default().with("realm", realm.word(0));
    settings.extend(users);
    Some(filter(
        "basic_auth",
        settings.with("forward", true).with("tolerant", true),
    ))
}

/// The file of users; or the folder of those whose names have variables, from the first part on that has any.
fn users(directive: &Directive, report: &Report) -> Option<Map> {
    let path = directive.word(0);
    let Some((before, _)) = path.split_once('$') else {
        return Some(Map::default().with("file", path));
    };
    let (folder, name) = path.split_at(before.rfind('/').map_or(0, |slash| slash + 1));
    let name = report.words.template(name).ok()?;
    let folder = if folder.is_empty() { "." } else { folder };
    Some(Map::default().with("folder", folder).with("file", name))
}

/// `auth_request PATH`, by the location of that very path.
pub fn forward_auth<'a>(
    scope: &Scope<'a>,
    server: &Scope<'a>,
    upstreams: &mut Upstreams<'a>,
    report: &mut Report,
) -> Option<Draft> {
    let asks = scope
        .one("auth_request")
        .filter(|directive| directive.word(0) != "off")?;
    let path = asks.word(0);
    let mut locations = server.own_named("location");
    let location = locations.find(|location| (location.word(0), location.word(1)) == ("=", path));
    let pass = location.and_then(|location| server.within(location).own_named("proxy_pass").next());
    let url = pass
        .and_then(|pass| pass.word(0).strip_prefix("http://"))
        .filter(|url| !texts::has_variables(url));
    let Some((pass, url)) = pass.zip(url) else {
        report.missing(
            asks,
            "there is no location of just that path that passes it on; those requests are answered with 403",
        );
        return Some(closed());
    };
    let (name, asked) = name_and_path(url);
    if !upstreams.has_pool(name, report) {
        report.missing(asks, "nobody can be asked; those requests are answered with 403");
        return Some(closed());
    }
    report.carried(pass);
    report.changed(
        asks,
        "who is asked sees the client's Authorization and Cookie, not all of its fields",
    );
    let mut settings = Map::default().with("pool", name).with("path", asked.unwrap_or(path));
    settings.put_part("note", told(scope, report));
    Some(filter("forward_auth", settings))
}

/// `auth_request_set $NAME $upstream_http_FIELD`.
fn told(scope: &Scope, report: &mut Report) -> Map {
    let mut told = Map::default();
    for directive in scope.all("auth_request_set") {
        let name = directive.word(0).trim_start_matches('$');
        let field = directive
            .word(1)
            .strip_prefix("$upstream_http_")
            .map(|field| field.replace('_', "-"));
        match field.filter(|field| HeaderName::try_from(field.as_str()).is_ok() && !told.has(name)) {
            Some(field) => {
                report.carried(directive);
                told.put(name, field);
            }
            None => report.missing(
                directive,
                "only $upstream_http_… is known here, once for each name; it is empty",
            ),
        }
    }
    told
}

/// `expires [modified] TIME`.
pub fn expires(scope: &Scope, report: &mut Report) -> Option<Draft> {
    let directive = scope.one("expires").filter(|directive| directive.word(0) != "off")?;
    let (at, since_modified) = match directive.word(0) {
        "modified" => (directive.word(1), true),
        at => (at, false),
    };
    let template = report.words.template(at);
    let Some(template) = template
        .ok()
        .filter(|_| texts::has_variables(at) || at.parse::<Moment>().is_ok())
    else {
        report.missing(directive, "neither a time nor a variable that is known; it is not said");
        return None;
    };
    match at.starts_with('@') {
        true => report.changed(directive, "by UTC, not by the time of a place"),
        false => report.carried(directive),
    }
    let settings = Map::default().with("at", template);
    Some(filter(
        "expires",
        if since_modified {
            settings.with("since_modified", true)
        } else {
            settings
        },
    ))
}

/// `gzip`, with its types and least length.
pub fn compression(scope: &Scope, report: &mut Report) -> Option<Draft> {
    if scope.is_on("gzip", report) != Some(true) {
        return None;
    }
    let mut settings = Map::default().with("codings", vec!["gzip"]);
    let mut types = vec!["text/html".to_owned()];
    if let Some(directive) = scope.one("gzip_types") {
        report.carried(directive);
        types.extend(directive.texts().filter(|name| *name != "text/html").map(str::to_owned));
    }
    let all = types.iter().any(|name| name == "*");
    settings.put("types", if all { vec!["*/*".to_owned()] } else { types });
    settings.put(
        "least_size",
        scope
            .size("gzip_min_length", report)
            .unwrap_or(ByteSize::from_bytes(20)),
    );
    for name in [
        "gzip_proxied",
        "gzip_vary",
        "gzip_http_version",
        "gzip_disable",
        "gzip_comp_level",
        "gzip_buffers",
    ] {
        if let Some(directive) = scope.one(name) {
            report.changed(
                directive,
                "Veil compresses for every client that says it can read it, and says so with Vary",
            );
        }
    }
    Some(filter("compression", settings))
}
