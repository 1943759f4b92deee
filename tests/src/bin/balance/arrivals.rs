//! An open loop: requests come when they come, at random times around a rate, and do not wait for each other.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use e2e::random::Random;
use e2e::until::until;

use crate::sample::{End, Sample};

pub struct Arrivals<'a> {
    pub veil: SocketAddr,
    /// The address of each client, as a proxy in front of Veil tells it.
    pub clients: &'a [String],
    pub per_second: f64,
    pub time: Duration,
    /// Bytes of each request's body.
    pub upload: usize,
}

impl Arrivals<'_> {
    /// Sends for `time`, then waits for the last answer.
    pub fn send(&self, seed: u64) -> Vec<Sample> {
        let mut random = Random::new(seed);
        let samples = Arc::new(Mutex::new(Vec::new()));
        let mut sent = 0;
        let began = Instant::now();
        let mut due = Duration::ZERO;
        while due < self.time {
            due += self.pause(&mut random);
            let client = random.below(self.clients.len());
            thread::sleep((began + due).saturating_duration_since(Instant::now()));
            let (veil, address, upload) = (self.veil, self.clients[client].clone(), self.upload);
            let samples = Arc::clone(&samples);
            let request = thread::Builder::new().stack_size(SMALL_STACK).spawn(move || {
                let end = request(veil, &address, upload).unwrap_or(End::Refused(0));
                let latency = (began + due).elapsed();
                samples
                    .lock()
                    .expect("no holder panics")
                    .push(Sample { client, latency, end });
            });
            // Not joined: tens of thousands of ended threads would keep their stacks until then.
            drop(request.expect("the system has room for a thread"));
            sent += 1;
        }
        until("the last answer", PATIENCE, || {
            let mut samples = samples.lock().expect("no holder panics");
            (samples.len() == sent).then(|| std::mem::take(&mut *samples))
        })
    }

    /// Exponentially distributed, as between the calls of many who do not know of each other.
    fn pause(&self, random: &mut Random) -> Duration {
        let fraction = (random.below(1 << 30) + 1) as f64 / (1 << 30) as f64;
        Duration::from_secs_f64(-fraction.ln() / self.per_second)
    }
}

fn request(veil: SocketAddr, client: &str, upload: usize) -> io::Result<End> {
    let mut stream = TcpStream::connect_timeout(&veil, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let head = format!(
        "POST / HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: {client}\r\nContent-Length: {upload}\r\nConnection: close\r\n\r\n"
    );
    let mut bytes = head.into_bytes();
    bytes.resize(bytes.len() + upload, 0);
    // A refusal may come before all has been sent.
    let _ = stream.write_all(&bytes);
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0);
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok(match body.parse() {
        Ok(worker) if status == 200 => End::ServedBy(worker),
        _ => End::Refused(status),
    })
}

const PATIENCE: Duration = Duration::from_secs(180);
const SMALL_STACK: usize = 128 << 10;
