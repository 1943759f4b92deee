//! The connection that an attempt goes over: one that is there already, where it may be, or a new one.

use std::io;
use std::time::Duration;

use tokio::time::timeout;

use crate::client::proxy_protocol::Ends;
use crate::pool::{Backend, Channel, Health, Transport};
use crate::program;

/// A kept connection that would do.
#[derive(Clone, Copy)]
pub struct Idle {
    /// How long it may have been unused.
    pub most: Duration,
    /// The request cannot simply be sent again where it turns out to have ended.
    pub is_precious: bool,
}

/// A connection to speak HTTP/1.1 on, and whether others were served on it before. A new one may take `patience` to come
/// about, and is given up when the backend is found to be down meanwhile.
///
/// # Errors
/// There is none to be had.
pub async fn reach(
    backend: &Backend,
    transport: &Transport,
    client: Ends,
    idle: Option<Idle>,
    patience: Duration,
) -> io::Result<(Channel, bool)> {
    let kept = idle.filter(|_| transport.keeps());
    let kept = kept.and_then(|idle| backend.take_kept(transport.number(), idle.most, idle.is_precious));
    if let Some(channel) = kept {
        return Ok((channel, true));
    }
    let patience = match backend.health() {
        Health::Down => patience.min(DOUBTFUL_PATIENCE),
        Health::Unknown | Health::Up => patience,
    };
    tokio::select! {
        // One that is shared is there at once, and nobody has to listen for news of the backend.
        biased;
        reached = timeout(patience, connect(backend, transport, client)) => reached?,
        () = backend.found_down() => Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the backend was found to be down")),
    }
}

/// How long one that is believed to be down may take to show that it is not: whoever asks it has waited already.
const DOUBTFUL_PATIENCE: Duration = Duration::from_millis(200);

async fn connect(backend: &Backend, transport: &Transport, client: Ends) -> io::Result<(Channel, bool)> {
    match transport.is_shared() {
        true => share(backend, transport, client).await,
        false => Ok((transport.open(backend.target(), Some(client)).await?, false)),
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
