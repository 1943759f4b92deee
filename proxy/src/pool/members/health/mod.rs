//! Active checks: how a backend says that it is.

pub mod check;
pub mod config;
pub mod expect;
mod statuses;
mod wanted;
pub mod watch;

pub use self::check::Check;
pub use self::config::HealthConfig;
