//! Uploads at a steady rate, each on a connection of its own, and what became of them.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use e2e::backend::{digest, digest_line};
use e2e::random::Random;
use e2e::until::until;

pub struct Load {
    address: SocketAddr,
    uploads: usize,
    rate: f64,
}

/// How far a load has come.
pub struct Progress<'a> {
    begun: &'a AtomicUsize,
    done: &'a AtomicBool,
    uploads: usize,
}

#[derive(Default)]
pub struct Report {
    latencies: Vec<Duration>,
    /// What the uploads that failed ended with, counted by [`Report::failed`].
    failures: Vec<String>,
    /// Answers that began well and broke off.
    pub cut: usize,
    /// The different failures, for the table.
    pub reasons: Vec<String>,
}

enum Outcome {
    Ok,
    Failed(String),
    Cut,
}

impl Load {
    pub fn new(address: SocketAddr, uploads: usize, rate: f64) -> Self {
        Self { address, uploads, rate }
    }

    /// Sends all uploads; `act` runs beside them and breaks things.
    pub fn run(&self, act: impl FnOnce(&Progress)) -> Report {
        let (next, begun, done) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
        let report = Mutex::new(Report::default());
        let bodies = [noise(300_000), noise(5_000_000)];
        let started = Instant::now();
        thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|_| {
                    scope.spawn(|| {
                        while let Some(number) = self.next(&next, started) {
                            begun.fetch_add(1, Ordering::Relaxed);
                            // Four small ones, then a large one.
                            let body = &bodies[usize::from(number % 5 == 4)];
                            let sent = Instant::now();
                            let outcome = upload(self.address, number, body);
                            report.lock().expect("no holder panics").add(outcome, sent.elapsed());
                        }
                    })
                })
                .collect();
            let watcher = scope.spawn(|| {
                for client in clients {
                    client.join().expect("a client reports, and does not panic");
                }
                done.store(true, Ordering::Relaxed);
            });
            act(&Progress {
                begun: &begun,
                done: &done,
                uploads: self.uploads,
            });
            watcher.join().expect("the watcher only waits");
        });
        let mut report = report.into_inner().expect("no holder panics");
        report.finish();
        report
    }

    /// The number of the next upload, once its time has come.
    fn next(&self, next: &AtomicUsize, started: Instant) -> Option<usize> {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= self.uploads {
            return None;
        }
        let due = started + Duration::from_secs_f64(number as f64 / self.rate);
        // The steady rate is the load itself: clients that do not wait for each other.
        thread::sleep(due.saturating_duration_since(Instant::now()));
        Some(number)
    }
}

impl Progress<'_> {
    /// Waits until this share of the uploads has begun.
    pub fn reach(&self, share: f64) {
        let wanted = (self.uploads as f64 * share) as usize;
        until("the uploads go on", LONGEST, || {
            (self.begun.load(Ordering::Relaxed) >= wanted).then_some(())
        });
    }

    /// Waits until all uploads have ended.
    pub fn finish(&self) {
        until("the uploads end", LONGEST, || self.done().then_some(()));
    }

    /// Whether all uploads have ended.
    pub fn done(&self) -> bool {
        self.done.load(Ordering::Relaxed)
    }

    /// Lets this time pass, or less if the load ends.
    pub fn pause(&self, time: Duration) {
        let end = Instant::now() + time;
        until("a pause", LONGEST, || {
            (self.done() || Instant::now() >= end).then_some(())
        });
    }
}

impl Report {
    fn add(&mut self, outcome: Outcome, latency: Duration) {
        self.latencies.push(latency);
        match outcome {
            Outcome::Ok => {}
            Outcome::Cut => self.cut += 1,
            Outcome::Failed(reason) => self.failures.push(reason),
        }
    }

    fn finish(&mut self) {
        self.latencies.sort();
        self.reasons = self.failures.clone();
        if self.cut > 0 {
            self.reasons.push("begun, then cut".to_owned());
        }
        self.reasons.sort();
        self.reasons.dedup();
    }

    pub fn sent(&self) -> usize {
        self.latencies.len()
    }

    pub fn failed(&self) -> usize {
        self.failures.len()
    }

    pub fn ok(&self) -> usize {
        self.sent() - self.failed() - self.cut
    }

    pub fn p99(&self) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies.get(last * 99 / 100).copied().unwrap_or_default()
    }
}

fn upload(address: SocketAddr, number: usize, body: &[u8]) -> Outcome {
    let body = [number.to_string().as_bytes(), body].concat();
    match exchange(address, &body) {
        Err(error) => Outcome::Failed(error.kind().to_string()),
        Ok(answer) => judge(&answer, &body),
    }
}

/// Sends one request, and reads until the connection ends.
fn exchange(address: SocketAddr, body: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let length = body.len();
    write!(
        stream,
        "POST /v1/blur HTTP/1.1\r\nHost: faults\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    )?;
    // An early answer may end this; it can still be read.
    let written = stream.write_all(body);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if answer.is_empty() => Err(error),
        _ if answer.is_empty() => written.and(Err(io::ErrorKind::UnexpectedEof.into())),
        _ => Ok(answer),
    }
}

fn judge(answer: &[u8], body: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(answer);
    let status = text.split(' ').nth(1).unwrap_or("no status");
    if status != "200" {
        return Outcome::Failed(status.to_owned());
    }
    match text.split_once("\r\n\r\n") {
        Some((_, said)) if said.len() < ANSWER_BYTES => Outcome::Cut,
        Some((_, said)) if said.starts_with(&digest_line(digest(body))) => Outcome::Ok,
        Some(_) => Outcome::Failed("another body arrived".to_owned()),
        None => Outcome::Cut,
    }
}

/// Bytes that do not repeat, so that a piece lost or doubled on the way shows in the digest.
fn noise(length: usize) -> Vec<u8> {
    let mut random = Random::new(length as u64);
    (0..length).map(|_| random.byte()).collect()
}

/// Enough for the steady rate even while each upload waits for a timeout.
const CLIENTS: usize = 64;
const ANSWER_BYTES: usize = 1024;
const PATIENCE: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(3600);
