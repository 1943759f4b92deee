//! Host, path and what else a request says → filters and pool.

mod built;
mod config;
mod index;
mod matching;
pub mod mirror;
mod router;
mod split;
mod values;

pub use self::built::{Route, RouteError, Surroundings};
pub use self::config::RouteConfig;
pub use self::matching::{Fit, HostPattern, MatchConfig, PathPattern};
pub use self::mirror::{Mirror, MirrorConfig};
pub use self::router::{Found, NoRoute, Router};
pub use self::split::{Serving, SplitConfig};
