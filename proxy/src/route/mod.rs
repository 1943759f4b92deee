//! Host, path and method → filters and pool.
//!
//! Precedence is Nginx's, written once for all routes: an exact host before a wildcard before none, the longest
//! wildcard first; then an exact path before prefixes, the longest prefix first; then the order of the file. Unlike
//! Nginx's, a host's routes need not be complete: what none of them takes falls to the less specific ones.

mod matching;

use std::collections::HashMap;
use std::sync::Arc;

use http::Method;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_yaml::with::singleton_map_recursive;

pub use self::matching::{Fit, HostPattern, MatchConfig, PathPattern};
use crate::body::{RouteAnswersConfig, RouteBodyConfig};
use crate::filter::{Filter, FilterConfig};
use crate::pool::Pool;
use crate::request::path::Paths;
use crate::request::syntax::host_name;
use crate::upstream::retry::RetryConfig;

/// One entry of `routes`.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// What logs and metrics call the route; its host and path unless given.
    pub name: Option<String>,
    pub r#match: MatchConfig,
    /// Who serves it; none where a filter always answers.
    pub pool: Option<String>,
    #[serde(default, deserialize_with = "singleton_map_recursive::deserialize")]
    pub filters: Vec<FilterConfig>,
    /// Says that sending a request twice does no harm, so that POST may be retried too.
    #[serde(default)]
    pub idempotent: bool,
    #[serde(default)]
    pub retry: RetryConfig,
    /// Overrides what the listener says of targets.
    pub paths: Option<Paths>,
    /// Overrides what the file says of all bodies.
    #[serde(default)]
    pub body: RouteBodyConfig,
    /// Overrides what the file says of all answers.
    #[serde(default)]
    pub answers: RouteAnswersConfig,
}

impl RouteConfig {
    /// What logs and metrics call the route.
    pub fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.r#match.to_string())
    }
}

/// A route as requests meet it.
pub struct Route {
    pub name: String,
    pub pool: Option<Arc<Pool>>,
    pub filters: Vec<Arc<dyn Filter>>,
    pub idempotent: bool,
    pub retry: RetryConfig,
    pub paths: Option<Paths>,
    pub body: RouteBodyConfig,
    pub answers: RouteAnswersConfig,
    matches: MatchConfig,
    /// What the filters were made of.
    filter_configs: Vec<FilterConfig>,
}

impl Route {
    /// `previous` is the route of that name before a reload: filters that have not changed live on, with what they know of
    /// clients.
    fn new(config: &RouteConfig, pools: &HashMap<String, Arc<Pool>>, previous: Option<&Self>) -> Self {
        Self {
            name: config.name(),
            pool: config.pool.as_ref().and_then(|name| pools.get(name)).map(Arc::clone),
            filters: filters(&config.filters, previous),
            idempotent: config.idempotent,
            retry: config.retry.clone(),
            paths: config.paths,
            body: config.body.clone(),
            answers: config.answers.clone(),
            matches: config.r#match.clone(),
            filter_configs: config.filters.clone(),
        }
    }
}

impl Route {
    /// Whether it takes this method not only because it takes all.
    pub fn names(&self, method: &Method) -> bool {
        self.matches.methods.contains(method)
    }
}

/// Filters, those that stood in the route before taken over from it: each at most once.
fn filters(configs: &[FilterConfig], previous: Option<&Route>) -> Vec<Arc<dyn Filter>> {
    let before = previous.map_or(&[][..], |route| &route.filter_configs);
    let kept = previous.map_or(&[][..], |route| &route.filters);
    let mut kept: Vec<_> = before.iter().zip(kept).collect();
    let mut filter = |config: &FilterConfig| match kept.iter().position(|(before, _)| *before == config) {
        Some(place) => Arc::clone(kept.remove(place).1),
        None => config.build(),
    };
    configs.iter().map(&mut filter).collect()
}

/// All routes, the most specific first.
pub struct Router {
    routes: Vec<Arc<Route>>,
}

impl Router {
    /// `previous` is the router before a reload.
    pub fn new(configs: &[RouteConfig], pools: &HashMap<String, Arc<Pool>>, previous: Option<&Self>) -> Self {
        let route = |config: &RouteConfig| {
            let before = previous.and_then(|previous| previous.named(&config.name()));
            Arc::new(Route::new(config, pools, before))
        };
        Self {
            routes: Self::in_order(configs).into_iter().map(route).collect(),
        }
    }

