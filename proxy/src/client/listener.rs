//! Where Veil listens, and under which limits it talks to clients.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use schemars::JsonSchema;
use serde::Deserialize;
use tokio::net::{TcpListener, TcpSocket};

use crate::body::{HeadLimits, Watch};
use crate::client::places::Places;
use crate::client::tls::{Tls, TlsConfig, TlsError};
use crate::request::Scheme;
use crate::request::path::Paths;
use crate::yaml::units::{ByteSize, Cidr, Duration};

/// One entry of `listeners`: `public: { address: 0.0.0.0:80 }`.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ListenerConfig {
    /// Port 0 takes a free one, which is printed at start.
    pub address: SocketAddr,
    /// HTTPS in place of HTTP.
    pub tls: Option<TlsConfig>,
    /// Proxies in front of this listener, whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    /// Nginx: `set_real_ip_from` with `real_ip_recursive on`.
    #[serde(default)]
    pub trusted_proxies: Vec<Cidr>,
    /// Whether HTTP/2 is spoken, over TLS and without.
    #[serde(default = "yes")]
    pub http2: bool,
    /// Whether backends get targets as they were sent, or in their one spelling; a route may say otherwise.
    #[serde(default)]
    pub paths: Paths,
    /// Lets header fields with `_` in their names pass, except those that spell a field which Veil sets or frames by.
    /// Nginx: `underscores_in_headers`.
    #[serde(default)]
    pub underscores_in_headers: bool,
    /// Connections at a time, those of before a reload included. Further ones wait, and idle ones make room. Nginx:
    /// `worker_connections`.
    #[serde(default = "ten_thousand")]
    pub max_connections: usize,
    /// A longer request head is refused with 431. Nginx: `large_client_header_buffers`.
    #[serde(default = "thirty_two_kib")]
    pub max_head: ByteSize,
    #[serde(default)]
    pub timeouts: ListenerTimeouts,
}

/// How long clients may take.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct ListenerTimeouts {
    /// From a connection's first byte to its first request's whole head, a TLS handshake included; then for each further
    /// head from its first byte. Nginx: `client_header_timeout`.
    pub head: Duration,
    /// Between an answer and the next request, over HTTP/2 as well. Nginx: `keepalive_timeout`.
    pub idle: Duration,
    /// Without taking anything of an answer. Nginx: `send_timeout`.
    pub send: Duration,
}

impl Default for ListenerTimeouts {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(15),
            idle: Duration::from_secs(75),
            send: Duration::from_secs(60),
        }
    }
}

fn yes() -> bool {
    true
}

fn ten_thousand() -> usize {
    10_000
}

fn thirty_two_kib() -> ByteSize {
    ByteSize::from_kib(32)
}

/// A listener as its connections know it.
pub struct Listener {
    pub name: String,
    pub config: ListenerConfig,
    /// The address that was bound, with its port.
    pub address: SocketAddr,
    pub tls: Option<Tls>,
    /// Its connections', of its former settings too.
    pub places: Arc<Places>,
    /// Over the framing of its HTTP/1 requests.
    pub watch: Arc<Watch>,
}

/// Why Veil cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("cannot listen on {address}: {source}")]
    Bind { address: SocketAddr, source: io::Error },
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Listener {
    /// Reads the certificate anew. `address` is the one that was bound.
    /// `refused_heads` counts requests that were framed wrongly, over all listeners.
    pub fn new(
        name: &str,
        config: &ListenerConfig,
        address: SocketAddr,
        places: Arc<Places>,
        refused_heads: &Arc<AtomicU64>,
    ) -> Result<Self, ListenError> {
        let tls = config.tls.as_ref().map(|tls| tls.acceptor(config.http2)).transpose()?;
        let max_size = usize::try_from(config.max_head.get()).unwrap_or(usize::MAX);
        let limits = HeadLimits {
            max_size,
            deadline: config.timeouts.head.get(),
        };
        let watch = Watch::new(limits, Arc::clone(refused_heads));
        Ok(Self {
            name: name.to_owned(),
            config: config.clone(),
            address,
            tls,
            places,
            watch,
        })
    }

    /// `http://127.0.0.1:8080`
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme().as_str(), self.address)
    }

    pub fn scheme(&self) -> Scheme {
        match self.tls {
            Some(_) => Scheme::Https,
            None => Scheme::Http,
        }
    }

    /// Whether what this address says of the client is believed.
    pub fn trusts(&self, address: std::net::IpAddr) -> bool {
        self.config
            .trusted_proxies
            .iter()
            .any(|proxies| proxies.contains(address))
    }
}

/// A listener's socket before clients come in through it.
pub enum Socket {
    /// Has its address, but does not listen yet.
    Bound(TcpSocket),
    /// Comes from the process that this one replaces.
    Inherited(TcpListener),
}

/// A socket that has its address, and that address.
pub fn bind(address: SocketAddr) -> Result<(Socket, SocketAddr), ListenError> {
    let bind = || {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        // A restart need not wait for the last connections' TIME_WAIT to pass.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let address = socket.local_addr()?;
        Ok((Socket::Bound(socket), address))
    };
    bind().map_err(|source| ListenError::Bind { address, source })
}

/// A socket that another process has listened on, and its address; `configured` is for the error.
pub fn inherit(socket: std::net::TcpListener, configured: SocketAddr) -> Result<(Socket, SocketAddr), ListenError> {
    let inherit = || {
        let address = socket.local_addr()?;
        socket.set_nonblocking(true)?;
        Ok((Socket::Inherited(TcpListener::from_std(socket)?), address))
    };
    inherit().map_err(|source| ListenError::Bind {
        address: configured,
        source,
    })
}

/// Opens a socket to clients.
pub fn listen(socket: Socket, address: SocketAddr) -> Result<TcpListener, ListenError> {
    match socket {
        Socket::Bound(socket) => socket
            .listen(BACKLOG)
            .map_err(|source| ListenError::Bind { address, source }),
        Socket::Inherited(socket) => Ok(socket),
    }
}

/// Connections that wait to be accepted; the kernel cuts it to `net.core.somaxconn`.
const BACKLOG: u32 = 4096;
