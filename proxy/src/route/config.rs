//! What YAML says of a route.

use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_yaml::with::singleton_map_recursive;

use super::matching::MatchConfig;
use super::mirror::MirrorConfig;
use super::split::SplitConfig;
use crate::body::{RouteAnswersConfig, RouteBodyConfig};
use crate::client::forwarded::Tellings;
use crate::filter::FilterConfig;
use crate::observe::access_log::RouteLog;
use crate::pool::RouteTimeouts;
use crate::request::RequestCtx;
use crate::request::path::Paths;
use crate::script::Condition;
use crate::upstream::retry::RetryConfig;

/// One entry of `routes`.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// What logs and metrics call the route; its host and path unless given.
    pub name: Option<String>,
    pub r#match: MatchConfig,
    /// A condition that has to hold too: otherwise the next route is asked.
    #[serde(default, deserialize_with = "crate::script::written")]
    pub when: Option<Condition>,
    /// Who serves it; none where a filter always answers.
    pub pool: Option<String>,
    /// Several pools in the place of one, each with its share of the clients. Nginx: `split_clients`.
    pub split: Option<SplitConfig>,
    /// Another pool that gets copies of requests, whose answers go nowhere. Nginx: `mirror`.
    pub mirror: Option<MirrorConfig>,
    /// Further ones.
    #[serde(default)]
    pub mirrors: Vec<MirrorConfig>,
    #[serde(default, deserialize_with = "singleton_map_recursive::deserialize")]
    pub filters: Vec<FilterConfig>,
    /// Says that sending a request twice does no harm, so that POST may be retried too.
    #[serde(default)]
    pub idempotent: bool,
    #[serde(default)]
    pub retry: RetryConfig,
    /// The fields of Veil's own that backends get; all unless given. What clients say in the others passes as it is.
    #[serde(default)]
    pub tells_backends: Tellings,
    /// Overrides what the listener says of targets.
    pub paths: Option<Paths>,
    /// Overrides what the file says of all bodies.
    #[serde(default)]
    pub body: RouteBodyConfig,
    /// Overrides what the file says of all answers.
    #[serde(default)]
    pub answers: RouteAnswersConfig,
    /// Which of its requests are logged, or where.
    #[serde(default)]
    pub access_log: RouteLog,
    /// Overrides what the pool says of time.
    #[serde(default)]
    pub timeouts: RouteTimeouts,
}

impl RouteConfig {
    /// What logs and metrics call the route.
    pub fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.r#match.to_string())
    }

    /// Whether every request that `other` takes is taken by this one too, at the same precedence.
    pub fn hides(&self, other: &Self) -> bool {
        (self.when.is_none() || self.when == other.when) && self.r#match.hides(&other.r#match)
    }

    /// Who gets copies, the first of all first.
    pub fn copies(&self) -> impl Iterator<Item = &MirrorConfig> {
        self.mirror.iter().chain(&self.mirrors)
    }

    /// The name of the pool that serves a request.
    pub fn pool_for(&self, head: &RequestHeader, ctx: &RequestCtx) -> Option<&String> {
        let chosen = |split: &'_ SplitConfig| split.choose(head, ctx);
        let split = self.split.as_ref();
        self.pool
            .as_ref()
            .or_else(|| split.and_then(|split| Some(&split.pools.get(chosen(split))?.pool)))
    }

    /// The pools that may serve it.
    pub fn pools(&self) -> Vec<&str> {
        let split = self
            .split
            .iter()
            .flat_map(|split| &split.pools)
            .map(|share| share.pool.as_str());
        self.pool.as_deref().into_iter().chain(split).collect()
    }
}
