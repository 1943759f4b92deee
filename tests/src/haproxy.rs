//! A real HAProxy, as the other side of the PROXY protocol.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::nginx::Nginx;
use crate::until::{SOON, until};

/// One process in the foreground; ended with this value.
pub struct Haproxy {
    process: Child,
    pub address: SocketAddr,
    _home: TempDir,
}

impl Haproxy {
    /// Where HAProxy is, if this machine has it.
    pub fn binary() -> Option<&'static Path> {
        ["/usr/sbin/haproxy", "/usr/local/sbin/haproxy", "/usr/bin/haproxy"]
            .map(Path::new)
            .into_iter()
            .find(|path| path.exists())
    }

    /// Passes connections on to `server`, said as in `server NAME …` after the name. Returns once it listens.
    pub fn start(binary: &Path, server: &str) -> Self {
        let home = tempfile::tempdir().expect("a folder can be made");
        let address = Nginx::free_address();
        let configuration = format!(
            "global\n  maxconn 100\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n\
             listen all\n  bind {address}\n  server veil {server}\n"
        );
        let file = home.path().join("haproxy.cfg");
        fs::write(&file, configuration).expect("the folder is ours");
        let process = Command::new(binary)
            .args(["-db".as_ref(), "-f".as_ref(), file.as_os_str()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary is there");
        let haproxy = Self {
            process,
            address,
            _home: home,
        };
        until("haproxy listens", SOON, || TcpStream::connect(address).ok());
        haproxy
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
