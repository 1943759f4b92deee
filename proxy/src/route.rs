//! Host, path and method → filters and pool.
//!
//! Precedence is Nginx's, written once for all routes: an exact host before a wildcard before none, the longest
//! wildcard first; then an exact path before prefixes, the longest prefix first; then the order of the file. Unlike
//! Nginx's, a host's routes need not be complete: what none of them takes falls to the less specific ones.

use std::fmt;
use std::sync::Arc;

use http::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_yaml::with::singleton_map_recursive;

use crate::body::RouteBodyConfig;
use crate::filter::{Filter, FilterConfig};
use crate::path;
use crate::request::host_name;
use crate::retry::RetryConfig;

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
    /// Overrides what the file says of all bodies.
    #[serde(default)]
    pub body: RouteBodyConfig,
}

impl RouteConfig {
    /// What logs and metrics call the route.
    pub fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.r#match.to_string())
    }
}

/// Which requests a route takes: all that is given has to hold.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "MatchFields")]
#[schemars(with = "MatchFields")]
pub struct MatchConfig {
    pub host: Option<HostPattern>,
    pub path: PathPattern,
    /// Any method where it is empty.
    pub methods: Vec<Method>,
}

impl MatchConfig {
    /// Whether every request that `other` takes is taken by this one too, at the same precedence.
    pub fn hides(&self, other: &Self) -> bool {
        let methods = self.methods.is_empty()
            || !other.methods.is_empty() && other.methods.iter().all(|method| self.methods.contains(method));
        self.host == other.host && self.path == other.path && methods
    }

    /// Whether it takes such a request, or the first reason why not. `host` is without a port, `path` canonical.
    pub fn fit(&self, host: &str, path: &str, method: &Method) -> Fit {
        if !self.host.as_ref().is_none_or(|pattern| pattern.takes(host)) {
            Fit::OtherHost
        } else if !self.path.takes(path) {
            Fit::OtherPath
        } else if !self.methods.is_empty() && !self.methods.contains(method) {
            Fit::OtherMethod
        } else {
            Fit::Takes
        }
    }

    /// Sorts the more specific first.
    fn precedence(&self) -> impl Ord + use<> {
        let host = self.host.as_ref().map(HostPattern::precedence);
        std::cmp::Reverse((host, self.path.precedence()))
    }
}

/// Whether a route takes a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    Takes,
    OtherHost,
    OtherPath,
    OtherMethod,
}

impl fmt::Display for MatchConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(HostPattern::Exact(host)) = &self.host {
            f.write_str(host)?;
        } else if let Some(HostPattern::Wildcard(suffix)) = &self.host {
            write!(f, "*{suffix}")?;
        }
        let (PathPattern::Exact(path) | PathPattern::Prefix(path)) = &self.path;
        f.write_str(path)
    }
}

/// The keys of `match:` as they are written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MatchFields {
    host: Option<HostPattern>,
    path_exact: Option<PathText>,
    path_prefix: Option<PathText>,
    #[serde(default)]
    methods: Vec<MethodName>,
}

impl TryFrom<MatchFields> for MatchConfig {
    type Error = &'static str;

    fn try_from(fields: MatchFields) -> Result<Self, Self::Error> {
        let path = match (fields.path_exact, fields.path_prefix) {
            (Some(PathText(path)), None) => PathPattern::Exact(path),
            (None, Some(PathText(path))) => PathPattern::Prefix(path),
            (None, None) if fields.host.is_some() => PathPattern::Prefix("/".to_owned()),
            (None, None) => return Err("nothing says which requests it takes; write path_prefix: / for all"),
            (Some(_), Some(_)) => return Err("has both path_exact and path_prefix; write one of them, or two routes"),
        };
        let methods = fields.methods.into_iter().map(|MethodName(method)| method).collect();
        Ok(Self {
            host: fields.host,
            path,
            methods,
        })
    }
}

/// `example.com`, or `*.example.com` for everything below it. Kept in lower case.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("pattern" = r"^((\*\.)?[A-Za-z0-9_.-]+|\[[0-9a-fA-F:.]+\])$", "examples" = ["example.com", "*.example.com"]))]
pub enum HostPattern {
    Exact(String),
    /// What the host ends in, its first dot included.
    Wildcard(String),
}

impl HostPattern {
    fn takes(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => host.eq_ignore_ascii_case(name),
            Self::Wildcard(suffix) => host
                .len()
                .checked_sub(suffix.len())
                .and_then(|start| host.get(start..).filter(|_| start > 0))
                .is_some_and(|end| end.eq_ignore_ascii_case(suffix)),
        }
    }

    fn precedence(&self) -> (bool, usize) {
        match self {
            Self::Exact(_) => (true, 0),
            Self::Wildcard(suffix) => (false, suffix.len()),
        }
    }
}

