//! Carrying one connection through its requests: what it speaks is found out, and Pingora gets each request once its
//! head is whole.

use std::pin::Pin;
use std::sync::Arc;

use pingora::apps::HttpPersistentSettings;
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::body::{Next, Wire};
use crate::client::connection::{Cause, Downstream, Entered, Socket};
use crate::client::stream::Stream;
use crate::client::tls::facts_of;
use crate::server::http2;
use crate::server::proxy::{FAREWELL, Proxy};

/// One connection, from its first byte to its last.
pub async fn serve(stream: Stream, entered: Entered, proxy: &Arc<Proxy>, shutdown: &ShutdownWatch) {
    let (mut socket, watch) = (Socket::new(stream, Arc::clone(&entered)), &entered.listener.watch);
    if entered.begins_with_word_of_client() && socket.hear_of_client().await.is_err() {
        return entered.ends_because(Cause::Handshake);
    }
    let mut wire = match &entered.listener.tls {
        None => Box::new(watch.over_new(Box::new(Downstream::plain(socket)))),
        Some(_) if socket.speaks_plainly().await.unwrap_or_default() => {
            Box::new(watch.over(Box::new(Downstream::plain(socket))))
        }
        Some(tls) => {
            // Scanners and clients that do not trust the certificate are counted, and are no news. The handshake's time is
            // watched by the sweep, as a part of the first head's.
            let Ok(stream) = Box::pin(tls.acceptor.accept(socket)).await else {
                return entered.ends_because(Cause::Handshake);
            };
            let Some(facts) = facts_of(&stream) else {
                return entered.ends_because(Cause::Handshake);
            };
            entered.has_shaken_hands(facts);
            let downstream = Downstream::tls(stream);
            let speaks_http2 = downstream.has_agreed_on_http2();
            let wire = watch.over_secured(Box::new(downstream), entered.reading_for());
            if speaks_http2 {
                return serve_http2(wire, &entered, proxy, shutdown).await;
            }
            Box::new(wire)
        }
    };
    match wire.next().await {
        Next::Request => Box::pin(serve_http1(wire, &entered, proxy, shutdown)).await,
        // Who was not offered it does not speak it, or is not understood.
        Next::Http2 if !entered.listener.config.http2 => {}
        Next::Http2 => serve_http2(*wire, &entered, proxy, shutdown).await,
        Next::Refused => dismiss(*wire, &entered, proxy).await,
        Next::Gone => {}
    }
}

/// Apart from the rest, so that a connection takes memory for the protocol that it speaks alone.
fn serve_http2<'a>(
    wire: Wire,
    entered: &'a Entered,
    proxy: &'a Arc<Proxy>,
    shutdown: &'a ShutdownWatch,
) -> Pin<Box<impl Future<Output = ()> + Send + 'a>> {
    Box::pin(http2::serve(Box::new(wire.multiplexed()), entered, proxy, shutdown))
}

/// Requests one after the other, of which the first is there.
async fn serve_http1(mut wire: Box<Wire>, entered: &Entered, proxy: &Arc<Proxy>, shutdown: &ShutdownWatch) {
    let mut settings = None;
    loop {
        entered.note_spelling(wire.take_spelling());
        let Some(reusable) = proxy.serve(session_over(wire, settings), shutdown).await else {
            return;
        };
        let stream;
        (stream, settings) = reusable.consume();
        wire = match stream.into_any().downcast() {
            Ok(wire) => wire,
            Err(_) => return,
        };
        entered.await_request(wire.has_more());
        let next = tokio::select! {
            biased;
            next = wire.next() => next,
            () = entered.asked_to_leave() => {
                let _ = timeout(FAREWELL, wire.shutdown()).await;
                return;
            }
        };
        match next {
            Next::Request => {}
            Next::Refused => return dismiss(*wire, entered, proxy).await,
            Next::Http2 | Next::Gone => return,
        }
    }
}

/// The end of a connection on which no request can be made out.
async fn dismiss(mut wire: Wire, entered: &Entered, proxy: &Proxy) {
    if let Some(head) = wire.take_refused() {
        proxy.log_refused(entered, &head);
    }
    wire.next().await;
}

/// The session of a request that has come, with the settings that the one before it has left.
fn session_over(wire: Box<Wire>, settings: Option<HttpPersistentSettings>) -> ServerSession {
    let mut session = ServerSession::new_http1(wire);
    match settings {
        None => {
            // No timer of Pingora's: the sweep ends connections that idle.
            session.set_keepalive(Some(0));
            session.set_pipelining_enabled(true);
        }
        Some(settings) => settings.apply_to_session(&mut session),
    }
    session
}