    fn named(&self, name: &str) -> Option<&Route> {
        self.routes.iter().find(|route| route.name == name).map(Arc::as_ref)
    }

    /// The routes in the order in which they are asked, the most specific first.
    pub fn in_order(configs: &[RouteConfig]) -> Vec<&RouteConfig> {
        let mut routes: Vec<&RouteConfig> = configs.iter().collect();
        routes.sort_by_cached_key(|route| route.r#match.precedence());
        routes
    }

    /// The route for a request. `host` is what the client asked for, with or without a port; `path` is in the form of
    /// [`crate::request::path::normal`].
    pub fn find(&self, host: &str, path: &str, method: &Method) -> Result<&Arc<Route>, NoRoute> {
        let host = host_name(host);
        let mut allowed = Vec::new();
        for route in &self.routes {
            match route.matches.fit(host, path, method) {
                Fit::Takes => return Ok(route),
                Fit::OtherMethod => allowed.extend_from_slice(&route.matches.methods),
                Fit::OtherHost | Fit::OtherPath => {}
            }
        }
        match allowed.as_slice() {
            [] => Err(NoRoute::NotFound),
            _ => Err(NoRoute::MethodNotAllowed(allowed)),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoRoute {
    NotFound,
    /// The path is served, by these methods.
    MethodNotAllowed(Vec<Method>),
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::request::path;

    /// A router whose routes are called by their order: 0, 1, …
    fn router(matches: &[&str]) -> Router {
        let configs: Vec<RouteConfig> = matches
            .iter()
            .enumerate()
            .map(|(order, text)| serde_yaml::from_str(&format!("{{ name: '{order}', match: {{ {text} }} }}")).unwrap())
            .collect();
        Router::new(&configs, &HashMap::new(), None)
    }

    fn found(router: &Router, host: &str, path: &str) -> String {
        router
            .find(host, path, &Method::GET)
            .map_or("none".to_owned(), |route| route.name.clone())
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
    fn tells_a_wrong_method_from_a_wrong_path() {
        let router = router(&["path_exact: /x, methods: [POST]", "path_exact: /x, methods: [PUT]"]);
        assert_eq!(router.find("", "/x", &Method::PUT).unwrap().name, "1");
        let wrong_method = router.find("", "/x", &Method::GET).err();
        assert_eq!(
            wrong_method,
            Some(NoRoute::MethodNotAllowed(vec![Method::POST, Method::PUT]))
        );
        assert_eq!(router.find("", "/y", &Method::POST).err(), Some(NoRoute::NotFound));
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
            let reached = |path: &str| router.find("", path, &Method::GET).is_ok();
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
    fn a_filter_that_a_reload_leaves_as_it_is_lives_on() {
        let routes = |filters: &str| -> Vec<RouteConfig> {
            let yaml = format!("[{{ match: {{ path_prefix: / }}, filters: [{filters}] }}]");
            serde_yaml::from_str(&yaml).unwrap()
        };
        let (limit, other) = ("{ rate_limit: { rate: 1/m } }", "{ rate_limit: { rate: 2/m } }");
        let build = |filters: &str, previous| Router::new(&routes(filters), &HashMap::new(), previous);
        let before = build(&format!("{limit}, {limit}"), None);
        let after = build(&format!("{other}, {limit}, {limit}, {limit}"), Some(&before));
        let is_kept = |filter: &Arc<dyn Filter>| {
            let kept = |old: &Arc<dyn Filter>| std::ptr::addr_eq(Arc::as_ptr(old), Arc::as_ptr(filter));
            before.routes[0].filters.iter().position(kept)
        };
        let kept: Vec<_> = after.routes[0].filters.iter().map(is_kept).collect();
        assert_eq!(kept, [None, Some(0), Some(1), None]);
    }

    #[test]
    fn a_path_that_is_not_ascii_matches_what_clients_send() {
        let router = router(&["path_exact: /café"]);
        assert_eq!(found(&router, "", &path::normal(b"/caf%c3%a9").unwrap()), "0");
    }
}
