//! A collector of traces that takes OTLP over HTTP, in JSON: `POST /v1/traces` with what has come together.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::lookup_host;
use tokio::runtime::Builder;
use tokio::time::timeout;

use crate::client::endpoint::Endpoint;
use crate::pool::{Channel, Target, Transport};

/// `http://127.0.0.1:4318` or `https://otel.example`, or with a path of its own.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct CollectorUrl {
    pub is_secure: bool,
    /// As it was written.
    authority: String,
    /// Without the brackets of an IPv6 address.
    host: String,
    port: u16,
    path: String,
}

impl TryFrom<String> for CollectorUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let read = Self::read(&text);
        read.ok_or_else(|| {
            format!(
                "{text:?} is no collector; write http://127.0.0.1:4318 or https://otel.example, where one listens for OTLP \
                 over HTTP"
            )
        })
    }
}

impl CollectorUrl {
    fn read(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let is_secure = scheme == "https";
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ if is_secure => (authority, 443),
            _ => return None,
        };
        let is_visible = rest.bytes().all(|byte| byte.is_ascii_graphic());
        let is_known = is_secure || scheme == "http";
        let host = host.trim_start_matches('[').trim_end_matches(']');
        (is_known && is_visible && port > 0 && !host.is_empty()).then(|| Self {
            is_secure,
            authority: authority.to_owned(),
            host: host.to_owned(),
            port,
            path: if path.len() > 1 { path } else { "/v1/traces" }.to_owned(),
        })
    }
}

impl fmt::Display for CollectorUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.path)
    }
}

/// One to send to.
pub struct Collector {
    pub url: CollectorUrl,
    pub transport: Arc<Transport>,
    /// Lines of a head.
    pub fields: String,
}

impl Collector {
    pub fn new(url: &CollectorUrl, transport: Arc<Transport>, headers: &BTreeMap<String, String>) -> Self {
        let fields = headers.iter().fold(String::new(), |mut fields, (name, value)| {
            let _ = write!(fields, "{name}: {value}\r\n");
            fields
        });
        Self {
            url: url.clone(),
            transport,
            fields,
        }
    }

    /// Sends lines, each one of OTLP's `ResourceSpans`. However slowly it takes them, it is soon over.
    ///
    /// # Errors
    /// Nobody takes them.
    pub fn send(&self, lines: &[u8]) -> io::Result<()> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let sent = runtime.block_on(async { timeout(PATIENCE, self.deliver(lines)).await });
        // A name that is still looked up is not waited for.
        runtime.shutdown_background();
        sent.unwrap_or_else(|_| {
            Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "it has not answered within 10 s",
            ))
        })
    }

    async fn deliver(&self, lines: &[u8]) -> io::Result<()> {
        let mut channel = self.connect().await?;
        channel.write_all(&self.request(lines)).await?;
        channel.flush().await?;
        let mut status = String::new();
        BufReader::new(channel.take(LONGEST_STATUS))
            .read_line(&mut status)
            .await?;
        match status.split(' ').nth(1) {
            Some(code) if code.starts_with('2') => Ok(()),
            _ => Err(io::Error::other(format!("it answers {:?}", status.trim_end()))),
        }
    }

    fn request(&self, lines: &[u8]) -> Vec<u8> {
        let spans: Vec<&[u8]> = lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .collect();
        let body = [br#"{"resourceSpans":["#.as_slice(), &spans.join(&b','), b"]}"].concat();
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n{}\r\n",
            self.url.path,
            self.url.authority,
            body.len(),
            self.fields
        );
        [head.into_bytes(), body].concat()
    }

    /// To the first of its addresses where somebody is.
    async fn connect(&self) -> io::Result<Channel> {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in lookup_host((&*self.url.host, self.url.port)).await? {
            let target = Target {
                endpoint: &Endpoint::Inet(address),
                host: Some(&self.url.host),
            };
            match timeout(CONNECT, self.transport.open(target, None)).await {
                Ok(Ok(channel)) => return Ok(channel),
                Ok(Err(error)) => last = error,
                Err(_) => last = io::Error::new(io::ErrorKind::TimedOut, format!("{address} does not answer")),
            }
        }
        Err(last)
    }
}

/// For a delivery as a whole, and for a connection to one of its addresses.
const PATIENCE: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(3);
const LONGEST_STATUS: u64 = 1024;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn is_written_as_a_url() {
        let read = |text: &str| CollectorUrl::try_from(text.to_owned());
        for (text, shown, host, port) in [
            (
                "http://127.0.0.1:4318",
                "http://127.0.0.1:4318/v1/traces",
                "127.0.0.1",
                4318,
            ),
            ("http://otel:4318/", "http://otel:4318/v1/traces", "otel", 4318),
            ("http://[::1]:80/own", "http://[::1]:80/own", "::1", 80),
            ("https://otel.test", "https://otel.test/v1/traces", "otel.test", 443),
            ("https://[::1]/", "https://[::1]/v1/traces", "::1", 443),
            ("https://otel.test:1/x", "https://otel.test:1/x", "otel.test", 1),
        ] {
            let url = read(text).unwrap();
            assert_eq!((&*url.to_string(), &*url.host, url.port), (shown, host, port));
        }
        for wrong in [
            "otel:4318",
            "grpc://otel:4317",
            "http://otel",
            "http://:4318",
            "https://",
            "http://otel:0",
            "http://o t:1",
            "https://otel:x",
        ] {
            assert!(read(wrong).unwrap_err().contains("write http://"), "{wrong}");
        }
    }
}
