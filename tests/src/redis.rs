//! A real Redis, or Valkey.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;

use crate::process::signal_to;
use crate::until::{SOON, until};

/// One process in the foreground, which writes nothing to disk; ended with this value.
pub struct Redis {
    process: Child,
    pub address: SocketAddr,
}

impl Redis {
    /// Where the server is, if this machine has one.
    pub fn binary() -> Option<PathBuf> {
        let places = ["/usr/bin/valkey-server", "/usr/bin/redis-server"].map(PathBuf::from);
        places.into_iter().find(|path| path.exists())
    }

    /// Returns once it answers.
    pub fn start(binary: &Path, address: SocketAddr) -> Self {
        Self::start_with(binary, address, &[])
    }

    /// The same, with these options more.
    pub fn start_with(binary: &Path, address: SocketAddr, options: &[&str]) -> Self {
        let process = Command::new(binary)
            .args(["--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--port"])
            .arg(address.port().to_string())
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("the binary is there");
        let redis = Self { process, address };
        until("redis answers", SOON, || {
            redis.try_to_say("PING").filter(|said| said == "+PONG")
        });
        redis
    }

    /// The first line of what it answers.
    pub fn say(&self, command: &str) -> String {
        self.try_to_say(command).expect("redis answers")
    }

    pub fn signal(&self, signal: Signal) {
        signal_to(self.process.id(), signal);
    }

    fn try_to_say(&self, command: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        stream.set_read_timeout(Some(SOON)).ok()?;
        stream.write_all(format!("{command}\r\n").as_bytes()).ok()?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).ok()?;
        Some(line.trim_end().to_owned())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
