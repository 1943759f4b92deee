//! `proxy_set_header`, `proxy_hide_header`, `proxy_pass_header` and `add_header` become filters of fields.

use http::HeaderName;

use super::draft::{Draft, Map};
use super::policies::filter;
use super::report::Report;
use super::scope::Scope;
use super::texts;
use crate::request::syntax::is_framing;

/// `proxy_set_header`, with Nginx's own `Host` where nothing else is said.
pub fn request_headers(scope: &Scope, target: &str, report: &mut Report) -> Option<Draft> {
    let (mut set, mut remove) = (Map::default(), Vec::new());
    let mut host = Some(target.to_owned());
    for directive in scope.all("proxy_set_header") {
        let (name, value) = (directive.word(0), directive.word(1));
        match (name.to_ascii_lowercase().as_str(), value) {
            ("host", "$http_host") => host = None,
            ("host", "$proxy_host") => {}
            ("x-real-ip", "$remote_addr") | ("x-forwarded-proto", "$scheme") => {}
            ("x-forwarded-for", "$proxy_add_x_forwarded_for") => {
                report.changed(
                    directive,
                    "what strangers say in this field goes to no backend: only proxies that are trusted are believed",
                );
                continue;
            }
            (name, _) if HeaderName::try_from(name).is_err() => {
                report.missing(directive, "no field has such a name; it is left out");
                continue;
            }
            (name, _) if frames(name) => {
                report.harmless(
                    directive,
                    "Veil keeps connections, lets protocols change and says how long bodies are by itself",
                );
                continue;
            }
            (_, "") => remove.push(Draft::from(name)),
            ("host", value) => match report.words.template(value) {
                Ok(value) => host = Some(value),
                Err(variable) => {
                    report.missing(
                        directive,
                        format!("{variable} is not known; Host is as the client sent it"),
                    );
                    host = None;
                    continue;
                }
            },
            (_, value) => match report.words.template(value) {
                Ok(value) => set.put(name, value),
                Err(variable) => {
                    report.missing(directive, format!("{variable} is not known; the field is left out"));
                    continue;
                }
            },
        }
        report.carried(directive);
    }
    set.put_some("Host", host);
    let mut settings = Map::default();
    settings.put_part("set", set);
    if !remove.is_empty() {
        settings.put("remove", remove);
    }
    (!settings.is_empty()).then(|| filter("request_headers", settings))
}

/// Whether a field is of the connection, or says where the body ends.
fn frames(name: &str) -> bool {
    HeaderName::try_from(name).is_ok_and(|name| is_framing(&name))
}

/// `proxy_method` and `proxy_pass_request_headers off`.
pub fn asked_as(scope: &Scope, report: &mut Report) -> Option<Draft> {
    let mut settings = Map::default();
    if let Some(directive) = scope.one("proxy_method") {
        match directive.word(0).to_ascii_uppercase() {
            method if texts::has_variables(&method) || method == "HEAD" => {
                report.missing(
                    directive,
                    "only a method that is written here, other than HEAD; the client's own stays",
                );
            }
            method => {
                report.carried(directive);
                settings.put("method", method);
            }
        }
    }
    if scope.is_on("proxy_pass_request_headers", report) == Some(false) {
        settings.put("fields", Draft::List(Vec::new()));
    }
    (!settings.is_empty()).then(|| filter("asked_as", settings))
}

/// `add_header`
pub fn response_headers(scope: &Scope, report: &mut Report) -> Vec<Draft> {
    let (mut always, mut otherwise) = (vec![Map::default()], vec![Map::default()]);
    for directive in scope.all("add_header") {
        if frames(directive.word(0)) || HeaderName::try_from(directive.word(0)).is_err() {
            report.missing(
                directive,
                "a field of the connection's own, or of no name at all; it is left out",
            );
            continue;
        }
        match report.words.template(directive.word(1)) {
            Ok(value) => {
                report.carried(directive);
                let fields = match directive.word(2) {
                    "always" => &mut always,
                    _ => &mut otherwise,
                };
                // A name may come twice.
                if fields.iter().all(|fields| fields.has(directive.word(0))) {
                    fields.push(Map::default());
                }
                if let Some(fields) = fields.iter_mut().find(|fields| !fields.has(directive.word(0))) {
                    fields.put(directive.word(0), value);
                }
            }
            Err(variable) => report.missing(directive, format!("{variable} is not known; the field is left out")),
        }
    }
    let mut filters = Vec::new();
    let added = always.into_iter().map(|fields| (fields, true));
    for (fields, on_errors) in added.chain(otherwise.into_iter().map(|fields| (fields, false))) {
        if fields.is_empty() {
            continue;
        }
        let mut settings = Map::default().with("add", fields);
        if !on_errors {
            settings.put("on_errors", false);
        }
        filters.push(filter("response_headers", settings));
    }
    filters
}

/// Fields of backends that Nginx keeps to itself, unless it is told otherwise.
const OF_BACKENDS: [&str; 6] = [
    "Server",
    "X-Accel-Buffering",
    "X-Accel-Charset",
    "X-Accel-Expires",
    "X-Accel-Limit-Rate",
    "X-Accel-Redirect",
];

/// `proxy_hide_header` and `proxy_pass_header`. Comes behind what adds fields, for answers pass the last filter first.
pub fn hidden(scope: &Scope, report: &mut Report) -> Draft {
    let passed = scope.all("proxy_pass_header");
    let is_passed = |name: &str| passed.iter().any(|passed| passed.word(0).eq_ignore_ascii_case(name));
    let mut hidden: Vec<&str> = OF_BACKENDS.into_iter().filter(|name| !is_passed(name)).collect();
    for directive in scope.all("proxy_hide_header") {
        let name = directive.word(0);
        if frames(name) || HeaderName::try_from(name).is_err() {
            report.harmless(directive, "no such field of a backend's ever reaches clients as it was");
            continue;
        }
        report.carried(directive);
        if !is_passed(name) && hidden.iter().all(|hidden| !hidden.eq_ignore_ascii_case(name)) {
            hidden.push(name);
        }
    }
    passed.iter().for_each(|directive| report.carried(directive));
    filter("response_headers", Map::default().with("remove", hidden))
}
