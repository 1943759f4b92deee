//! A worker for the fault table and the proxy's benchmark: it reads what it is sent, answers with the digest of it,
//! and fails as it is told. A process of its own, so that it can be killed and stopped.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clap::{Parser, ValueEnum};
use e2e::backend::{Answer, Backend, Part};

#[derive(Parser)]
struct Cli {
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// How long a good answer takes, in milliseconds
    #[arg(long, default_value_t = 0)]
    work_ms: u64,
    /// What goes wrong
    #[arg(long, value_enum)]
    fault: Option<Fault>,
    /// With which requests: every one of so many
    #[arg(long, default_value_t = 3)]
    every: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum Fault {
    ResetBeforeBody,
    ResetAmidBody,
    ResetAfterBody,
    ResetAmidHead,
    ResetAmidAnswer,
    ResetAmidLargeAnswer,
    Answer500,
    Answer502,
    Answer503,
    Slow,
}

impl Fault {
    fn answer(self) -> Answer {
        match self {
            Self::ResetBeforeBody => Answer::ResetBeforeBody,
            Self::ResetAmidBody => Answer::ResetAmidBody,
            Self::ResetAfterBody => Answer::ResetAfterBody,
            Self::ResetAmidHead => Answer::ResetAmidHead,
            Self::ResetAmidAnswer => Answer::ResetAmidAnswer,
            Self::ResetAmidLargeAnswer => Answer::Parts(vec![Part::Bytes(most_of_a_large_answer())]),
            Self::Answer500 => Answer::status(500),
            Self::Answer502 => Answer::status(502),
            Self::Answer503 => Answer::status(503),
            Self::Slow => Answer::After(Duration::from_secs(60), Box::new(Answer::Digest)),
        }
    }
}

/// Two of three megabytes.
fn most_of_a_large_answer() -> Vec<u8> {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n";
    [&head[..], &[7; 2_000_000]].concat()
}

fn main() {
    let Cli {
        listen,
        work_ms,
        fault,
        every,
    } = Cli::parse();
    let served = AtomicUsize::new(0);
    let backend = Backend::at(listen, move |_| match fault {
        Some(fault) if served.fetch_add(1, Ordering::Relaxed).is_multiple_of(every) => fault.answer(),
        _ if work_ms == 0 => Answer::Digest,
        _ => Answer::After(Duration::from_millis(work_ms), Box::new(Answer::Digest)),
    });
    println!("listening on http://{}", backend.address);
    // Whoever started it holds the other end, and lets go when it ends, however it ends.
    let _ = io::copy(&mut io::stdin(), &mut io::sink());
}
