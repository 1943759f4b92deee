//! Accepting connections, and carrying each one through its requests.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use pingora::apps::{HttpServerApp, HttpServerOptions, ServerApp};
use pingora::protocols::http::ServerSession;
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;
use pingora::server::configuration::ServerConf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::client::connection::{Connections, Downstream, Entered};
use crate::client::listener::Listener;
use crate::exchange::phases::Edge;

/// Pingora's proxy with our phases in it.
pub type Proxy = HttpProxy<Edge>;

/// Pingora's proxy around our phases; `threads` is how many serve requests.
pub fn proxy(edge: Edge, threads: usize) -> Proxy {
    let conf = ServerConf {
        threads,
        max_retries: MOST_ATTEMPTS,
        ..ServerConf::default()
    };
    let mut proxy = HttpProxy::new(edge, Arc::new(conf));
    let mut options = HttpServerOptions::default();
    options.h2c = true;
    // So that the answer to CONNECT is ours; no route takes it.
    options.allow_connect_method_proxying = true;
    options.h2_idle_timeout = Some(HTTP2_IDLE);
    proxy.server_options = Some(options);
    proxy.handle_init_modules();
    proxy
}

/// A bound far above what a route's `retry` allows, which is what decides.
const MOST_ATTEMPTS: usize = 100;

/// How long an HTTP/2 connection may be without a request. Nginx: `keepalive_timeout`.
const HTTP2_IDLE: Duration = Duration::from_secs(75);

/// One listener's accept loop.
pub struct Acceptor {
    pub listener: Arc<Listener>,
    pub connections: Arc<Connections>,
    pub proxy: Arc<Proxy>,
    /// True once the process drains.
    pub shutdown: ShutdownWatch,
}

impl Acceptor {
    /// How long to wait after an error that a further attempt would only repeat, such as EMFILE.
    const BACK_OFF: Duration = Duration::from_millis(50);

    /// Accepts until told to stop, then takes the connections that wait in the kernel's queue, which would otherwise be
    /// reset when the socket closes. Gives the socket back, for the listener's next settings.
    pub async fn run(self, socket: TcpListener, mut stop: oneshot::Receiver<()>) -> TcpListener {
        let room = Arc::new(Semaphore::new(self.listener.config.max_connections));
        let mut failing = false;
        loop {
            let next = async { (self.place(&room).await, socket.accept().await) };
            let (place, accepted) = tokio::select! {
                next = next => next,
                _ = &mut stop => break,
            };
            match accepted {
                Ok((stream, peer)) => {
                    failing = false;
                    self.spawn(stream, peer, place);
                }
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    if !failing {
                        tracing::error!(listener = self.listener.name, %error, "cannot accept connections");
                    }
                    failing = true;
                    self.connections.end_longest_waiting();
                    tokio::time::sleep(Self::BACK_OFF).await;
                }
            }
        }
        while let Poll::Ready(Ok((stream, peer))) = poll_fn(|cx| Poll::Ready(socket.poll_accept(cx))).await {
            self.spawn(stream, peer, None);
        }
        socket
    }

    /// A place for one more connection; one that idles makes room.
    async fn place(&self, room: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(room).try_acquire_owned() {
            return Some(place);
        }
        self.connections.end_longest_waiting();
        Arc::clone(room).acquire_owned().await.ok()
    }

    fn spawn(&self, stream: TcpStream, peer: SocketAddr, place: Option<OwnedSemaphorePermit>) {
        let connection = self.connections.enter(&self.listener, peer);
        let (proxy, shutdown) = (Arc::clone(&self.proxy), self.shutdown.clone());
        tokio::spawn(async move {
            // A client that has left already is found out at the first read.
            let _ = stream.set_nodelay(true);
            serve(stream, connection, &proxy, &shutdown).await;
            drop(place);
        });
    }
}

/// Errors of `accept` that say nothing about the next connection (accept(2)).
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, WouldBlock};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted | WouldBlock
    )
}

/// One connection, from its first byte to its last.
async fn serve(stream: TcpStream, entered: Entered, proxy: &Arc<Proxy>, shutdown: &ShutdownWatch) {
    let listener = &entered.listener;
    let downstream = match &listener.tls {
        None => Downstream::plain(stream, Arc::clone(&entered)),
        Some(tls) => match tokio::time::timeout(listener.config.timeouts.head.get(), tls.accept(stream)).await {
            Ok(Ok(stream)) => Downstream::tls(stream, Arc::clone(&entered)),
            // Scanners and clients that do not trust the certificate are no news.
            Ok(Err(_)) | Err(_) => return,
        },
    };
    match downstream.speaks_http2().await {
        Ok(false) => serve_http1(downstream, &entered, proxy, shutdown).await,
        Ok(true) => {
            entered.multiplex();
            proxy.process_new(Box::new(downstream), shutdown).await;
        }
        Err(_) => {}
    }
}

async fn serve_http1(downstream: Downstream, entered: &Entered, proxy: &Arc<Proxy>, shutdown: &ShutdownWatch) {
    let watched = entered.listener.watch.over(Box::new(downstream));
    let mut session = ServerSession::new_http1(watched);
    // No timer of Pingora's: the sweep ends connections that idle.
    session.set_keepalive(Some(0));
    session.set_pipelining_enabled(true);
    while let Some(reusable) = proxy.process_new_http(session, shutdown).await {
        entered.await_request();
        let (stream, settings) = reusable.consume();
        session = ServerSession::new_http1(stream);
        if let Some(settings) = settings {
            settings.apply_to_session(&mut session);
        }
    }
}
