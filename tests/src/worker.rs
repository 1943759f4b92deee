//! A running `blur-service`, on its own.

use std::net::SocketAddr;

use crate::process::Process;

pub struct Worker {
    pub process: Process,
    pub address: SocketAddr,
}

impl Worker {
    /// Starts it on a free port with further flags, and waits for the address it prints.
    pub fn start(flags: &[&str]) -> Self {
        Self::start_in(&[], flags)
    }

    /// With further environment variables.
    pub fn start_in(environment: &[(&str, &str)], flags: &[&str]) -> Self {
        let flags = [&["--listen", "127.0.0.1:0"], flags].concat();
        let process = Process::start_in(environment, "blur-service", &flags);
        let address = process.stdout.wait_for("its address", |line| {
            line.split([' ', '/']).find_map(|word| word.parse().ok())
        });
        Self { process, address }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}
