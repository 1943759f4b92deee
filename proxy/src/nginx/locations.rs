//! `location` blocks become routes.

use super::cookies;
use super::draft::{Draft, Map};
use super::errors;
use super::fields;
use super::keeping;
use super::limits;
use super::logs;
use super::mirrors;
use super::passing;
use super::paths::{Paths, everything, paths, spelt};
use super::policies;
use super::proxies;
use super::redirects;
use super::report::Report;
use super::rules::{self, Level, Rules};
use super::scope::Scope;
use super::servers::Server;
use super::sites;
use super::syntax::Directive;
use super::target::{self, Target};
use super::upstreams::Upstreams;
use crate::request::target::escaped;

/// Which requests a server's routes take, besides their paths.
pub struct Door {
    /// Any host where there are none.
    pub hosts: Vec<String>,
    /// The listeners that clients come by; all where there are none.
    pub listeners: Vec<String>,
    /// The port that clients connect to.
    pub port: u16,
}

/// The routes of a server.
pub fn routes<'a>(
    server: &Server<'a>,
    door: &Door,
    (http, main_log): (&Scope<'a>, Option<&Directive>),
    upstreams: &mut Upstreams<'a>,
    report: &mut Report,
) -> Vec<Draft> {
    let has_regex = server
        .scope
        .own_named("location")
        .any(|location| location.word(0).starts_with('~'));
    let mut maker = Maker {
        server,
        door,
        http,
        main_log,
        upstreams,
        report,
        routes: Vec::new(),
        of_server: Rules::default(),
        has_regex,
    };
    maker.server();
    maker.routes
}

struct Maker<'m, 'a> {
    server: &'m Server<'a>,
    door: &'m Door,
    http: &'m Scope<'a>,
    main_log: Option<&'m Directive>,
    upstreams: &'m mut Upstreams<'a>,
    report: &'m mut Report,
    routes: Vec<Draft>,
    /// What holds before any location is found.
    of_server: Rules,
    /// Whether a prefix that keeps regular expressions out (`^~`) has to be one itself.
    has_regex: bool,
}

