//! `error_page` and `limit_except`: who answers in place of an error, and who may use which methods.

use super::draft::{Draft, Map};
use super::policies::{self, filter};
use super::report::Report;
use super::scope::Scope;
use super::syntax::Directive;

/// `error_page STATUS… [=[CODE]] PATH`.
pub fn error_pages(scope: &Scope, report: &mut Report) -> Vec<Draft> {
    let mut filters = Vec::new();
    for directive in scope.all("error_page") {
        let Some((last, words)) = directive.words.split_last() else {
            continue;
        };
        let mut settings = Map::default();
        let statuses: Vec<u16> = words.iter().filter_map(|word| word.text.parse().ok()).collect();
        if statuses
            .iter()
            .any(|status| !(300..=599).contains(status) || *status == 304)
        {
            report.missing(directive, "there is no page for such a status");
            continue;
        }
        if statuses.iter().any(|status| (494..=499).contains(status)) {
            report.missing(
                directive,
                "who breaks off, or off the rules of TLS or of heads, gets 400 or no answer at all",
            );
            continue;
        }
        settings.put("status", statuses);
        let to = last.text.as_str();
        let template = report.words.template(to);
        match template {
            Ok(_) if to.starts_with('@') => settings.put("route", report.words.route(to)),
            Ok(path) if path.starts_with('/') => settings.put("to", path),
            Ok(url) => settings.put("redirect", url),
            Err(variable) => {
                report.missing(directive, format!("{variable} is not known"));
                continue;
            }
        }
        let change = words.iter().find_map(|word| word.text.strip_prefix('='));
        match change.map(str::parse::<u16>) {
            None => {}
            Some(Ok(status)) if (300..=599).contains(&status) || status == 200 => settings.put("answer_with", status),
            Some(Ok(_)) => {
                report.missing(directive, "there is no page for such a status");
                continue;
            }
            Some(Err(_)) if !settings.has("redirect") => settings.put("own_status", true),
            Some(Err(_)) => {}
        }
        if scope.is_on("proxy_intercept_errors", report) == Some(true) {
            settings.put("intercept", true);
        }
        report.carried(directive);
        filters.push(filter("error_page", settings));
    }
    filters
}

fn own_has(own: &[Directive], name: &str) -> bool {
    own.iter().any(|directive| directive.name == name)
}

/// `limit_except METHOD… { … }`: what holds for all other methods.
pub fn limit_except(scope: &Scope, report: &mut Report) -> Vec<Draft> {
    let mut filters = Vec::new();
    for directive in scope.own_named("limit_except") {
        let mut methods: Vec<String> = directive.texts().map(str::to_owned).collect();
        if methods.iter().any(|method| method == "GET") {
            methods.push("HEAD".to_owned());
        }
        let others = format!("!(method in {methods:?})");
        let within = Scope::of(directive.block.as_deref().unwrap_or_default());
        report.carried(directive);
        let known = ["allow", "deny", "auth_basic", "auth_basic_user_file"];
        let unknown = within.own().iter().find(|inner| !known.contains(&inner.name.as_str()));
        let mut made = match unknown {
            Some(inner) => {
                report.missing(inner, "it is not known here; other methods are answered with 403");
                vec![policies::closed()]
            }
            None => policies::access(&within, report).into_iter().collect(),
        };
        if own_has(within.own(), "auth_basic") {
            made.extend(policies::basic_auth(&scope.within(directive), report));
        }
        filters.extend(made.into_iter().map(|filter| match filter {
            Draft::Map(map) => map.with("when", others.as_str()).into(),
            filter => filter,
        }));
    }
    filters
}
