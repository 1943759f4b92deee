//! A real Nginx, to compare with.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::until::{SOON, until};

/// One process in the foreground, in a folder of its own; ended with this value.
pub struct Nginx {
    process: Child,
    _home: TempDir,
}

impl Nginx {
    /// Where Nginx is, if this machine has it.
    pub fn binary() -> Option<&'static Path> {
        ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"]
            .map(Path::new)
            .into_iter()
            .find(|path| path.exists())
    }

    /// An address to listen at: Nginx cannot be told to take a free port and say which.
    pub fn free_address() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("loopback has a free port")
    }

    /// Returns once it listens at `address`; `http` is what its `http` block holds beside where its files go.
    pub fn start(binary: &Path, address: SocketAddr, http: &str) -> Self {
        let home = tempfile::tempdir().expect("a folder can be made");
        let configuration = format!(
            "daemon off; master_process off; worker_processes 1; pid {home}/pid; error_log {home}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
{http}
}}
",
            home = home.path().display(),
        );
        let file = home.path().join("nginx.conf");
        fs::write(&file, configuration).expect("the folder is ours");
        let process = Command::new(binary)
            .args(["-p".as_ref(), home.path().as_os_str(), "-c".as_ref(), file.as_os_str()])
            .stdin(Stdio::null())
            .spawn()
            .expect("the binary is there");
        let nginx = Self { process, _home: home };
        until("nginx listens", SOON, || TcpStream::connect(address).ok());
        nginx
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
