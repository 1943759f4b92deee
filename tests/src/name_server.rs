//! A real DNS server, dnsmasq, on a loopback port; it serves the records that it is told.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::skip;
use crate::until::{SOON, until};

/// Stopped when dropped.
pub struct NameServer {
    pub address: SocketAddr,
    server: Option<Child>,
    folder: TempDir,
}

/// A record of the domain `test`, good for a second.
pub enum Record<'a> {
    /// Of type A or AAAA.
    Address(&'a str, IpAddr),
    Srv {
        name: &'a str,
        priority: u16,
        weight: u16,
        target: &'a str,
        port: u16,
    },
}

impl NameServer {
    /// None, which is said, where dnsmasq is not installed.
    pub fn start(test: &str, records: &[Record<'_>]) -> Option<Self> {
        if Command::new(DNSMASQ)
            .arg("--version")
            .stdout(Stdio::null())
            .status()
            .is_err()
        {
            skip(test, "dnsmasq is not installed (Debian: apt-get install dnsmasq-base)");
            return None;
        }
        let mut server = Self {
            address: free_address(),
            server: None,
            folder: tempfile::tempdir().expect("a temporary directory can be made"),
        };
        server.serve(records);
        Some(server)
    }

    /// Serves these records and no others.
    pub fn serve(&mut self, records: &[Record<'_>]) {
        self.stop();
        let (configuration, hosts) = (self.folder.path().join("conf"), self.folder.path().join("hosts"));
        fs::write(&configuration, lines(records, Record::setting)).expect("a temporary file can be written");
        fs::write(&hosts, lines(records, Record::host)).expect("a temporary file can be written");
        let server = Command::new(DNSMASQ)
            .args([
                "--keep-in-foreground",
                "--no-resolv",
                "--no-hosts",
                "--bind-interfaces",
                "--pid-file=",
            ])
            .args([
                "--user=root",
                "--local=/test/",
                "--local-ttl=1",
                "--listen-address=127.0.0.1",
            ])
            .arg(format!("--port={}", self.address.port()))
            .arg(format!("--conf-file={}", configuration.display()))
            .arg(format!("--addn-hosts={}", hosts.display()))
            .stdin(Stdio::null())
            .spawn()
            .expect("dnsmasq starts");
        self.server = Some(server);
        until("dnsmasq listens", SOON, || TcpStream::connect(self.address).ok());
    }

    /// From here on nobody answers.
    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Record<'_> {
    fn host(&self) -> Option<String> {
        match self {
            Self::Address(name, address) => Some(format!("{address} {name}")),
            Self::Srv { .. } => None,
        }
    }

    fn setting(&self) -> Option<String> {
        match self {
            Self::Address(..) => None,
            Self::Srv {
                name,
                priority,
                weight,
                target,
                port,
            } => Some(format!("srv-host={name},{target},{port},{priority},{weight}")),
        }
    }
}

const DNSMASQ: &str = "dnsmasq";

fn lines<'a>(records: &[Record<'a>], line: impl Fn(&Record<'a>) -> Option<String>) -> String {
    let lines = records.iter().filter_map(line);
    lines.map(|line| line + "\n").collect()
}

/// Free for both protocols at this moment; dnsmasq cannot choose a port itself.
fn free_address() -> SocketAddr {
    until("a port is free", SOON, || {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
        let address = tcp.local_addr().ok()?;
        UdpSocket::bind(address).ok()?;
        Some(address)
    })
}
