//! How requests are passed on: who else is asked, how long all of it may take, and what of a body is kept.

use super::draft::{Draft, Map};
use super::mirrors;
use super::report::Report;
use super::scope::Scope;
use super::values;
use crate::yaml::units::ByteSize;

/// What the directives begin with that say how this place passes requests on: calls of gRPC have their own.
pub fn kind(scope: &Scope) -> &'static str {
    match scope.own_named("grpc_pass").next() {
        Some(_) => "grpc",
        None => "proxy",
    }
}

/// `proxy_next_upstream` and what bounds it.
pub fn retry(route: &mut Map, scope: &Scope, report: &mut Report) {
    let kind = kind(scope);
    let said = scope.one(&format!("{kind}_next_upstream"));
    let words: Vec<&str> = said.map_or_else(|| vec!["error", "timeout"], |directive| directive.texts().collect());
    let mut retry_on = Vec::new();
    let mut unknown = None;
    for word in &words {
        match *word {
            "timeout" => retry_on.push(Draft::from("timeout")),
            "error" | "off" | "invalid_header" | "non_idempotent" => {}
            word => match word.strip_prefix("http_").and_then(|status| status.parse::<u16>().ok()) {
                Some(status) => retry_on.push(status.into()),
                None => unknown = Some(word),
            },
        }
    }
    if let Some(directive) = said {
        match unknown {
            Some(word) => report.missing(directive, format!("{word} is not known; it is left out")),
            None => report.carried(directive),
        }
    }
    if words.contains(&"non_idempotent") {
        route.put("idempotent", true);
    }
    let tries = scope.one(&format!("{kind}_next_upstream_tries"));
    if let Some(directive) = tries {
        report.carried(directive);
    }
    let tries = tries
        .and_then(|directive| directive.word(0).parse::<u32>().ok())
        .filter(|tries| *tries > 0);
    let attempts = if words.contains(&"off") {
        1
    } else {
        tries.unwrap_or(ALL)
    };
    route.put(
        "retry",
        Map::default().with("attempts", attempts).with("retry_on", retry_on),
    );
}

/// Nginx asks every server of an upstream, once each.
const ALL: u32 = 1000;

pub fn timeouts(scope: &Scope, report: &mut Report) -> Map {
    let (kind, mut timeouts) = (kind(scope), Map::default());
    for (key, name) in [
        ("connect", "connect_timeout"),
        ("send", "send_timeout"),
        ("read", "read_timeout"),
        ("total", "next_upstream_timeout"),
    ] {
        let said = scope.time(&format!("{kind}_{name}"), report);
        timeouts.put_some(key, said.filter(|time| !time.get().is_zero()));
    }
    timeouts
}

pub fn body(scope: &Scope, report: &mut Report) -> Map {
    let mut body = Map::default();
    if let Some(size) = scope.size("client_max_body_size", report) {
        body.put("max_size", if size.get() == 0 { UNLIMITED } else { size });
    }
    if scope.is_on("proxy_request_buffering", report) == Some(false) && !mirrors::want_bodies(scope) {
        body.put("buffering", Draft::Scalar("off".into()));
    }
    if let Some(directive) = scope.one("client_body_timeout") {
        body.put_some("patience", values::time(directive.word(0)));
        report.changed(
            directive,
            "it bounds how far a client may fall behind 4 KiB/s, not each pause",
        );
    }
    body
}

/// `proxy_buffering` and `proxy_ignore_client_abort`.
pub fn answers(scope: &Scope, report: &mut Report) -> Map {
    let mut answers = Map::default();
    if scope.is_on("proxy_buffering", report) == Some(false) {
        answers.put("buffering", Draft::Scalar("off".into()));
    }
    if scope.is_on("proxy_ignore_client_abort", report) == Some(true) {
        answers.put("outlast_client", true);
    }
    answers
}

/// `proxy_set_body`, and `proxy_pass_request_body off`: what backends get in the place of a body.
pub fn replacement(scope: &Scope, report: &mut Report) -> Option<Draft> {
    let passes = scope.is_on("proxy_pass_request_body", report);
    if let Some(directive) = scope.one("proxy_set_body") {
        match report.words.template(directive.word(0)) {
            Ok(text) => {
                report.carried(directive);
                return Some(text.into());
            }
            Err(variable) => report.missing(directive, format!("{variable} is not known; the body stays")),
        }
    }
    (passes == Some(false)).then(|| String::new().into())
}

/// A petabyte.
const UNLIMITED: ByteSize = ByteSize::from_mib(1 << 30);
