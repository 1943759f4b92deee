//! `limit_req` and `limit_conn` become filters that count.

use super::draft::{Draft, Map};
use super::policies::filter;
use super::report::Report;
use super::scope::Scope;
use super::syntax::Directive;
use super::texts;

/// `limit_req` and `limit_conn`, by the zones of the `http` block.
pub fn limits(scope: &Scope, http: &Scope, report: &mut Report) -> Vec<Draft> {
    let mut filters = Vec::new();
    for directive in scope.all("limit_req") {
        filters.extend(rate_limit(directive, http, report));
    }
    for directive in scope.all("limit_conn") {
        filters.extend(concurrency_limit(directive, http, report));
    }
    filters
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
        report.changed(zone, "each route counts alone, and an IPv6 client is its /64 network");
        return Some((zone, None));
    }
    match texts::template(zone.word(0)) {
        Ok(key) => {
            report.changed(
                zone,
                "each route counts alone; what has no such key is counted by its address",
            );
            Some((zone, Some(key)))
        }
        Err(variable) => {
            report.missing(zone, format!("{variable} is not known; write another key"));
            report.missing(directive, "its zone counts by something that is not known");
            None
        }
    }
}

fn rate_limit(directive: &Directive, http: &Scope, report: &mut Report) -> Option<Draft> {
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
    report.changed(directive, "more is answered with 429 in place of 503");
    Some(filter("rate_limit", settings))
}

fn concurrency_limit(directive: &Directive, http: &Scope, report: &mut Report) -> Option<Draft> {
    let (_, key) = zone(directive, ("limit_conn_zone", directive.word(0)), http, report)?;
    let Some(most) = directive.word(1).parse::<u32>().ok().filter(|most| *most > 0) else {
        report.missing(directive, "it says no number");
        return None;
    };
    let mut settings = Map::default().with("most", most);
    settings.put_some("key", key);
    report.changed(
        directive,
        "requests are counted, not connections; more are answered with 429 in place of 503",
    );
    Some(filter("concurrency_limit", settings))
}
