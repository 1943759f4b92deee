//! `keepalive_requests`, `keepalive_time`, `keepalive_timeout` and `keepalive_disable` of clients' connections.

use super::draft::{Draft, Map};
use super::policies::filter;
use super::report::Report;
use super::scope::Scope;
use super::syntax::Directive;
use super::values;

/// What is said for a place, where its listener does not say the same.
pub fn keep_alive(scope: &Scope, http: &Scope, report: &mut Report) -> Option<Draft> {
    let mut settings = Map::default();
    if let Some(directive) = scope.one("keepalive_requests") {
        report.carried(directive);
        let requests = directive.word(0).parse::<u32>().ok();
        settings.put_some("requests", requests.map(|requests| requests.max(1)));
    }
    settings.put_some("time", scope.time("keepalive_time", report));
    if let Some(directive) = scope.one("keepalive_timeout").filter(|said| is_of_place(said, http)) {
        report.carried(directive);
        settings.put_some("idle", values::time(directive.word(0)));
        settings.put_some("told", values::time(directive.word(1)));
    }
    let disabled = scope.one("keepalive_disable");
    disabled.into_iter().for_each(|directive| report.carried(directive));
    if settings.is_empty() && disabled.is_none() {
        return None;
    }
    let browsers = disabled.map_or_else(|| vec!["msie6"], |directive| directive.texts().collect());
    let browsers: Vec<&str> = browsers.into_iter().filter(|name| *name != "none").collect();
    if !browsers.is_empty() {
        settings.put("not_for", browsers);
    }
    Some(filter("keep_alive", settings))
}

/// Whether a listener may say something else: it says what its default server does.
fn is_of_place(said: &Directive, http: &Scope) -> bool {
    let by_all = http.one("keepalive_timeout");
    by_all.is_none_or(|by_all| by_all.place != said.place) || said.words.len() > 1
}
