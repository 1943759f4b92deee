//! Lines to a syslog server, each as a message of RFC 5424: over a Unix socket or UDP one a packet, over TCP one after the
//! other, each behind its length (RFC 6587).

use std::fmt;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use crate::request::text::push_moment;

/// `unix:/dev/log`, `udp:10.0.0.1:514` or `tcp:logs.internal:601`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    Unix(PathBuf),
    Udp(String),
    Tcp(String),
}

impl FromStr for Server {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (kind, rest) = text.split_once(':').ok_or(())?;
        let has_port = || {
            let (host, port) = rest.rsplit_once(':')?;
            (!host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)).then(|| rest.to_owned())
        };
        match kind {
            "unix" if rest.starts_with('/') => Ok(Self::Unix(rest.into())),
            "udp" => has_port().map(Self::Udp).ok_or(()),
            "tcp" => has_port().map(Self::Tcp).ok_or(()),
            _ => Err(()),
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Udp(address) => write!(f, "udp:{address}"),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
        }
    }
}

/// A way to a server, which is found anew where it breaks.
#[derive(Debug)]
pub struct Syslog {
    server: Server,
    host: String,
    way: Option<Way>,
}

#[derive(Debug)]
enum Way {
    Unix(UnixDatagram),
    Udp(UdpSocket),
    Tcp(TcpStream),
}

impl Syslog {
    /// Nobody need be there yet.
    pub fn to(server: Server) -> Self {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self {
            server,
            host: if host.is_empty() { "-".to_owned() } else { host },
            way: None,
        }
    }

    /// Sends a line.
    ///
    /// # Errors
    /// Nobody takes it.
    pub fn send(&mut self, line: &[u8]) -> io::Result<()> {
        let message = self.message(line);
        // A server that was started anew is found at the second attempt.
        let was_known = self.way.is_some();
        match self.try_send(&message) {
            Err(_) if was_known => self.try_send(&message),
            sent => sent,
        }
    }

    fn try_send(&mut self, message: &[u8]) -> io::Result<()> {
        let way = match self.way.take() {
            Some(way) => way,
            None => Way::to(&self.server)?,
        };
        way.send(message)?;
        self.way = Some(way);
        Ok(())
    }

    fn message(&self, line: &[u8]) -> Vec<u8> {
        let mut message = format!("<{PRIORITY}>1 ").into_bytes();
        push_moment(&mut message, SystemTime::now());
        message.extend_from_slice(format!(" {} veil {} access - ", self.host, std::process::id()).as_bytes());
        message.extend_from_slice(line);
        message
    }
}

impl Way {
    fn to(server: &Server) -> io::Result<Self> {
        match server {
            Server::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                socket.set_write_timeout(Some(PATIENCE))?;
                Ok(Self::Unix(socket))
            }
            Server::Udp(address) => {
                let server = resolved(address)?;
                let any: SocketAddr = match server {
                    SocketAddr::V4(_) => ([0; 4], 0).into(),
                    SocketAddr::V6(_) => ([0; 16], 0).into(),
                };
                let socket = UdpSocket::bind(any)?;
                socket.connect(server)?;
                Ok(Self::Udp(socket))
            }
            Server::Tcp(address) => {
                let stream = TcpStream::connect_timeout(&resolved(address)?, PATIENCE)?;
                stream.set_write_timeout(Some(PATIENCE))?;
                Ok(Self::Tcp(stream))
            }
        }
    }

    fn send(&self, message: &[u8]) -> io::Result<()> {
        match self {
            Self::Unix(socket) => socket.send(packet(message)).map(drop),
            Self::Udp(socket) => socket.send(packet(message)).map(drop),
            Self::Tcp(stream) => {
                let framed = [format!("{} ", message.len()).as_bytes(), message].concat();
                (&*stream).write_all(&framed)
            }
        }
    }
}

/// What of a message goes into one packet: the kernel takes no longer one, and the beginning says more than nothing.
fn packet(message: &[u8]) -> &[u8] {
    &message[..message.len().min(LONGEST_PACKET)]
}

fn resolved(address: &str) -> io::Result<SocketAddr> {
    let found = address.to_socket_addrs()?.next();
    found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
}

/// For a server that takes nothing: lines are lost then, and nobody waits.
const PATIENCE: Duration = Duration::from_secs(1);

/// Bytes; over IPv6 65 487 fit into a packet of UDP.
const LONGEST_PACKET: usize = 65_000;

/// Facility local7 (23), severity informational (6), as Nginx has it.
const PRIORITY: u8 = 23 * 8 + 6;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_too_long_for_a_packet_arrives_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let (over_unix, over_udp) = (
            UnixDatagram::bind(&path).unwrap(),
            UdpSocket::bind("127.0.0.1:0").unwrap(),
        );
        let address = over_udp.local_addr().unwrap().to_string();
        let line = [b"{\"path\":\"/".to_vec(), vec![b'a'; 1 << 20]].concat();
        let mut came = vec![0; 1 << 20];
        Syslog::to(Server::Unix(path)).send(&line).unwrap();
        let length = over_unix.recv(&mut came).unwrap();
        Syslog::to(Server::Udp(address)).send(&line).unwrap();
        assert_eq!([length, over_udp.recv(&mut came).unwrap()], [LONGEST_PACKET; 2]);
    }

    #[test]
    fn a_server_is_told_by_what_it_is_reached_over() {
        for text in [
            "unix:/dev/log",
            "udp:10.0.0.1:514",
            "udp:[fd00::1]:514",
            "tcp:logs.internal:601",
        ] {
            assert_eq!(text.parse::<Server>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "unix:log",
            "udp:10.0.0.1",
            "tcp:host:port",
            "upd:10.0.0.1:514",
            "tcp::514",
            "udp:host:0",
        ] {
            assert!(text.parse::<Server>().is_err(), "{text}");
        }
    }
}
