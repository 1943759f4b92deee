//! The end-to-end harness: starts the real binaries on free ports, gives them fake backends that fail on
//! purpose, and waits for conditions with a deadline, never for time to pass.

pub mod backend;
mod client;
pub mod haproxy;
pub mod http2;
pub mod mutation;
pub mod name_server;
pub mod nginx;
pub mod openssl;
pub mod picture;
pub mod process;
pub mod random;
pub mod raw;
mod received;
pub mod redis;
pub mod rsyslog;
pub mod tls;
pub mod until;
pub mod veil;
pub mod worker;

use std::io::Write;

pub use client::{Client, Response, client};

/// Says that a test cannot run on this machine. `tests/run` counts these lines, and fails on one it does not expect.
pub fn skip(test: &str, reason: &str) {
    // Past the capture of libtest, which hides what a passing test prints.
    let _ = writeln!(std::io::stderr(), "\nskipped: {test}: {reason}");
}

/// Prints what a test has measured, for whoever reads the log of a run.
pub fn report(measured: &str) {
    let _ = writeln!(std::io::stderr(), "\n{measured}");
}
