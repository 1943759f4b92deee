//! How a pool's backends are reached: over TCP or a Unix socket, in TLS or plainly, in HTTP/1.1 or HTTP/2, with or without
//! a word of PROXY protocol before all else.

mod answer;
mod believing;
mod channel;
mod connect;
mod connection;
mod descriptor;
mod http2;
mod opening;
mod tls;

pub use self::answer::head_of_answer;
pub use self::channel::Channel;
pub use self::connect::{Http1, Target, Transport, TransportConfig};
pub use self::connection::Connection;
pub use self::http2::Trunk;
pub use self::opening::Opening;
pub use self::tls::{TlsConfig, TlsError};
