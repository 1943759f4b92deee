//! `error_page` and `limit_except`: who answers in place of an error, and who may use which methods.

use std::ops::RangeInclusive;

use super::draft::{Draft, Map};
use super::passing::kind;
use super::policies::{self, filter};
use super::report::Report;
use super::scope::Scope;
use super::syntax::Directive;
use crate::request::notes::PLAIN_HTTP;

/// `error_page STATUS… [=[CODE]] PATH`.
pub fn error_pages(scope: &Scope, report: &mut Report) -> Vec<Draft> {
    let mut filters = Vec::new();
    for directive in scope.all("error_page") {
        let statuses: Vec<u16> = directive.texts().filter_map(|text| text.parse().ok()).collect();
        let (own, others): (Vec<u16>, Vec<u16>) = statuses.iter().partition(|status| NGINXS_OWN.contains(status));
        let pages: Result<Vec<Map>, String> = [(own, Some(400)), (others, None)]
            .into_iter()
            .filter(|(statuses, _)| !statuses.is_empty())
            .map(|(statuses, shown)| page(directive, statuses, shown, report))
            .collect();
        let pages = match pages {
            Ok(pages) => pages,
            Err(why) => {
                report.missing(directive, why);
                continue;
            }
        };
        let is_for_return_alone = |status: &u16| NGINXS_OWN.contains(status) && *status != PLAIN_HTTP;
        match statuses.iter().any(is_for_return_alone) {
            true => report.changed(
                directive,
                "of 494 to 496, 498 and 499 it is for what a `return` says: who breaks off, or the rules of TLS or of heads, gets \
                 400 or no answer",
            ),
            false => report.carried(directive),
        }
        let intercepts = scope.is_on(&format!("{}_intercept_errors", kind(scope)), report) == Some(true);
        filters.extend(pages.into_iter().map(|page| match intercepts {
            true => filter("error_page", page.with("intercept", true)),
            false => filter("error_page", page),
        }));
    }
    filters
}

/// Statuses of what no other server has a status for; clients are told of the first ones as 400.
const NGINXS_OWN: RangeInclusive<u16> = 494..=499;

/// The page of these statuses, which goes with another one unless the directive says something else.
fn page(directive: &Directive, statuses: Vec<u16>, shown: Option<u16>, report: &Report) -> Result<Map, String> {
    let has_page = |status: &u16| (300..=599).contains(status) && *status != 304;
    if !statuses.iter().all(has_page) {
        return Err(NO_PAGE.to_owned());
    }
    let mut settings = Map::default().with("status", statuses);
    let (last, words) = directive.words.split_last().ok_or(NO_PAGE)?;
    let to = last.text.as_str();
    match report.words.template(to) {
        Ok(_) if to.starts_with('@') => settings.put("route", report.words.route(to)),
        Ok(path) if path.starts_with('/') => settings.put("to", path),
        Ok(url) => settings.put("redirect", url),
        Err(variable) => return Err(format!("{variable} is not known")),
    }
    let change = words.iter().find_map(|word| word.text.strip_prefix('='));
    match change.map(str::parse::<u16>) {
        None if !settings.has("redirect") => settings.put_some("answer_with", shown),
        None => {}
        Some(Ok(status)) if (300..=599).contains(&status) || status == 200 => settings.put("answer_with", status),
        Some(Ok(_)) => return Err(NO_PAGE.to_owned()),
        Some(Err(_)) if !settings.has("redirect") => settings.put("own_status", true),
        Some(Err(_)) => {}
    }
    Ok(settings)
}

const NO_PAGE: &str = "there is no page for such a status";

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
