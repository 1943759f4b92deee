//! What can be seen of Veil from outside: a line a request, and numbers.

pub mod access_log;
pub mod changes;
pub mod collector;
pub mod metrics;
pub mod outlet;
pub mod syslog;
pub mod traces;
