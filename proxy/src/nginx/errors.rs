//! `error_page` and `limit_except`: who answers in place of an error, and who may use which methods.

use super::draft::{Draft, Map};
use super::policies::{self, filter};
use super::report::Report;
use super::scope::Scope;
use super::syntax::Directive;

/// `error_page STATUS… [=[CODE]] PATH`.
pub fn error_pages<'a>(scope: &Scope<'a>, server: &Scope<'a>, report: &mut Report) -> Vec<Draft> {
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
        settings.put("status", statuses);
        let to = last.text.as_str();
        let template = report.words.template(to);
        match template {
            Ok(_) if to.starts_with('@') => settings.put("route", to),
            Ok(path) if path.starts_with('/') => settings.put("to", path),
            Ok(_) => {
                report.missing(directive, "a page has to be a path, or a named location");
                continue;
            }
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
            Some(Err(_)) => settings.put("own_status", true),
        }
        let is_passed = |scope: &Scope| {
            ["proxy_pass", "grpc_pass"]
                .iter()
                .any(|name| own_has(scope.own(), name))
        };
        let leads_on =
            is_passed(scope) && location_of(to, server).is_some_and(|there| is_passed(&server.within(there)));
        if leads_on {
            report.missing(
                directive,
                "after a backend no other one is asked: what fails there is answered with a page of Nginx's own kind",
            );
            continue;
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

/// The location of a server that takes a path, or has this name.
fn location_of<'a>(path: &str, server: &Scope<'a>) -> Option<&'a Directive> {
    let mut best: Option<(usize, &Directive)> = None;
    let mut by_expression = None;
    for location in server.own_named("location") {
        let (modifier, text) = match location.word(0) {
            word @ ("=" | "^~" | "~" | "~*") => (word, location.word(1)),
            word => ("", word),
        };
        let expression = if modifier == "~*" {
            format!("(?i){text}")
        } else {
            text.to_owned()
        };
        match modifier {
            "=" if path == text => return Some(location),
            "=" => {}
            "~" | "~*" => {
                let fits = || regex::Regex::new(&expression).is_ok_and(|expression| expression.is_match(path));
                if by_expression.is_none() && fits() {
                    by_expression = Some(location);
                }
            }
            _ if path.starts_with(text) && best.is_none_or(|(length, _)| text.len() > length) => {
                best = Some((text.len(), location));
            }
            _ => {}
        }
    }
    let best = best.map(|(_, location)| location);
    let is_firm = best.is_some_and(|location| location.word(0) == "^~");
    by_expression.filter(|_| !is_firm && !path.starts_with('@')).or(best)
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
