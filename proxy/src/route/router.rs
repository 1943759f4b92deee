//! Which of all routes takes a request.
//!
//! Precedence is Nginx's, written once for all routes: an exact host before a wildcard before none, the longest
//! wildcard first; then an exact path before regular expressions before prefixes, the longest prefix first; then the order of
//! the file. Unlike
//! Nginx's, a host's routes need not be complete: a path that none of them takes falls to the less specific ones. A method
//! does not: whose path it is says which methods there are.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use http::Method;
use pingora::http::RequestHeader;

use super::built::{Route, RouteError, Surroundings};
use super::config::RouteConfig;
use super::index::Index;
use super::matching::{Fit, MatchConfig};
use crate::request::RequestCtx;
use crate::request::expression::Groups;
use crate::request::syntax::{host, host_name};
use crate::request::target;
use crate::script::Seen;

/// All routes.
pub struct Router {
    /// In the order of the file.
    routes: Vec<Arc<Route>>,
    index: Index,
}

/// The route that takes a request.
pub struct Found<'a> {
    pub route: &'a Arc<Route>,
    /// What the groups of its regular expressions have taken, fit for a path; those of the path's before those of the host's.
    pub captures: Groups,
}

impl Router {
    /// `previous` is the router before a reload.
    ///
    /// # Errors
    /// What a filter needs cannot be had.
    pub fn new(
        configs: &[RouteConfig],
        around: &Surroundings<'_>,
        previous: Option<&Self>,
    ) -> Result<Self, RouteError> {
        let mut before: HashMap<&str, &Route> = HashMap::new();
        for route in previous.iter().flat_map(|router| &router.routes) {
            before.entry(&route.name).or_insert(route);
        }
        let route = |config: &RouteConfig| {
            let before = before.get(config.name().as_str()).copied();
            Route::new(config, around, before).map(Arc::new)
        };
        Ok(Self {
            routes: configs.iter().map(route).collect::<Result<_, _>>()?,
            index: Index::new(configs.iter().map(|config| &config.r#match)),
        })
    }

    /// The routes in the order in which they are asked about a request for this host, the most specific first.
    pub fn in_order<'a>(configs: &'a [RouteConfig], host: &str) -> Vec<&'a RouteConfig> {
        let mut routes: Vec<&RouteConfig> = configs.iter().collect();
        let expressions: Vec<_> = configs
            .iter()
            .flat_map(|route| route.r#match.host_expressions())
            .collect();
        routes.sort_by_cached_key(|route| route.r#match.precedence(host_name(host), &expressions));
        routes
    }

    /// The first of this name.
    pub fn named(&self, name: &str) -> Option<&Arc<Route>> {
        self.routes.iter().find(|route| *route.name == *name)
    }

    /// The route for a request that came by this listener; `path` is in the form of [`crate::request::path::normal`].
    pub fn find(
        &self,
        listener: &str,
        path: &str,
        head: &RequestHeader,
        ctx: &RequestCtx,
    ) -> Result<Found<'_>, NoRoute> {
        let mut allowed = Vec::new();
        let mut refused: Option<&MatchConfig> = None;
        let found = self.index.visit(host_name(host(head)), path, |place, expression| {
            let route = &self.routes[place];
            if refused.is_some_and(|first| !route.matches.is_beside(first)) {
                return ControlFlow::Continue(());
            }
            match route.matches.fit_otherwise(listener, head, ctx.notes.jumps > 0) {
                Fit::Takes => match route
                    .when
                    .as_ref()
                    .map(|when| when.holds(Seen::of(head, ctx), &route.name))
                {
                    None | Some(Ok(true)) => {
                        let groups = expression.and_then(|expression| expression.groups(path, target::escaped_group));
                        let mut captures = groups.unwrap_or_default();
                        captures.extend(route.matches.host_groups(host_name(host(head))));
                        ControlFlow::Break(Ok(Found { route, captures }))
                    }
                    Some(Ok(false)) => ControlFlow::Continue(()),
                    Some(Err(_)) => ControlFlow::Break(Err(NoRoute::ConditionFailed(Arc::clone(&route.name)))),
                },
                Fit::OtherMethod => {
                    refused = Some(&route.matches);
                    allowed.extend_from_slice(&route.matches.methods);
                    ControlFlow::Continue(())
                }
                _ => ControlFlow::Continue(()),
            }
        });
        found.unwrap_or(Err(match allowed.as_slice() {
            [] => NoRoute::NotFound,
            _ => NoRoute::MethodNotAllowed(allowed),
        }))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoRoute {
    NotFound,
    /// The path is served, by these methods.
    MethodNotAllowed(Vec<Method>),
    /// Whether the route of this name takes it cannot be told.
    ConditionFailed(Arc<str>),
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::request::path;
    use crate::request::testing::{ctx, request};

    /// A router whose routes are called by their order: 0, 1, …
    fn router(matches: &[&str]) -> Router {
        let configs: Vec<RouteConfig> = matches
            .iter()
            .enumerate()
            .map(|(order, text)| serde_yaml::from_str(&format!("{{ name: '{order}', match: {{ {text} }} }}")).unwrap())
            .collect();
        Router::new(&configs, &Surroundings::of(&HashMap::new()), None).unwrap()
    }

    fn asked(method: Method, host: &str, target: &str) -> RequestHeader {
        request(method.as_str(), target, &[("host", host)])
    }

    fn found(router: &Router, host: &str, path: &str) -> String {
        name(router.find("public", path, &asked(Method::GET, host, "/"), &ctx("192.0.2.1")))
    }

    fn name(found: Result<Found<'_>, NoRoute>) -> String {
        found.map_or("none".to_owned(), |found| found.route.name.to_string())
    }

    #[test]
    fn exact_before_longest_prefix_before_shorter() {
        let router = router(&[
            "path_prefix: /",
            "path_prefix: /v1/",
            "path_exact: /v1/blur",
            "path_prefix: /v1/blur",
        ]);
        for (path, route) in [
            ("/", "0"),
            ("/v1", "0"),
            ("/v1/x", "1"),
            ("/v1/blur", "2"),
            ("/v1/blurred", "3"),
        ] {
            assert_eq!(found(&router, "any", path), route, "{path}");
        }
    }

    #[test]
    fn exact_host_before_longest_wildcard_before_none() {
        let router = router(&[
            "path_prefix: /",
            "host: '*.example.com'",
            "host: '*.img.example.com'",
            "host: Img.Example.com",
            "host: '[::1]'",
        ]);
        for (host, route) in [
            ("img.example.com", "3"),
            ("IMG.example.COM:8080", "3"),
            ("img.example.com.", "3"),
            ("a.img.example.com", "2"),
            ("www.example.com", "1"),
            ("a.b.example.com", "1"),
            ("example.com", "0"),
            (".example.com", "0"),
            ("notexample.com", "0"),
            ("[::1]:80", "4"),
            ("[::1]", "4"),
            ("", "0"),
        ] {
            assert_eq!(found(&router, host, "/"), route, "{host}");
        }
    }

    #[test]
    fn what_a_hosts_routes_leave_falls_to_the_others() {
        let router = router(&[
            "path_prefix: /",
            "{ host: a.test, path_prefix: /v1/ }".trim_matches(['{', '}']),
        ]);
        assert_eq!(found(&router, "a.test", "/v1/x"), "1");
        assert_eq!(found(&router, "a.test", "/v2/x"), "0");
    }

    #[test]
    fn regular_expressions_go_between_exact_paths_and_prefixes() {
        let router = router(&[
            "path_prefix: /static/",
            "path_regex: '\\.php$'",
            "path_regex: '^/(?P<section>[a-z]+)/(\\d+)$'",
            "path_exact: /static/a.php",
            "path_prefix: /",
        ]);
        for (path, route) in [
            ("/static/a.css", "0"),
            ("/static/b.php", "1"),
            ("/static/a.php", "3"),
            ("/news/12", "2"),
            ("/news/12/", "4"),
        ] {
            assert_eq!(found(&router, "any", path), route, "{path}");
        }
        let found = router
            .find("public", "/news/12", &asked(Method::GET, "", "/"), &ctx("192.0.2.1"))
            .unwrap_or_else(|_| panic!("it is there"));
        let captures: HashMap<_, _> = found.captures.iter().map(|(name, text)| (&**name, &**text)).collect();
        assert_eq!(
            (captures["section"], captures["1"], captures["2"]),
            ("news", "news", "12")
        );
    }

    #[test]
    fn fields_arguments_and_cookies_decide_in_the_order_of_the_file() {
        let router = router(&[
            "path_prefix: /, headers: { X-Version: '2' }",
            "path_prefix: /, headers: { User-Agent: { regex: '(?i)bot' } }",
            "path_prefix: /, query: { debug: { present: true } }",
            "path_prefix: /, cookies: { canary: '1' }, methods: [POST]",
            "path_prefix: /",
        ]);
        for (method, target, fields, route) in [
            ("GET", "/", &[("x-version", "2")][..], "0"),
            ("GET", "/", &[("x-version", "1"), ("x-version", "2")], "0"),
            ("GET", "/", &[("x-version", "22")], "4"),
            ("GET", "/", &[("user-agent", "SomeBot/1")], "1"),
            ("GET", "/?a=1&debug=", &[], "2"),
            ("GET", "/?debugger=1", &[], "4"),
            ("POST", "/", &[("cookie", "a=b; canary=1")], "3"),
            ("GET", "/", &[("cookie", "canary=1")], "4"),
        ] {
            assert_eq!(
                name(router.find("public", "/", &request(method, target, fields), &ctx("192.0.2.1"))),
                route,
                "{target} {fields:?}"
            );
        }
    }

    #[test]
    fn a_route_may_have_several_hosts() {
        let router = router(&["hosts: [a.test, '*.b.test']", "host: c.b.test", "path_prefix: /"]);
        for (host, route) in [("a.test", "0"), ("x.b.test", "0"), ("c.b.test", "1"), ("b.test", "2")] {
            assert_eq!(found(&router, host, "/"), route, "{host}");
        }
    }

    /// The index against the rule that it is for.
    #[test]
    fn the_index_finds_what_asking_each_in_order_finds() {
        let hosts = [
            "",
            "host: a.test, ",
            "host: '*.a.test', ",
            "host: '*.b.a.test', ",
            "host: 'y.*', ",
            "host: '~^[xz]\\.', ",
            "host: '~\\.zz$', ",
            "hosts: ['b.a.*', '~q'], ",
            "hosts: [b.a.test, '*.c'], ",
        ];
        let paths = ["/", "/a", "/a/", "/a/b", "/ab", "/b", "/a/b/c"];
        let mut matches = Vec::new();
        for (number, host) in hosts.iter().enumerate() {
            for (other, path) in paths.iter().enumerate() {
                let kind = ["path_exact", "path_prefix"][(number + other) % 2];
                matches.push(format!("{host}{kind}: {path}"));
            }
            matches.push(format!("{host}path_regex: '^/a/.$'"));
        }
        // Neither in the order of the file nor in that of the rule.
        let count = matches.len();
        let shuffled: Vec<&str> = (0..count).map(|n| matches[n * 17 % count].as_str()).collect();
        let configs: Vec<RouteConfig> = (0..)
            .zip(&shuffled)
            .map(|(n, text): (u32, _)| {
                serde_yaml::from_str(&format!("{{ name: '{n}', match: {{ {text} }} }}")).unwrap()
            })
            .collect();
        let router = router(&shuffled);
        for host in [
            "a.test",
            "x.a.test",
            "b.a.test",
            "y.b.a.test",
            "q.c",
            "other",
            "",
            "y.q",
            "b.a.q",
            "z.zz",
            "a.zz",
            "Y.ZZ",
            "y.",
            "y",
        ] {
            for path in [
                "/", "/a", "/a/", "/a/b", "/a/x", "/abc", "/b", "/b/c", "/a/b/c", "/a/b/c/d", "/0", "/zz",
            ] {
                let head = asked(Method::GET, host, "/");
                let in_order = Router::in_order(&configs, host);
                let first = in_order
                    .iter()
                    .find(|route| route.r#match.fit("public", host, path, &head, false) == Fit::Takes);
                let expected = first.map_or("none".to_owned(), |route| route.name());
                assert_eq!(found(&router, host, path), expected, "{host}{path}");
            }
        }
    }

    #[test]
    fn tells_a_wrong_method_from_a_wrong_path() {
        let router = router(&["path_exact: /x, methods: [POST]", "path_exact: /x, methods: [PUT]"]);
        assert_eq!(
            name(router.find("public", "/x", &asked(Method::PUT, "", "/"), &ctx("192.0.2.1"))),
            "1"
        );
        let wrong_method = router
            .find("public", "/x", &asked(Method::GET, "", "/"), &ctx("192.0.2.1"))
            .err();
        assert_eq!(
            wrong_method,
            Some(NoRoute::MethodNotAllowed(vec![Method::POST, Method::PUT]))
        );
        assert_eq!(
            router
                .find("public", "/y", &asked(Method::POST, "", "/"), &ctx("192.0.2.1"))
                .err(),
            Some(NoRoute::NotFound)
        );
    }

    #[test]
    fn a_method_that_a_path_does_not_have_falls_to_no_other() {
        let router = router(&[
            "path_prefix: /",
            "path_prefix: /v1/, methods: [GET]",
            "path_prefix: /v1/, methods: [POST]",
            "host: a.test, path_prefix: /v1/, methods: [PUT]",
        ]);
        let found = |host: &str, path: &str, method: &Method| {
            let found = router.find("public", path, &asked(method.clone(), host, "/"), &ctx("192.0.2.1"));
            found.map(|found| found.route.name.to_string())
        };
        assert_eq!(found("", "/v1/x", &Method::POST), Ok("2".to_owned()));
        assert_eq!(found("", "/v2/x", &Method::DELETE), Ok("0".to_owned()));
        let allowed = |methods: &[Method]| Err(NoRoute::MethodNotAllowed(methods.to_vec()));
        assert_eq!(
            found("", "/v1/x", &Method::DELETE),
            allowed(&[Method::GET, Method::POST])
        );
        assert_eq!(found("a.test", "/v1/x", &Method::GET), allowed(&[Method::PUT]));
        assert_eq!(found("a.test", "/", &Method::GET), Ok("0".to_owned()));
    }

    #[test]
    fn no_spelling_reaches_a_worker_s_metrics_through_the_api() {
        let router = router(&["path_exact: /", "path_prefix: /v1/"]);
        for path in [
            "/metrics",
            "/%6detrics",
            "//metrics",
            "/v1/../metrics",
            "/v1/%2e%2e/metrics",
            "/v1//../metrics",
            "/v1/..%2fmetrics",
            "/v1/..;/metrics",
            "/./metrics",
            "/%2e/metrics",
            "/v1/%2e%2e%2fmetrics",
            "/health",
            "/v1/..\\metrics",
            "/%2fmetrics",
            "//%6Detrics",
        ] {
            let reached = |path: &str| {
                router
                    .find("public", path, &asked(Method::GET, "", "/"), &ctx("192.0.2.1"))
                    .is_ok()
            };
            assert!(
                !path::canonical(path).is_ok_and(|path| reached(&path)),
                "{path}, strict"
            );
            assert!(
                !path::normal(path.as_bytes()).is_ok_and(|path| reached(&path)),
                "{path}"
            );
        }
    }

    #[test]
    fn a_path_that_is_not_ascii_matches_what_clients_send() {
        let router = router(&["path_exact: /café"]);
        assert_eq!(found(&router, "", &path::normal(b"/caf%c3%a9").unwrap()), "0");
    }
}