impl<'a> Maker<'_, 'a> {
    fn server(&mut self) {
        let server = self.server;
        self.report.words.server_name = server.first_name();
        self.report.words.server = server.block.place.to_string();
        self.of_server = rules::rules(&server.scope, Level::Server, self.door.port, self.report);
        if self.of_server.answer {
            return self.answered(server.block, &server.scope, &everything(), Rules::default());
        }
        let locations: Vec<&Directive> = server.scope.own_named("location").collect();
        // Regular expressions are asked in the order of the file, but behind every prefix that keeps them out.
        let (firm, others): (Vec<_>, Vec<_>) = locations.into_iter().partition(|location| location.word(0) == "^~");
        let mut has_rest = false;
        for location in firm.into_iter().chain(others) {
            has_rest |= self.location(location, &server.scope);
        }
        if !has_rest {
            // No host's requests fall to another host: what no location takes would be a file.
            match server.scope.one("root") {
                Some(_) => self.serve(server.block, &server.scope, &everything(), Rules::default()),
                None => self.nothing(&server.scope),
            }
        }
    }

    /// All that no location takes, where there are no files: with the server's own pages and fields.
    fn nothing(&mut self, scope: &Scope<'a>) {
        let mut filters = self.of_server.filters.clone();
        filters.extend(self.fields(scope, &[]));
        filters.extend(errors::error_pages(scope, self.report));
        filters.push(policies::filter("respond", Map::default().with("status", 404_u16)));
        let route = self.matching(&everything()).with("filters", filters);
        self.routes.push(route.into());
    }

    /// Adds the routes of a location and of those in it; whether it takes all that others do not.
    fn location(&mut self, location: &'a Directive, around: &Scope<'a>) -> bool {
        let scope = around.within(location);
        let paths = match paths(location, self.has_regex) {
            Ok(paths) => paths,
            Err(what) => {
                self.report.missing(location, what);
                return false;
            }
        };
        self.report.carried(location);
        self.route(location, &scope, &paths);
        for inner in scope.own_named("location") {
            self.location(inner, &scope);
        }
        paths == everything()
    }

    fn answer(&mut self, paths: &Paths, status: u16) {
        let respond = Map::default().with("respond", Map::default().with("status", status));
        let route = self.matching(paths).with("filters", vec![respond]);
        self.routes.push(route.into());
    }

    /// The beginning of a route.
    fn matching(&self, paths: &Paths) -> Map {
        let mut matches = Map::default();
        match self.door.hosts.as_slice() {
            [] => {}
            [host] => matches.put("host", host.as_str()),
            hosts => matches.put("hosts", hosts.to_vec()),
        }
        if !self.door.listeners.is_empty() {
            matches.put("listeners", self.door.listeners.clone());
        }
        let (key, path) = paths.matched();
        matches.put(key, &*path);
        Map::default().with("match", matches)
    }

    fn route(&mut self, block: &'a Directive, scope: &Scope<'a>, paths: &Paths) {
        let rules = rules::rules(scope, Level::Location, self.door.port, self.report);
        let internal = scope.own_named("internal").next();
        if let Some(internal) = internal {
            self.report.carried(internal);
            if sites::asks_for_leave(self.server.block, block) {
                for directive in scope.own() {
                    self.report.harmless(directive, "only Nginx itself asks for it");
                }
                return self.answer(paths, 404);
            }
        }
        let first = self.routes.len();
        match rules.answer {
            true => self.answered(block, scope, paths, rules),
            false => self.serve(block, scope, paths, rules),
        }
        let named = Some(block.word(0)).filter(|name| name.starts_with('@') && block.name == "location");
        if internal.is_some() || named.is_some() {
            self.routes[first..].iter_mut().for_each(|route| {
                route.within("match", |matches| matches.set("internal", true));
            });
        }
        match named {
            Some(name) => self.name(first, &self.report.words.route(name), paths),
            None if internal.is_some() => self.answer(paths, 404),
            None => {}
        }
    }

    /// The routes of a named location, from the first on: where it has several, one of its name leads to that whose condition holds.
    fn name(&mut self, first: usize, name: &str, paths: &Paths) {
        if let [.., _, _] = self.routes[first..] {
            let mut leads = Vec::new();
            for (number, route) in (1..).zip(&mut self.routes[first..]) {
                let name = format!("{name} {number}");
                // A path of its own, for no two routes may take the same requests.
                route.within("match", |matches| matches.replace("path_exact", format!("/{name}")));
                let lead = Map::default().with("reroute", Map::default().with("to", name.as_str()));
                leads.push(match route.of("when") {
                    Some(when) => lead.with("when", when),
                    None => lead,
                });
                route.put_first("name", name.into());
            }
            let mut route = Draft::from(self.matching(paths).with("filters", leads));
            route.within("match", |matches| matches.put("internal", true));
            self.routes.insert(first, route);
        }
        if let Some(route) = self.routes.get_mut(first) {
            route.put_first("name", name.into());
        }
    }

    /// A route whose rules leave nothing to be served.
    fn answered(&mut self, block: &'a Directive, scope: &Scope<'a>, paths: &Paths, rules: Rules) {
        let pages = errors::error_pages(scope, self.report);
        let mut filters = self.of_server.filters.clone();
        filters.extend(rules.filters);
        filters.extend(self.fields(scope, &rules.own_fields));
        filters.extend(pages);
        let route = self.matching(paths).with("filters", filters);
        self.finish(route, block, scope);
    }

    /// What is said of answers. They pass the last filter first: pages of errors come behind this, for they make other answers.
    fn fields(&mut self, scope: &Scope<'a>, unless: &[String]) -> Vec<Draft> {
        let mut filters = policies::unless(unless, fields::response_headers(scope, self.report));
        filters.extend(policies::expires(scope, self.report));
        filters
    }

    fn serve(&mut self, block: &'a Directive, scope: &Scope<'a>, paths: &Paths, rules: Rules) {
        let mut route = self.matching(paths);
        let pages = errors::error_pages(scope, self.report);
        let mut filters = self.of_server.filters.clone();
        let (has_rules, own_fields) = (!rules.filters.is_empty(), rules.own_fields);
        filters.extend(rules.filters);
        if let Some(pass) = scope.own_named("proxy_pass").chain(scope.own_named("grpc_pass")).next() {
            self.passed_on(pass, block, scope, paths, (&pages, &filters, &own_fields));
            return self.slash(paths, scope);
        }
        if let Some(content) = block
            .block
            .iter()
            .flatten()
            .find(|inner| sites::is_content(&inner.name))
        {
            self.report
                .missing(content, "Veil has nothing for it; those requests are answered with 404");
            filters.extend(pages);
            filters.push(policies::filter("respond", Map::default().with("status", 404_u16)));
            route.put("filters", filters);
        } else if scope.own_named("stub_status").next().is_some() {
            filters.extend(pages);
            route.put("filters", self.status(scope, filters));
        } else if let Some(files) = sites::files(scope, paths, self.door.port, self.report) {
            filters.extend(self.before(scope));
            filters.extend(self.fields(scope, &own_fields));
            filters.extend(pages);
            filters.extend(files);
            route.put("filters", filters);
        } else {
            let only_locations = block.block.iter().flatten().all(|inner| inner.name == "location");
            if !only_locations && !has_rules && scope.own_named("error_page").next().is_none() {
                self.report.missing(
                    block,
                    "it does what Veil does not know: those requests are answered with 404",
                );
            }
            filters.extend(self.fields(scope, &own_fields));
            filters.extend(pages);
            filters.push(policies::filter("respond", Map::default().with("status", 404_u16)));
            route.put("filters", filters);
        }
        self.finish(route, block, scope);
    }

    fn finish(&mut self, mut route: Map, block: &Directive, scope: &Scope<'a>) {
        if let Some(keep_alive) = keeping::keep_alive(scope, self.http, self.report) {
            route.put_first_of("filters", keep_alive);
        }
        route.put_some(
            "access_log",
            logs::of_place(scope, self.main_log, self.http, self.report),
        );
        self.routes.push(Draft::from(route).placed_at(&block.place));
    }

    /// Nginx sends a client that asks for `/a` to `/a/` where that is passed on.
    fn slash(&mut self, paths: &Paths, scope: &Scope<'a>) {
        let (Paths::Prefix(path) | Paths::Firm(path)) = paths else {
            return;
        };
        let Some(bare) = path.strip_suffix('/').filter(|bare| !bare.is_empty()) else {
            return;
        };
        let is_there = |location: &&Directive| {
            let path = match location.word(0) {
                "=" | "^~" => location.word(1),
                path => path.trim_start_matches('='),
            };
            path == bare
        };
        if self
            .server
            .scope
            .own_named("location")
            .any(|location| is_there(&location))
        {
            return;
        }
        let here = policies::here(scope, self.door.port, self.report);
        let path = escaped(path).replace('$', "$$");
        let to = format!("{here}{path}$target_query_mark$target_query");
        let redirect = Map::default().with("redirect", Map::default().with("to", to).with("status", 301_u16));
        let mut filters = self.fields(scope, &[]);
        filters.push(redirect.into());
        let route = self.matching(&Paths::Exact(bare.to_owned())).with("filters", filters);
        self.routes.push(route.into());
    }

    /// `stub_status`
    fn status(&mut self, scope: &Scope<'a>, rules: Vec<Draft>) -> Vec<Draft> {
        let mut filters = rules;
        filters.extend(self.before(scope));
        filters.extend(self.fields(scope, &[]));
        let others = Map::default().with("respond", Map::default().with("status", 405_u16));
        filters.push(others.with("when", r#"!(method in ["GET", "HEAD"])"#).into());
        scope
            .own_named("stub_status")
            .for_each(|directive| self.report.carried(directive));
        let status = Map::default()
            .with("status", 200_u16)
            .with("template", sites::STUB_STATUS);
        filters.push(policies::filter("respond", status.with("content_type", "text/plain")));
        filters
    }

    /// What is asked of a request before it is served.
    fn before(&mut self, scope: &Scope<'a>) -> Vec<Draft> {
        let report = &mut *self.report;
        let mut filters: Vec<Draft> = proxies::real_ip(scope, &self.server.scope, report)
            .into_iter()
            .collect();
        filters.extend(limits::limits(scope, self.http, report));
        filters.extend(limits::bandwidth(scope, report));
        filters.extend(errors::limit_except(scope, report));
        filters.extend(policies::guards(scope, self.server.are_clients_asked, report));
        filters.extend(policies::doors(scope, &self.server.scope, self.upstreams, report));
        filters
    }

    /// One route, or one for each server that a variable may name.
    fn passed_on(
        &mut self,
        pass: &Directive,
        block: &Directive,
        scope: &Scope<'a>,
        paths: &Paths,
        (pages, rules, own_fields): (&[Draft], &[Draft], &[String]),
    ) {
        let choices = target::choices(pass, self.http, self.report);
        let depends = choices.iter().any(|(when, _)| when.is_some());
        let of_rules = |(when, _): &(Option<String>, String)| when.as_ref().is_some_and(|when| when.contains("$note_"));
        // Rules of a server have been when a named location is asked for.
        let waits = !block.word(0).starts_with('@') && choices.iter().any(of_rules);
        let first = self.routes.len();
        let rules_of_each = if waits { &[] } else { rules };
        for (when, url) in choices {
            let mut route = self.matching(paths);
            route.put_some("when", when);
            let target = Target::of(pass, &url, scope, paths, self.report).map(|mut target| {
                self.upstreams.settle_connections(&mut target, scope, self.report);
                target
            });
            match target {
                None if depends => {}
                None => return self.answer(paths, 404),
                Some(target) if self.upstreams.has_pool_for(&target, self.report) => {
                    self.passed(&mut route, scope, &target, (pages, rules_of_each), own_fields);
                    self.finish(route, block, scope);
                }
                Some(_) => return self.answer(paths, 502),
            }
        }
        match (waits, depends) {
            (true, _) => self.lead(first, &block.place.to_string(), paths, [pages, rules].concat()),
            (false, true) => self.answer(paths, 502),
            (false, false) => {}
        }
    }

    /// What `set` makes of a variable is known only when the rules have been: a route before those from the first on does them,
    /// and leads to that whose condition holds then.
    fn lead(&mut self, first: usize, place: &str, paths: &Paths, mut filters: Vec<Draft>) {
        let host = self.door.hosts.first().map_or("any host", String::as_str);
        for (number, route) in (1..).zip(&mut self.routes[first..]) {
            let name = format!("{place} {host} {first}.{number}");
            // A path that nobody asks for, for no two routes may take the same requests.
            let path = format!("/@{}", name.replace('/', " "));
            let hidden = Map::default().with("path_exact", &*spelt(&path));
            route.within("match", |matches| *matches = hidden.with("internal", true));
            let lead = Map::default().with("reroute", Map::default().with("to", name.as_str()));
            filters.push(
                lead.with("when", route.of("when").unwrap_or_else(|| "true".into()))
                    .into(),
            );
            route.put_first("name", name.into());
        }
        filters.push(policies::filter("respond", Map::default().with("status", 502_u16)));
        let route = self.matching(paths).with("filters", filters);
        self.routes.insert(first, route.into());
    }

    fn passed(
        &mut self,
        route: &mut Map,
        scope: &Scope<'a>,
        target: &Target,
        (pages, rules): (&[Draft], &[Draft]),
        own_fields: &[String],
    ) {
        let is_rewritten = rules.iter().any(|rule| rule.is_of("rewrite"));
        let mut filters = rules.to_vec();
        filters.extend(self.before(scope));
        let server = (&self.server.scope, self.has_regex);
        let mirrors = mirrors::mirrors(scope, server, self.http, self.upstreams, self.report);
        if !mirrors.is_empty() {
            route.put("mirrors", mirrors);
        }
        let report = &mut *self.report;
        route.put("pool", target.pool.as_str());
        route.put("tells_backends", fields::tellings(scope, report));
        passing::retry(route, scope, report);
        route.put_part("timeouts", passing::timeouts(scope, report));
        let mut body = passing::body(scope, report);
        body.put_some("replace", passing::replacement(scope, report));
        if target.is_grpc {
            body.put("buffering", Draft::Scalar("off".into()));
        }
        route.put_part("body", body);
        route.put_part("answers", passing::answers(scope, report));
        filters.extend(policies::compression(scope, report));
        // Nginx forgets of the path of proxy_pass where rules have made another one; here they are taken to do so always.
        let stays = |_: &Draft| !is_rewritten || target.has_variables;
        filters.extend(target.rewrite.clone().filter(stays));
        filters.extend(fields::asked_as(scope, report));
        filters.extend(fields::request_headers(scope, &target.host, report));
        filters.extend(policies::unless(own_fields, fields::response_headers(scope, report)));
        filters.extend(policies::expires(scope, report));
        filters.extend_from_slice(pages);
        let here = policies::here(scope, self.door.port, report);
        filters.extend(redirects::redirects(scope, target, &here, report));
        filters.extend(cookies::cookies(scope, report));
        filters.push(fields::hidden(scope, report));
        route.put("filters", filters);
    }
}
