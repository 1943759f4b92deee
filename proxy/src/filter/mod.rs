//! Filters: small policies on a request's head and a response's head, in the order the route lists them.

use serde::Deserialize;

/// One entry of a route's `filters`, a map with the filter's name as its only key.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FilterConfig {}
