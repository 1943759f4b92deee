//! Host and path → filters and pool.

use serde::Deserialize;
use serde_yaml::with::singleton_map_recursive;

use crate::filter::FilterConfig;
use crate::retry::RetryConfig;

/// One entry of `routes`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// What logs and metrics call the route; its path unless given.
    pub name: Option<String>,
    pub r#match: MatchConfig,
    /// Who serves it; none where a filter always answers.
    pub pool: Option<String>,
    #[serde(default, with = "singleton_map_recursive")]
    pub filters: Vec<FilterConfig>,
    /// Says that sending a request twice does no harm, so that POST may be retried too.
    #[serde(default)]
    pub idempotent: bool,
    #[serde(default)]
    pub retry: RetryConfig,
}

impl RouteConfig {
    /// What logs and metrics call the route.
    pub fn name(&self) -> &str {
        let matched = &self.r#match;
        let path = matched
            .path_exact
            .as_deref()
            .or(matched.path_prefix.as_deref())
            .or(matched.host.as_deref());
        self.name.as_deref().or(path).unwrap_or("/")
    }
}

/// Which requests a route takes: all that is given has to hold.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MatchConfig {
    pub host: Option<String>,
    pub path_exact: Option<String>,
    pub path_prefix: Option<String>,
    pub methods: Vec<String>,
}
