//! The client's side: where Veil listens and under which limits, each connection and what it is doing, TLS, and who the
//! client is.

pub mod admin;
pub mod connection;
pub mod endpoint;
pub mod forwarded;
pub mod listener;
pub mod listening;
pub mod places;
pub mod proxy_protocol;
pub mod stream;
pub mod tickets;
pub mod tls;
