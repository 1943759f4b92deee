//! A collector of traces that takes OTLP over HTTP, in JSON: `POST /v1/traces` with what has come together.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

/// `http://127.0.0.1:4318`, or with a path of its own.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct Collector {
    /// With its port.
    host: String,
    path: String,
}

impl TryFrom<String> for Collector {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is no collector; write http://127.0.0.1:4318, where one listens for OTLP over HTTP. One that is \
                 reached by TLS wants a collector on this host between"
            )
        };
        let rest = text.strip_prefix("http://").ok_or_else(wrong)?;
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (name, port) = host.rsplit_once(':').ok_or_else(wrong)?;
        let is_visible = rest.bytes().all(|byte| byte.is_ascii_graphic());
        if name.is_empty() || !port.parse::<u16>().is_ok_and(|port| port > 0) || !is_visible {
            return Err(wrong());
        }
        let path = if path.len() > 1 { path } else { "/v1/traces" };
        Ok(Self {
            host: host.to_owned(),
            path: path.to_owned(),
        })
    }
}

impl fmt::Display for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.host, self.path)
    }
}

impl Collector {
    /// Sends lines, each one of OTLP's `ResourceSpans`.
    ///
    /// # Errors
    /// Nobody takes them.
    pub fn send(&self, lines: &[u8]) -> io::Result<()> {
        let spans: Vec<&[u8]> = lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .collect();
        let body = [br#"{"resourceSpans":["#.as_slice(), &spans.join(&b','), b"]}"].concat();
        let mut stream = self.connect()?;
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            self.path,
            self.host,
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(&body)?;
        let mut status = String::new();
        BufReader::new(stream.take(LONGEST_STATUS)).read_line(&mut status)?;
        match status.split(' ').nth(1) {
            Some(code) if code.starts_with('2') => Ok(()),
            _ => Err(io::Error::other(format!("{self} answers {:?}", status.trim_end()))),
        }
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in self.host.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, PATIENCE) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(PATIENCE))?;
                    stream.set_write_timeout(Some(PATIENCE))?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

const PATIENCE: Duration = Duration::from_secs(5);
const LONGEST_STATUS: u64 = 1024;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn is_written_as_a_url() {
        let read = |text: &str| Collector::try_from(text.to_owned()).map(|collector| collector.to_string());
        assert_eq!(
            read("http://127.0.0.1:4318").unwrap(),
            "http://127.0.0.1:4318/v1/traces"
        );
        assert_eq!(read("http://otel:4318/").unwrap(), "http://otel:4318/v1/traces");
        assert_eq!(
            read("http://[::1]:80/own/v1/traces").unwrap(),
            "http://[::1]:80/own/v1/traces"
        );
        for wrong in [
            "otel:4318",
            "https://otel:4318",
            "http://otel",
            "http://:4318",
            "http://otel:0",
            "http://o t:1",
        ] {
            assert!(read(wrong).unwrap_err().contains("write http://"), "{wrong}");
        }
    }
}
