//! Accepts connections, HTTP/1.1 and HTTP/2 with prior knowledge, a bounded number of them, each with a time limit on
//! its heads; and closes them in good order.

use std::{net::IpAddr, sync::Arc, time::Duration};

use hyper::{
    Request,
    body::Incoming,
    service::{Service as _, service_fn},
};

use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tracing::{debug, warn};

use super::{router, service::Service};
use crate::args::Args;

/// Where a request's connection comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub IpAddr);

/// Serves until `stop` is notified and the connections have ended, or a few seconds after.
///
/// # Errors
/// None so far: an accept that fails is tried again.
pub async fn serve(listener: TcpListener, service: &Arc<Service>, args: &Args, stop: &Notify) -> anyhow::Result<()> {
    let app = TowerToHyperService::new(router(service.clone()));
    let for_peer = |peer: IpAddr| {
        let app = app.clone();
        service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            app.call(request)
        })
    };
    let builder = connection_builder(args.body_timeout.0);
    let connections = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(args.max_connections));
    loop {
        let (stream, peer, permit) = tokio::select! {
            next = next_connection(&listener, &room) => next?,
            () = stop.notified() => break,
        };
        let connection = builder
            .serve_connection(TokioIo::new(stream), for_peer(peer))
            .into_owned();
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            let _permit = permit;
            if let Err(error) = connection.await {
                debug!(error, "connection ended early");
            }
        });
    }
    drop(listener);
    // Those that are still open belong to clients that do not read their answer.
    let _ = timeout(CLOSING_TIME, connections.shutdown()).await;
    Ok(())
}

async fn next_connection(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> anyhow::Result<(TcpStream, IpAddr, OwnedSemaphorePermit)> {
    let permit = room.clone().acquire_owned().await?;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // An answer's head should not wait for its body.
                let _ = stream.set_nodelay(true);
                return Ok((stream, peer.ip(), permit));
            }
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn connection_builder(head_timeout: Duration) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(head_timeout)
        .keep_alive_timeout(head_timeout);
    builder
}

/// When the system is out of descriptors, trying at once would only burn time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const CLOSING_TIME: Duration = Duration::from_secs(5);
const MAX_STREAMS: u32 = 64;
