//! A session that stands in for the client's while its request goes to backends. Pingora asks it for the body as it would
//! ask the client, and before each attempt calls [`Session::enable_retry_buffering`]: there a kept body begins anew. While
//! the head of an answer is waited for, Pingora waits here for the client too, so that this is where the wait ends when
//! somebody's patience does. Pingora gives it the answer as it would give it to the client: here it is kept, so that it can
//! be had from another backend as long as the client has seen nothing of it, and so that the client takes it at its own
//! pace. The client's own session is put back at the end, so that its connection can carry the next request.
//!
//! [`Session::enable_retry_buffering`]: pingora::protocols::http::custom::server::Session::enable_retry_buffering

mod away;
mod recipient;
mod session;
mod source;
mod taken;

pub(super) use source::Source;
pub use taken::Taken;
pub(super) use taken::swap;
