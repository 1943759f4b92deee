//! `proxy_set_header`, `proxy_hide_header`, `proxy_pass_header` and `add_header` become filters of fields.

use http::HeaderName;

use super::draft::{Draft, Map};
use super::passing::kind;
use super::policies::filter;
use super::report::Report;
use super::scope::Scope;
use super::syntax::Directive;
use crate::request::syntax::is_framing;

/// Fields of Veil's own that say what some `proxy_set_header` say.
pub fn tellings(scope: &Scope, report: &mut Report) -> Vec<&'static str> {
    let mut tellings = Vec::new();
    for directive in scope.all(&format!("{}_set_header", kind(scope))) {
        let told = TELLINGS.iter().find(|told| says(directive, told));
        tellings.extend(told.map(|(name, _)| *name));
        match told {
            Some((_, value)) if *value == "$proxy_add_x_forwarded_for" && scope.one("set_real_ip_from").is_some() => {
                report.changed(
                    directive,
                    "behind a proxy that is believed, its address comes last, not the client's once more",
                );
            }
            Some(_) => report.carried(directive),
            None => {}
        }
    }
    tellings
}

const TELLINGS: [(&str, &str); 3] = [
    ("X-Forwarded-For", "$proxy_add_x_forwarded_for"),
    ("X-Forwarded-Proto", "$scheme"),
    ("X-Real-IP", "$remote_addr"),
];

fn says(directive: &Directive, (name, value): &(&str, &str)) -> bool {
    directive.word(0).eq_ignore_ascii_case(name) && directive.word(1) == *value
}

/// `proxy_set_header`, with Nginx's own `Host` where nothing else is said.
pub fn request_headers(scope: &Scope, target: &str, report: &mut Report) -> Option<Draft> {
    let changes = request_changes(scope, target, report);
    (!changes.is_empty()).then(|| filter("request_headers", changes))
}

/// What becomes of the client's fields.
pub fn request_changes(scope: &Scope, target: &str, report: &mut Report) -> Map {
    let (mut set, mut remove) = (Map::default(), Vec::new());
    let mut host = Some(target.to_owned());
    for directive in scope.all(&format!("{}_set_header", kind(scope))) {
        let (name, value) = (directive.word(0), directive.word(1));
        match (name.to_ascii_lowercase().as_str(), value) {
            ("host", "$http_host") => host = None,
            ("host", "$proxy_host") => {}
            _ if TELLINGS.iter().any(|told| says(directive, told)) => continue,
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
                    // The client's own is none of what would be said.
                    remove.push(Draft::from(name));
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
    settings
}

/// Whether no field has such a name.
pub fn is_no_name(name: &str) -> bool {
    HeaderName::try_from(name).is_err()
}

/// Whether a field is of the connection, or says where the body ends.
pub fn frames(name: &str) -> bool {
    HeaderName::try_from(name).is_ok_and(|name| is_framing(&name))
}

/// `proxy_method` and `proxy_pass_request_headers off`.
pub fn asked_as(scope: &Scope, report: &mut Report) -> Option<Draft> {
    let mut settings = Map::default();
    if let Some(directive) = scope.one("proxy_method") {
        match report.words.template(directive.word(0)) {
            Ok(method) if method != "HEAD" => {
                report.carried(directive);
                settings.put("method", method);
            }
            _ => report.missing(
                directive,
                "HEAD, or a variable that is not known; the client's own method stays",
            ),
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
    let mut replaced = Vec::new();
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
                if let Some(change) = replacing(directive.word(0), &value) {
                    replaced.push((change, directive.word(2) == "always"));
                    continue;
                }
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
    let mut changes: Vec<(Map, bool)> = Vec::new();
    let added = always.into_iter().map(|fields| (fields, true));
    for (fields, on_errors) in added.chain(otherwise.into_iter().map(|fields| (fields, false))) {
        if !fields.is_empty() {
            changes.push((Map::default().with("add", fields), on_errors));
        }
    }
    // Answers pass the last filter first.
    changes.extend(replaced.into_iter().rev());
    let written = |(settings, on_errors): (Map, bool)| {
        let settings = if on_errors {
            settings
        } else {
            let statuses = ADDED_TO.map(Draft::from);
            settings.with("statuses", Draft::List(statuses.into()))
        };
        filter("response_headers", settings)
    };
    changes.into_iter().map(written).collect()
}

/// The answers that `add_header` is for without `always`.
const ADDED_TO: [u16; 10] = [200, 201, 204, 206, 301, 302, 303, 304, 307, 308];

/// Of some fields there is one, which `add_header` puts in the place of another; or none.
fn replacing(name: &str, value: &str) -> Option<Map> {
    let is_one = ["ETag", "Last-Modified"]
        .iter()
        .any(|one| name.eq_ignore_ascii_case(one));
    is_one.then(|| match value {
        "" => Map::default().with("remove", vec![name]),
        value => Map::default().with("set", Map::default().with(name, value)),
    })
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
    let passed = scope.all(&format!("{}_pass_header", kind(scope)));
    let is_passed = |name: &str| passed.iter().any(|passed| passed.word(0).eq_ignore_ascii_case(name));
    let mut hidden: Vec<&str> = OF_BACKENDS.into_iter().filter(|name| !is_passed(name)).collect();
    for directive in scope.all(&format!("{}_hide_header", kind(scope))) {
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
