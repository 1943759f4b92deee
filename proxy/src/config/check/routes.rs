//! What may well be a mistake in the routes, seen together.

use pingora::http::RequestHeader;

use super::Remark;
use crate::config::Config;
use crate::filter::FilterConfig;
use crate::route::{Fit, HostPattern, PathPattern, RouteConfig, Router};
use crate::yaml::document::steps;

/// Whoever sends a client a link decides on the host that such a redirect leads to.
pub fn redirects(config: &Config) -> Vec<Remark> {
    let routes = config.routes.iter().enumerate();
    let open = routes.filter_map(|(index, route)| {
        if !route.r#match.hosts.is_empty() {
            return None;
        }
        let place = route.filters.iter().position(FilterConfig::redirects_to_host)?;
        let what = format!(
            "route {:?}: it redirects to whatever $host a client asks for; give the route its hosts, or write the name",
            route.name()
        );
        Some((steps!["routes", index, "filters", place].to_vec(), what))
    });
    open.collect()
}

/// Backends that know path parameters read `/admin;x/` as `/admin/`, which another route takes that has not the same
/// filters.
pub fn parameters(config: &Config) -> Vec<Remark> {
    let routes = config.routes.iter().enumerate();
    let slipped = routes.filter_map(|(index, route)| {
        let guards = guards(route);
        let spelling = with_parameter(&route.r#match.path).filter(|_| !guards.is_empty())?;
        let other = taker(config, route, &spelling)?;
        if other.pools().is_empty() || self::guards(other) == guards {
            return None;
        }
        let what = format!(
            "route {:?}: {spelling} is taken by route {:?}, and backends that know path parameters read it as {}; give \
             that route the same filters",
            route.name(),
            other.name(),
            spelling.replace(PARAMETER, "")
        );
        Some((steps!["routes", index, "match"].to_vec(), what))
    });
    slipped.collect()
}

/// What keeps requests from its backends.
fn guards(route: &RouteConfig) -> Vec<&FilterConfig> {
    route.filters.iter().filter(|filter| filter.guards()).collect()
}

/// The path with a parameter in its last segment; none where there is no segment, or where the route takes it too.
fn with_parameter(pattern: &PathPattern) -> Option<String> {
    let (segment, slash) = match pattern {
        PathPattern::Exact(path) => path
            .strip_suffix('/')
            .map_or((path.as_str(), ""), |segment| (segment, "/")),
        // A prefix that ends amid a segment takes the parameter too.
        PathPattern::Prefix(path) => (path.strip_suffix('/')?, "/"),
        PathPattern::Regex(_) => return None,
    };
    (!segment.is_empty()).then(|| format!("{segment}{PARAMETER}{slash}"))
}

/// Who takes a path in the place of this route.
fn taker<'a>(config: &'a Config, route: &RouteConfig, path: &str) -> Option<&'a RouteConfig> {
    let matches = &route.r#match;
    let host = matches.hosts.first().map(HostPattern::example).unwrap_or_default();
    let listener = matches.listeners.first().or_else(|| config.listeners.keys().next())?;
    let method = matches.methods.first().cloned().unwrap_or_default();
    let head = RequestHeader::build(method, b"/", None).ok()?;
    let mut routes = Router::in_order(&config.routes, &host).into_iter();
    routes.find(|other| other.r#match.fit(listener, &host, path, &head, false) == Fit::Takes)
}

const PARAMETER: &str = ";x";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config;

    fn told(routes: &str) -> Vec<String> {
        let yaml = format!(
            "version: 1\nlisteners: {{ public: {{ address: 127.0.0.1:0 }} }}\nroutes:\n{routes}\
             pools: {{ a: {{ backends: [{{ address: 10.0.0.1:80 }}] }} }}\n"
        );
        let config = config::parse("x.yaml", &yaml).unwrap();
        let remarks = [redirects(&config), parameters(&config)].concat();
        remarks.into_iter().map(|(_, what)| what).collect()
    }

    #[test]
    fn a_redirect_to_any_host_is_doubtful() {
        let route = |matches: &str, to: &str| {
            told(&format!(
                "  - {{ match: {{ {matches} }}, filters: [{{ redirect: {{ to: '{to}' }} }}] }}\n"
            ))
        };
        for to in ["https://$host$request_uri", "//$authority/", "https://www.$host/"] {
            let found = route("path_prefix: /", to);
            assert!(found.len() == 1 && found[0].contains("$host"), "{to}: {found:?}");
        }
        assert_eq!(
            route("host: a.test, path_prefix: /", "https://$host$request_uri"),
            [""; 0]
        );
        assert_eq!(route("path_prefix: /", "https://a.test$request_uri"), [""; 0]);
        assert_eq!(route("path_prefix: /", "https://a.test/$host"), [""; 0]);
        assert_eq!(route("path_prefix: /", "/there?from=$host"), [""; 0]);
    }

    #[test]
    fn a_guarded_path_that_a_parameter_slips_past_is_doubtful() {
        let all = "  - { match: { path_prefix: / }, pool: a }\n";
        let guarded = |path: &str| {
            format!("  - {{ match: {{ {path} }}, pool: a, filters: [{{ access: {{ allow: [10.0.0.0/8] }} }}] }}\n")
        };
        for path in ["path_prefix: /admin/", "path_exact: /admin", "path_prefix: /a/b/"] {
            let found = told(&(guarded(path) + all));
            assert!(found.len() == 1 && found[0].contains(";x"), "{path}: {found:?}");
        }
        assert_eq!(told(&(guarded("path_prefix: /admin") + all)), [""; 0], "takes it too");
        assert_eq!(told(&guarded("path_prefix: /admin/")), [""; 0], "nobody else takes it");
        let both = guarded("path_prefix: /admin/") + &guarded("path_prefix: /");
        assert_eq!(told(&both), [""; 0], "who takes it has the same filters");
        let open = "  - { match: { path_prefix: /v1/ }, pool: a }\n";
        assert_eq!(told(&(open.to_owned() + all)), [""; 0], "nothing is kept from anybody");
        let refused = "  - { match: { path_prefix: /admin/ }, filters: [{ respond: { status: 403 } }] }\n";
        assert_eq!(told(&(refused.to_owned() + all)).len(), 1);
    }
}