impl<'de> Deserialize<'de> for HostPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let name = text.strip_prefix("*.").unwrap_or(&text);
        let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let named = !name.is_empty() && name.chars().all(letters) && name.split('.').all(|label| !label.is_empty());
        let address = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let bracketed = address.is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
        if !named && !bracketed {
            return Err(de::Error::custom(format!(
                "{text:?} is not a host; write example.com, *.example.com or an address, without scheme and port"
            )));
        }
        let text = text.to_ascii_lowercase();
        Ok(match text.strip_prefix('*') {
            Some(suffix) => Self::Wildcard(suffix.to_owned()),
            None => Self::Exact(text),
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathPattern {
    Exact(String),
    Prefix(String),
}

impl PathPattern {
    fn takes(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => path == exact,
            Self::Prefix(prefix) => path.starts_with(prefix.as_str()),
        }
    }

    fn precedence(&self) -> (bool, usize) {
        match self {
            Self::Exact(_) => (true, 0),
            Self::Prefix(prefix) => (false, prefix.len()),
        }
    }
}

/// A path in its canonical spelling: any other would never match.
#[derive(JsonSchema)]
#[schemars(with = "String", extend("pattern" = "^/[^?#]*$"))]
struct PathText(String);

impl<'de> Deserialize<'de> for PathText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.contains(['?', '#']) {
            return Err(de::Error::custom(format!(
                "{text:?}: a route sees the path only; write it without ? and #"
            )));
        }
        match path::canonical(&text) {
            // A person writes é where clients send %C3%A9.
            Ok(canonical) if canonical == text || !text.contains('%') && !text.contains("//") => {
                Ok(Self(canonical.into_owned()))
            }
            Ok(canonical) => Err(de::Error::custom(format!(
                "{text:?} never matches as it is spelt; write {canonical:?}"
            ))),
            Err(path::PathError::NotAbsolute) => Err(de::Error::custom(format!(
                "{text:?} is not a path; write {:?}",
                format!("/{text}")
            ))),
            Err(error) => Err(de::Error::custom(format!(
                "{text:?}: {error}, and such requests are refused"
            ))),
        }
    }
}

#[derive(JsonSchema)]
#[schemars(with = "String", extend("pattern" = "^[A-Z-]+$", "examples" = ["GET", "POST"]))]
struct MethodName(Method);

impl<'de> Deserialize<'de> for MethodName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match Method::from_bytes(text.as_bytes()) {
            Ok(method) if text == text.to_ascii_uppercase() => Ok(Self(method)),
            _ => Err(de::Error::custom(format!(
                "{text:?} is not a method; write GET, POST or another in capitals"
            ))),
        }
    }
}

/// A route as requests meet it.
pub struct Route {
    pub name: String,
    pub pool: Option<String>,
    pub filters: Vec<Box<dyn Filter>>,
    pub idempotent: bool,
    pub retry: RetryConfig,
    pub body: RouteBodyConfig,
    matches: MatchConfig,
}

impl Route {
    pub fn new(config: &RouteConfig) -> Self {
        Self {
            name: config.name(),
            pool: config.pool.clone(),
            filters: config.filters.iter().map(FilterConfig::build).collect(),
            idempotent: config.idempotent,
            retry: config.retry.clone(),
            body: config.body.clone(),
            matches: config.r#match.clone(),
        }
    }
}

/// All routes, the most specific first.
pub struct Router {
    routes: Vec<Arc<Route>>,
}

impl Router {
    pub fn new(configs: &[RouteConfig]) -> Self {
        let routes = Self::in_order(configs)
            .into_iter()
            .map(|config| Arc::new(Route::new(config)));
        Self {
            routes: routes.collect(),
        }
    }

    /// The routes in the order in which they are asked, the most specific first.
    pub fn in_order(configs: &[RouteConfig]) -> Vec<&RouteConfig> {
        let mut routes: Vec<&RouteConfig> = configs.iter().collect();
        routes.sort_by_cached_key(|route| route.r#match.precedence());
        routes
    }

    /// The route for a request. `host` is what the client asked for, with or without a port; `path` is canonical, see
    /// [`path::canonical`].
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

    /// A router whose routes are called by their order: 0, 1, …
    fn router(matches: &[&str]) -> Router {
        let configs: Vec<RouteConfig> = matches
            .iter()
            .enumerate()
            .map(|(order, text)| serde_yaml::from_str(&format!("{{ name: '{order}', match: {{ {text} }} }}")).unwrap())
            .collect();
        Router::new(&configs)
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
            let reached = path::canonical(path).is_ok_and(|path| router.find("", &path, &Method::GET).is_ok());
            assert!(!reached, "{path}");
        }
    }

    #[test]
    fn refuses_patterns_that_cannot_mean_anything() {
        for (text, part) in [
            ("{}", "write path_prefix: /"),
            ("{ path_exact: /a, path_prefix: /b }", "write one of them"),
            ("{ path_prefix: v1/ }", r#"write "/v1/""#),
            ("{ path_prefix: /a//b }", r#"write "/a/b""#),
            ("{ path_exact: /%6d }", r#"write "/m""#),
            ("{ path_exact: /a/../b }", "such requests are refused"),
            ("{ path_exact: '/a?b' }", "without ? and #"),
            ("{ host: 'http://a.test' }", "without scheme and port"),
            ("{ host: 'a.test:80' }", "without scheme and port"),
            ("{ host: 'a.*.test' }", "without scheme and port"),
            ("{ path_prefix: /, methods: [get] }", "in capitals"),
        ] {
            let error = serde_yaml::from_str::<MatchConfig>(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_path_that_is_not_ascii_matches_what_clients_send() {
        let router = router(&["path_exact: /café"]);
        assert_eq!(found(&router, "", &path::canonical("/caf%c3%a9").unwrap()), "0");
    }
}
