//! Pingora's proxy, as connections use it.

use std::sync::Arc;
use std::time::Duration;

use pingora::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora::protocols::http::ServerSession;
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;
use pingora::server::configuration::ServerConf;

use crate::body::RefusedHead;
use crate::client::connection::Connection;
use crate::exchange::phases::Edge;
use crate::exchange::refused_head;
use crate::state::Shared;

/// Pingora's proxy with our phases in it.
pub struct Proxy {
    http: Arc<HttpProxy<Edge>>,
    shared: Arc<Shared>,
}

impl Proxy {
    /// `threads` is how many serve requests.
    pub fn new(shared: Arc<Shared>, threads: usize) -> Arc<Self> {
        let conf = ServerConf {
            threads,
            max_retries: MOST_ATTEMPTS,
            ..ServerConf::default()
        };
        let mut http = HttpProxy::new(Edge::new(Arc::clone(&shared)), Arc::new(conf));
        let mut options = HttpServerOptions::default();
        // So that the answer to CONNECT is ours; no route takes it.
        options.allow_connect_method_proxying = true;
        http.server_options = Some(options);
        http.handle_init_modules();
        Arc::new(Self {
            http: Arc::new(http),
            shared,
        })
    }

    /// Carries a request to its end. Gives the stream back where it may carry another one.
    pub async fn serve(&self, session: ServerSession, shutdown: &ShutdownWatch) -> Option<ReusedHttpStream> {
        self.http.process_new_http(session, shutdown).await
    }

    /// What came in a request's place has its line in the log too.
    pub fn log_refused(&self, connection: &Arc<Connection>, head: &RefusedHead) {
        refused_head::log(&self.shared, connection, head);
    }
}

/// A bound far above what a route's `retry` allows, which is what decides.
const MOST_ATTEMPTS: usize = 100;

/// How long it may take to say that no further request is wanted.
pub const FAREWELL: Duration = Duration::from_secs(1);
