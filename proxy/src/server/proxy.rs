//! Pingora's proxy, as connections use it.

use std::sync::Arc;
use std::time::Duration;

use pingora::apps::HttpServerOptions;
use pingora::proxy::HttpProxy;
use pingora::server::configuration::ServerConf;

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
    // So that the answer to CONNECT is ours; no route takes it.
    options.allow_connect_method_proxying = true;
    proxy.server_options = Some(options);
    proxy.handle_init_modules();
    proxy
}

/// A bound far above what a route's `retry` allows, which is what decides.
const MOST_ATTEMPTS: usize = 100;

/// How long it may take to say that no further request is wanted.
pub const FAREWELL: Duration = Duration::from_secs(1);
