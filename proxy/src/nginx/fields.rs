//! `proxy_set_header`, `proxy_hide_header`, `proxy_pass_header` and `add_header` become filters of fields.

use super::draft::{Draft, Map};
use super::policies::filter;
use super::report::Report;
use super::scope::Scope;

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
            ("connection" | "upgrade", _) => {
                report.harmless(
                    directive,
                    "Veil keeps connections, and lets protocols change, by itself",
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

/// `add_header`
pub fn response_headers(scope: &Scope, report: &mut Report) -> Vec<Draft> {
    let (mut always, mut otherwise) = (vec![Map::default()], vec![Map::default()]);
    for directive in scope.all("add_header") {
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
        report.carried(directive);
        let name = directive.word(0);
        if !is_passed(name) && hidden.iter().all(|hidden| !hidden.eq_ignore_ascii_case(name)) {
            hidden.push(name);
        }
    }
    passed.iter().for_each(|directive| report.carried(directive));
    filter("response_headers", Map::default().with("remove", hidden))
}
