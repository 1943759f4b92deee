//! A new connection to a backend.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use schemars::JsonSchema;
use serde::Deserialize;
use tokio::io::AsyncWriteExt;

use super::channel::{Channel, Io};
use super::connection::Connection;
use super::http2::Trunk;
use super::tls::{Client, TlsConfig, TlsError};
use crate::client::endpoint::Endpoint;
use crate::client::proxy_protocol::{Ends, ProxyProtocol};
use crate::client::stream::Stream;

/// How backends are spoken to in HTTP/1.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Http1 {
    /// In HTTP/1.1, on connections that are kept for further requests.
    #[default]
    Kept,
    /// In HTTP/1.1, on a connection for each request. Nginx: `proxy_http_version 1.1` without `keepalive`.
    OneRequest,
    /// In HTTP/1.0, on a connection for each request, as Nginx did before 1.29.7; what cannot do without HTTP/1.1 goes in that: a
    /// WebSocket, and a body whose length is not known before.
    #[serde(rename = "http_1_0")]
    Version10,
}

/// What a pool says of how its backends are reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransportConfig {
    pub tls: Option<TlsConfig>,
    pub http1: Http1,
    pub http2: bool,
    pub proxy_protocol: Option<ProxyProtocol>,
    pub connect_from: Option<IpAddr>,
}

pub struct Transport {
    /// Told apart from those that other configurations have made: their connections are not for this one.
    number: u64,
    config: TransportConfig,
    tls: Option<Client>,
    /// What the files held that were read for it.
    read: Vec<Option<Vec<u8>>>,
}

/// Whom to connect to.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    pub endpoint: &'a Endpoint,
    /// As it was written, for TLS.
    pub host: Option<&'a str>,
}

impl Transport {
    /// Reads certificates anew.
    ///
    /// # Errors
    /// One cannot be used.
    pub fn new(config: TransportConfig) -> Result<Arc<Self>, TlsError> {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let protocol = if config.http2 { HTTP2 } else { "http/1.1" };
        let tls = config.tls.as_ref().map(|tls| Client::new(tls, protocol)).transpose()?;
        let number = match config == TransportConfig::default() {
            true => 0,
            false => NUMBER.fetch_add(1, Ordering::Relaxed),
        };
        Ok(Arc::new(Self {
            number,
            read: contents(&config),
            config,
            tls,
        }))
    }

    /// Whether one made of this configuration now would be the same.
    pub fn is_as(&self, config: &TransportConfig) -> bool {
        self.config == *config && self.read == contents(config)
    }

    pub fn number(&self) -> u64 {
        self.number
    }

    /// TCP or a Unix socket, and nothing else.
    pub fn is_plain(&self) -> bool {
        self.number == 0
    }

    /// Whether many requests share a connection.
    pub fn is_shared(&self) -> bool {
        self.config.http2
    }

    /// Whether a connection may serve further requests: one that tells of its client is that client's.
    pub fn keeps(&self) -> bool {
        !self.config.http2 && self.config.proxy_protocol.is_none() && self.config.http1 == Http1::Kept
    }

    /// How the backends are spoken to; as by default where they speak HTTP/2.
    pub fn http1(&self) -> Http1 {
        match self.config.http2 {
            true => Http1::Kept,
            false => self.config.http1,
        }
    }

    /// A new connection to speak HTTP/1.1 on. `client` is on whose behalf, where it is on somebody's.
    ///
    /// # Errors
    /// There is none to be had, or the other end cannot be believed.
    pub async fn open(&self, target: Target<'_>, client: Option<Ends>) -> io::Result<Channel> {
        match self.config.http2 {
            true => self.trunk(target, client).await?.open().await,
            false => self.connect(target, client).await,
        }
    }

    /// A new connection of HTTP/2.
    ///
    /// # Errors
    /// As of [`Transport::open`].
    pub async fn trunk(&self, target: Target<'_>, client: Option<Ends>) -> io::Result<Trunk> {
        let channel = self.connect(target, client).await?;
        Trunk::over(channel, self.tls.is_some()).await
    }

    async fn connect(&self, target: Target<'_>, client: Option<Ends>) -> io::Result<Channel> {
        let mut stream = match self.config.connect_from {
            Some(address) => Stream::connect_from(address, target.endpoint).await?,
            None => Stream::connect(target.endpoint).await?,
        };
        if let Some(version) = self.config.proxy_protocol {
            stream.write_all(&version.header(client)).await?;
        }
        let connection = Connection::of(&stream)?;
        let io = match &self.tls {
            None => Io::Plain(stream),
            Some(tls) => {
                let stream = tls.secure(stream, target.host).await?;
                let agreed = stream.get_ref().1.alpn_protocol();
                if self.config.http2 && agreed != Some(HTTP2.as_bytes()) {
                    return Err(io::Error::new(
                        io::ErrorKind::Unsupported,
                        "the backend does not speak HTTP/2 in TLS (ALPN)",
                    ));
                }
                Io::Tls(Box::new(stream))
            }
        };
        Ok(Channel {
            io,
            connection,
            endpoint: target.endpoint.clone(),
            transport: self.number,
        })
    }
}

fn contents(config: &TransportConfig) -> Vec<Option<Vec<u8>>> {
    let files = config.tls.iter().flat_map(TlsConfig::named);
    files.map(|file| std::fs::read(file).ok()).collect()
}

/// In the words of ALPN.
const HTTP2: &str = "h2";
