//! A client's HTTP/2 connection: its streams handed to Pingora, its idling, its end.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use h2::Reason;
use h2::server::Connection;
use pingora::apps::HttpServerApp;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::{H2Accept, HttpSession, default_h2_options, handshake};
use pingora::protocols::{Digest, Stream};
use pingora::server::ShutdownWatch;
use tokio::time::timeout;

use crate::client::connection::Entered;
use crate::server::serve::{FAREWELL, Proxy};

/// Serves its requests, until the client leaves or idles for too long, or, at the end of the process, those that were
/// under way have been answered.
pub async fn serve(stream: Stream, entered: &Entered, proxy: &Arc<Proxy>, shutdown: &ShutdownWatch) {
    entered.multiplex();
    let digest = Arc::new(Digest {
        ssl_digest: stream.get_ssl_digest(),
        timing_digest: stream.get_timing_digest(),
        proxy_digest: stream.get_proxy_digest(),
        socket_digest: stream.get_socket_digest(),
    });
    // A client that leaves meanwhile is no news.
    let Ok(mut connection) = handshake(stream, Some(default_h2_options())).await else {
        return;
    };
    let mut stopping = shutdown.clone();
    let mut told = false;
    let mut rejected = 0;
    loop {
        let accepted = tokio::select! {
            biased;
            () = told_to_stop(&mut stopping), if !told => {
                connection.graceful_shutdown();
                told = true;
                continue;
            }
            accepted = HttpSession::from_h2_conn(&mut connection, Arc::clone(&digest)) => accepted,
            () = entered.asked_to_leave() => return leave(connection).await,
        };
        match accepted {
            Ok(Some(H2Accept::Session(session))) => {
                let guard = entered.begin_stream();
                let (proxy, shutdown) = (Arc::clone(proxy), shutdown.clone());
                tokio::spawn(async move {
                    proxy
                        .process_new_http(ServerSession::new_http2(session), &shutdown)
                        .await;
                    drop(guard);
                });
            }
            Ok(Some(H2Accept::Rejected)) => {
                rejected += 1;
                if rejected == MOST_REJECTED {
                    return;
                }
            }
            Ok(None) | Err(_) => return,
        }
    }
}

/// An end of the sender is such a word as well.
async fn told_to_stop(stopping: &mut ShutdownWatch) {
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

/// Says which request was the last one taken, so that the client can send the next one elsewhere, and closes.
async fn leave(mut connection: Connection<Stream, Bytes>) {
    connection.abrupt_shutdown(Reason::NO_ERROR);
    let _ = timeout(FAREWELL, poll_fn(|cx| connection.poll_closed(cx))).await;
}

/// Malformed requests that one connection may send. Pingora's own accept loop has the same bound.
const MOST_REJECTED: usize = 32;
