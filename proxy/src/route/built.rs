//! A route made ready: its filters built, its pools at hand.

use std::collections::HashMap;
use std::sync::Arc;

use http::Method;

use super::config::RouteConfig;
use super::matching::MatchConfig;
use super::mirror::Mirror;
use super::split::Serving;
use crate::body::{RouteAnswersConfig, RouteBodyConfig};
use crate::client::forwarded::Tellings;
use crate::filter::{Filter, FilterConfig, FilterError, Subrequests, Workshop};
use crate::observe::access_log::{AccessLog, Logs, RouteLog};
use crate::pool::{Pool, RouteTimeouts};
use crate::request::path::Paths;
use crate::script::{Condition, Store};
use crate::upstream::retry::RetryConfig;
use crate::upstream::subrequest::PoolClient;

/// A route as requests meet it.
pub struct Route {
    pub name: Arc<str>,
    pub serving: Serving,
    pub mirrors: Vec<Mirror>,
    pub filters: Vec<Arc<dyn Filter>>,
    /// Whether one of them wants to see bodies.
    pub looks_at_bodies: bool,
    pub idempotent: bool,
    pub retry: RetryConfig,
    pub tells_backends: Tellings,
    pub paths: Option<Paths>,
    pub body: RouteBodyConfig,
    pub answers: RouteAnswersConfig,
    pub timeouts: RouteTimeouts,
    pub access_log: RouteLog,
    /// Those that it has of its own, open.
    pub own_logs: Vec<Arc<AccessLog>>,
    pub(super) matches: MatchConfig,
    pub(super) when: Option<Condition>,
    /// What the filters were made of.
    filter_configs: Vec<FilterConfig>,
}

/// Why a route cannot be put to work.
#[derive(Debug, thiserror::Error)]
#[error("route {route:?}: filter {filter}: {source}")]
pub struct RouteError {
    pub route: String,
    pub filter: &'static str,
    pub source: FilterError,
}

/// What routes are made with.
pub struct Surroundings<'a> {
    pub pools: &'a HashMap<String, Arc<Pool>>,
    /// Sends requests of Veil's own to them.
    pub client: PoolClient,
    /// What scripts remember.
    pub store: Arc<Store>,
    /// None where nothing is logged, as when a request is explained.
    pub logs: Option<&'a Logs>,
}

impl<'a> Surroundings<'a> {
    pub fn of(pools: &'a HashMap<String, Arc<Pool>>) -> Self {
        Surroundings {
            pools,
            client: PoolClient::new(pools.clone()),
            store: Arc::default(),
            logs: None,
        }
    }

    /// With what scripts have remembered before.
    pub fn remembering(self, store: &Arc<Store>) -> Self {
        Self {
            store: Arc::clone(store),
            ..self
        }
    }

    /// With logs for those that routes have of their own.
    pub fn logging(self, logs: &'a Logs) -> Self {
        Self {
            logs: Some(logs),
            ..self
        }
    }

    fn logs(&self, wanted: &RouteLog) -> Vec<Arc<AccessLog>> {
        let like = |config| self.logs.and_then(|logs| logs.like(config));
        wanted.own().iter().filter_map(like).collect()
    }

    fn pool(&self, name: &str) -> Option<Arc<Pool>> {
        self.pools.get(name).map(Arc::clone)
    }

    fn serving(&self, config: &RouteConfig) -> Serving {
        match (&config.pool, &config.split) {
            (Some(name), _) => self.pool(name).map_or(Serving::Nobody, Serving::One),
            (None, Some(split)) => {
                let pools = split.pools.iter().filter_map(|share| self.pool(&share.pool));
                Serving::Some(split.clone(), pools.collect())
            }
            (None, None) => Serving::Nobody,
        }
    }
}

impl Route {
    /// `previous` is the route of that name before a reload: filters that have not changed live on, with what they know of
    /// clients.
    pub(super) fn new(
        config: &RouteConfig,
        around: &Surroundings<'_>,
        previous: Option<&Self>,
    ) -> Result<Self, RouteError> {
        let mirrors = config.copies();
        let mirrors =
            mirrors.filter_map(|mirror| Some(Mirror::new(mirror, around.pool(&mirror.pool)?, &around.client)));
        Ok(Self {
            name: config.name().into(),
            serving: around.serving(config),
            mirrors: mirrors.collect(),
            filters: filters(config, around, previous)?,
            looks_at_bodies: config.filters.iter().any(FilterConfig::needs_whole_body),
            idempotent: config.idempotent,
            retry: config.retry.clone(),
            tells_backends: config.tells_backends.clone(),
            paths: config.paths,
            body: config.body.clone(),
            answers: config.answers.clone(),
            timeouts: config.timeouts.clone(),
            access_log: config.access_log.clone(),
            own_logs: around.logs(&config.access_log),
            matches: config.r#match.clone(),
            when: config.when.clone(),
            filter_configs: config.filters.clone(),
        })
    }

    /// Whether it takes this method not only because it takes all.
    pub fn names(&self, method: &Method) -> bool {
        self.matches.methods.contains(method)
    }
}

/// Filters, those that stood in the route before taken over from it: each at most once, and none that asks pools, for
/// those may be others now.
fn filters(
    config: &RouteConfig,
    around: &Surroundings<'_>,
    previous: Option<&Route>,
) -> Result<Vec<Arc<dyn Filter>>, RouteError> {
    let subrequests: Arc<dyn Subrequests> = Arc::new(around.client.clone());
    let route = config.name();
    let workshop = Workshop {
        subrequests: Some(&subrequests),
        route: Some(&route),
        store: Some(&around.store),
    };
    let before = previous.map_or(&[][..], |route| &route.filter_configs);
    let kept = previous.map_or(&[][..], |route| &route.filters);
    let mut kept: Vec<_> = before.iter().zip(kept).collect();
    let mut filter = |filter: &FilterConfig| {
        let place = kept
            .iter()
            .position(|(before, _)| *before == filter && filter.may_be_kept());
        match place {
            Some(place) => Ok(Arc::clone(kept.remove(place).1)),
            None => filter.build(&workshop).map_err(|source| RouteError {
                route: config.name(),
                filter: filter.name(),
                source,
            }),
        }
    };
    config.filters.iter().map(&mut filter).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::route::Router;

    fn filters(router: &Router) -> &[Arc<dyn Filter>] {
        &router.named("/").unwrap().filters
    }

    #[test]
    fn a_filter_that_a_reload_leaves_as_it_is_lives_on() {
        let routes = |filters: &str| -> Vec<RouteConfig> {
            let yaml = format!("[{{ match: {{ path_prefix: / }}, filters: [{filters}] }}]");
            serde_yaml::from_str(&yaml).unwrap()
        };
        let (limit, other) = ("{ rate_limit: { rate: 1/m } }", "{ rate_limit: { rate: 2/m } }");
        let build = |filters: &str, previous| {
            Router::new(&routes(filters), &Surroundings::of(&HashMap::new()), previous).unwrap()
        };
        let before = build(&format!("{limit}, {limit}"), None);
        let after = build(&format!("{other}, {limit}, {limit}, {limit}"), Some(&before));
        let is_kept = |filter: &Arc<dyn Filter>| {
            let kept = |old: &Arc<dyn Filter>| std::ptr::addr_eq(Arc::as_ptr(old), Arc::as_ptr(filter));
            filters(&before).iter().position(kept)
        };
        let kept: Vec<_> = filters(&after).iter().map(is_kept).collect();
        assert_eq!(kept, [None, Some(0), Some(1), None]);
    }
}
