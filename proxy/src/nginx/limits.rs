//! `limit_req` and `limit_conn` become filters that count.

use super::draft::{Draft, Map};
use super::policies::filter;
use super::report::Report;
use super::scope::Scope;
use super::syntax::Directive;
use super::values;

/// `limit_req` and `limit_conn`, by the zones of the `http` block.
pub fn limits(scope: &Scope, http: &Scope, report: &mut Report) -> Vec<Draft> {
    let mut filters = Vec::new();
    for directive in scope.all("limit_req") {
        filters.extend(rate_limit(directive, scope, http, report));
    }
    for directive in scope.all("limit_conn") {
        filters.extend(concurrency_limit(directive, scope, http, report));
    }
    filters
}

/// `limit_rate` and `limit_rate_after`.
pub fn bandwidth(scope: &Scope, report: &mut Report) -> Option<Draft> {
    let of_backend = scope.one("proxy_limit_rate").filter(|said| said.word(0) != "0");
    let Some(directive) = scope.one("limit_rate") else {
        return paced_by_backend(of_backend?, report);
    };
    if let Some(said) = of_backend {
        report.changed(
            said,
            "`limit_rate` says how fast an answer goes, and a backend is read as fast",
        );
    }
    let after = scope.one("limit_rate_after");
    let Some(rate) = values::size(directive.word(0)) else {
        report.missing(
            directive,
            "only a number is known here: answers go as fast as their clients take them",
        );
        return None;
    };
    report.carried(directive);
    after.into_iter().for_each(|after| report.carried(after));
    if rate.get() == 0 {
        return None;
    }
    let mut settings = Map::default().with("rate", rate);
    settings.put_some("after", after.and_then(|after| values::size(after.word(0))));
    Some(filter("bandwidth", settings))
}

/// `proxy_limit_rate`
fn paced_by_backend(directive: &Directive, report: &mut Report) -> Option<Draft> {
    let Some(rate) = values::size(directive.word(0)) else {
        report.missing(
            directive,
            "only a number is known here: answers go as fast as their clients take them",
        );
        return None;
    };
    report.changed(
        directive,
        "so fast an answer goes to its client: a backend may be read faster, as far as answers are kept",
    );
    Some(filter("bandwidth", Map::default().with("rate", rate)))
}

/// The directive that makes a zone known, and what it counts by in Veil's words; none for clients' addresses.
fn zone<'a>(
    directive: &Directive,
    (kind, name): (&'static str, &str),
    http: &Scope<'a>,
    report: &mut Report,
) -> Option<(&'a Directive, Option<String>)> {
    let is_its = |zone: &&Directive| {
        let mut names = zone
            .texts()
            .filter_map(|word| word.strip_prefix("zone=")?.split(':').next());
        names.any(|zone| zone == name)
    };
    let Some(zone) = http.own_named(kind).find(is_its) else {
        report.missing(directive, "its zone is not there");
        return None;
    };
    if matches!(zone.word(0), "$binary_remote_addr" | "$remote_addr") {
        report.changed(zone, "an IPv6 client is its /64 network");
        return Some((zone, None));
    }
    match report.words.template(zone.word(0)) {
        Ok(key) => {
            report.changed(zone, "what has no such key is counted by its address");
            Some((zone, Some(key)))
        }
        Err(variable) => {
            report.missing(zone, format!("{variable} is not known; write another key"));
            report.missing(directive, "its zone counts by something that is not known");
            None
        }
    }
}

fn rate_limit(directive: &Directive, scope: &Scope, http: &Scope, report: &mut Report) -> Option<Draft> {
    let word = |key: &str| {
        directive
            .texts()
            .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    };
    let number = |key: &str| word(key).and_then(|number| number.parse::<u32>().ok());
    let (zone, key) = zone(
        directive,
        ("limit_req_zone", word("zone").unwrap_or_default()),
        http,
        report,
    )?;
    let Some(rate) = zone.texts().find_map(|word| word.strip_prefix("rate=")) else {
        report.missing(zone, "it says no rate");
        return None;
    };
    let burst = number("burst").unwrap_or(0).saturating_add(1);
    let mut settings = Map::default()
        .with("rate", rate.replace("r/", "/"))
        .with("burst", burst);
    if !directive.texts().any(|word| word == "nodelay") {
        settings.put("at_once", number("delay").unwrap_or(0).saturating_add(1).min(burst));
    }
    settings.put_some("key", key);
    settings.put("status", status("limit_req_status", scope, report));
    settings.put("zone", word("zone").unwrap_or_default());
    settings.put("log", log("limit_req_log_level", scope, report));
    if scope.is_on("limit_req_dry_run", report) == Some(true) {
        settings.put("dry_run", true);
    }
    report.carried(directive);
    Some(filter("rate_limit", settings))
}

fn concurrency_limit(directive: &Directive, scope: &Scope, http: &Scope, report: &mut Report) -> Option<Draft> {
    let (_, key) = zone(directive, ("limit_conn_zone", directive.word(0)), http, report)?;
    let Some(most) = directive.word(1).parse::<u32>().ok().filter(|most| *most > 0) else {
        report.missing(directive, "it says no number");
        return None;
    };
    let mut settings = Map::default().with("most", most);
    settings.put_some("key", key);
    settings.put("status", status("limit_conn_status", scope, report));
    settings.put("zone", directive.word(0));
    settings.put("log", log("limit_conn_log_level", scope, report));
    if scope.is_on("limit_conn_dry_run", report) == Some(true) {
        settings.put("dry_run", true);
    }
    report.carried(directive);
    Some(filter("concurrency_limit", settings))
}

/// `error` unless it is said otherwise.
fn log(name: &str, scope: &Scope, report: &mut Report) -> &'static str {
    let Some(said) = scope.one(name) else {
        return "error";
    };
    report.carried(said);
    match said.word(0) {
        "info" | "notice" => "info",
        "warn" => "warn",
        _ => "error",
    }
}

/// 503 unless it is said otherwise.
fn status(name: &str, scope: &Scope, report: &mut Report) -> u16 {
    let said = scope.one(name);
    if let Some(said) = said {
        report.carried(said);
    }
    let status = said.and_then(|said| said.word(0).parse::<u16>().ok());
    status.filter(|status| (400..=599).contains(status)).unwrap_or(503)
}
