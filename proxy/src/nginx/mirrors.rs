//! `mirror`: copies of requests, as the location that it names passes them on.

use super::conditions;
use super::draft::{Draft, Map};
use super::fields;
use super::paths::{Paths, paths};
use super::report::Report;
use super::scope::Scope;
use super::syntax::Directive;
use super::target::{self, Target};
use super::upstreams::Upstreams;

/// The copies of a place's requests. `server` is what the locations stand in, and whether there are regular expressions among them.
pub fn mirrors(
    scope: &Scope,
    (server, has_regex): (&Scope, bool),
    http: &Scope,
    upstreams: &mut Upstreams,
    report: &mut Report,
) -> Vec<Map> {
    let mut made = Vec::new();
    for directive in scope.all("mirror") {
        let uri = directive.word(0);
        if uri == "off" {
            report.carried(directive);
            continue;
        }
        match location(uri, server, has_regex) {
            Some(location) => {
                let copies = Copies {
                    uri,
                    scope: server.within(location),
                    has_body: has_body(scope),
                };
                match copies.made(http, upstreams, report) {
                    Ok(copies) => {
                        report.carried(directive);
                        made.extend(copies);
                    }
                    Err(why) => report.missing(directive, format!("{why}; no copy is sent")),
                }
            }
            None => report.missing(directive, "it names no location that is known; no copy is sent"),
        }
    }
    scope.is_on("mirror_request_body", report);
    made
}

/// Whether bodies have to be had twice, so that they are read before they are passed on.
pub fn want_bodies(scope: &Scope) -> bool {
    has_body(scope) && scope.all("mirror").iter().any(|mirror| mirror.word(0) != "off")
}

fn has_body(scope: &Scope) -> bool {
    scope
        .one("mirror_request_body")
        .is_none_or(|said| said.word(0) != "off")
}

/// The location of a path, if no regular expression decides on that.
fn location<'a>(uri: &str, server: &Scope<'a>, has_regex: bool) -> Option<&'a Directive> {
    let mut best: Option<(usize, &Directive)> = None;
    for location in server.own_named("location") {
        match paths(location, has_regex) {
            Ok(Paths::Exact(path)) if path == uri => return Some(location),
            Ok(Paths::Prefix(path) | Paths::Firm(path))
                if uri.starts_with(&path) && best.is_none_or(|(length, _)| length < path.len()) =>
            {
                best = Some((path.len(), location));
            }
            _ => {}
        }
    }
    best.map(|(_, location)| location)
}

struct Copies<'u, 'a> {
    uri: &'u str,
    /// Of the location that passes them on.
    scope: Scope<'a>,
    has_body: bool,
}

impl Copies<'_, '_> {
    /// One, or one for each server that a variable may name.
    fn made(&self, http: &Scope, upstreams: &mut Upstreams, report: &mut Report) -> Result<Vec<Map>, String> {
        let pass = self.scope.own_named("proxy_pass").next();
        let pass = pass.ok_or("that location passes nothing on")?;
        let unless = self.unless(report)?;
        let mut made = Vec::new();
        for (when, url) in target::choices(pass, http, report) {
            let paths = Paths::Exact(self.uri.to_owned());
            let target = Target::of(pass, &url, &self.scope, &paths, report);
            let mut target = target.ok_or("where that location passes requests on is not known")?;
            upstreams.settle_connections(&mut target, &self.scope, report);
            if !upstreams.has_pool_for(&target, report) {
                return Err("no server of that upstream is known".to_owned());
            }
            let conditions: Vec<String> = when.into_iter().chain(unless.clone()).collect();
            made.push(self.copy(&target, &url, conditions, report)?);
        }
        Ok(made)
    }

    fn copy(&self, target: &Target, url: &str, when: Vec<String>, report: &mut Report) -> Result<Map, String> {
        let mut copy = Map::default().with("pool", target.pool.as_str());
        if !when.is_empty() {
            copy.put("when", when.join(" && "));
        }
        if let Some(said) = self.scope.one("proxy_method") {
            let is_one = said.word(0).bytes().all(|byte| byte.is_ascii_uppercase());
            copy.put_some("method", is_one.then(|| said.word(0)));
            if !is_one {
                return Err("a method with variables is not known for copies".to_owned());
            }
        }
        let asked = self.asked(url);
        let template = report.words.template(&asked);
        copy.put(
            "target",
            template.map_err(|variable| format!("{variable} is not known"))?,
        );
        copy.put("headers", fields::request_changes(&self.scope, &target.host, report));
        let tells: Vec<Draft> = fields::tellings(&self.scope, report)
            .into_iter()
            .map(Draft::from)
            .collect();
        copy.put("tells", Draft::List(tells));
        let passes_body = self.scope.is_on("proxy_pass_request_body", report) != Some(false);
        if !self.has_body || !passes_body {
            copy.put("body", false);
        }
        Ok(copy)
    }

    /// Path and query, in Nginx's words: without a path of its own it is asked for by the location's, and what names no query has the
    /// client's.
    fn asked(&self, url: &str) -> String {
        let (_, path) = target::apart(url.split_once("://").map_or(url, |(_, rest)| rest));
        let path = path.unwrap_or(self.uri);
        let mut asked = path.to_owned();
        for own in ["${uri}", "${document_uri}", "$document_uri", "$uri"] {
            asked = asked.replace(own, self.uri);
        }
        match path.contains('$') {
            true => asked,
            false => format!("{asked}$is_args$args"),
        }
    }

    /// `if (…) { return CODE; }`: for whom no copy is sent.
    fn unless(&self, report: &mut Report) -> Result<Vec<String>, String> {
        let mut unless = Vec::new();
        for rule in self.scope.own() {
            match rule.name.as_str() {
                "if" => {
                    let inner = rule.block.as_deref().unwrap_or_default();
                    if !matches!(inner, [only] if only.name == "return") {
                        return Err("what that location has in an if is not known for copies".to_owned());
                    }
                    unless.push(format!("!({})", conditions::condition(rule, report)?.holds));
                }
                "set" | "rewrite" | "return" => return Err(format!("{} is not known for copies", rule.name)),
                _ => {}
            }
        }
        Ok(unless)
    }
}
