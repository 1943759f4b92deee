//! The connection that an attempt goes over: one that is there already, where it may be, or a new one.

use std::io;
use std::time::Duration;

use crate::client::proxy_protocol::Ends;
use crate::pool::{Backend, Channel, Transport};
use crate::program;

/// A kept connection that would do.
#[derive(Clone, Copy)]
pub struct Idle {
    /// How long it may have been unused.
    pub most: Duration,
    /// The request cannot simply be sent again where it turns out to have ended.
    pub is_precious: bool,
}

/// A connection to speak HTTP/1.1 on, and whether others were served on it before.
///
/// # Errors
/// There is none to be had.
pub async fn reach(
    backend: &Backend,
    transport: &Transport,
    client: Ends,
    idle: Option<Idle>,
) -> io::Result<(Channel, bool)> {
    if transport.is_shared() {
        return share(backend, transport, client).await;
    }
    let kept = idle.filter(|_| transport.keeps());
    let kept = kept.and_then(|idle| backend.take_kept(transport.number(), idle.most, idle.is_precious));
    match kept {
        Some(channel) => Ok((channel, true)),
        None => Ok((transport.open(backend.target(), Some(client)).await?, false)),
    }
}

async fn share(backend: &Backend, transport: &Transport, client: Ends) -> io::Result<(Channel, bool)> {
    while let Some(trunk) = backend.trunk(transport.number()) {
        // One that has come to its end takes no further request, and is not found again.
        if let Ok(channel) = trunk.open().await {
            return Ok((channel, true));
        }
    }
    let trunk = transport.trunk(backend.target(), Some(client)).await?;
    let channel = trunk.open().await?;
    backend.let_share(trunk);
    Ok((channel, false))
}

/// What Pingora is told where there is none.
pub fn not_reached(error: io::Error, context: &'static str) -> Box<pingora::Error> {
    let kind = match error.kind() {
        io::ErrorKind::TimedOut => pingora::ErrorType::ConnectTimedout,
        _ if program::lacks_means(&error) => pingora::ErrorType::InternalError,
        _ => pingora::ErrorType::ConnectError,
    };
    pingora::Error::because(kind, context, error)
}
