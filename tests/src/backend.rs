//! Fake backends: HTTP/1.1 servers in this process that answer as they are told, or fail as they are told.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;
use serde_json::json;

/// Listens until dropped. `/health` is answered as healthy unless [`Backend::answer_health`] says otherwise.
pub struct Backend {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Answer {
    Whole {
        status: u16,
        body: Vec<u8>,
    },
    /// 200 and 1 KiB that begins with the digest of the request's body, see [`digest_line`].
    Digest,
    /// The answer that follows, but not before this time.
    After(Duration, Box<Answer>),
    /// Nothing, for as long as the backend lives.
    Hang,
    ResetBeforeBody,
    ResetAmidBody,
    ResetAfterBody,
    /// A reset after a few bytes of the response's head.
    ResetAmidHead,
    /// A reset after a head that promises more than the first bytes of a body.
    ResetAmidAnswer,
}

/// A request as it arrived. Of the body only what tests compare.
#[derive(Clone, Debug)]
pub struct Received {
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body_bytes: usize,
    pub body_digest: u64,
}

struct Shared {
    script: Box<dyn Fn(&Received) -> Answer + Send + Sync>,
    health: Mutex<Answer>,
    received: Mutex<VecDeque<Received>>,
    open: Mutex<Vec<TcpStream>>,
    stopped: Mutex<bool>,
    stopping: Condvar,
}

impl Backend {
    /// On a free port. `script` sees a request's head, before its body, and decides.
    pub fn start(script: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Self {
        Self::at((Ipv4Addr::LOCALHOST, 0).into(), script)
    }

    /// Answers every request with 200 and its own name.
    pub fn named(name: &str) -> Self {
        let answer = Answer::ok(name);
        Self::start(move |_| answer.clone())
    }

    /// On a given address, such as that of a backend that was dropped.
    pub fn at(address: SocketAddr, script: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).expect("the address is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            script: Box::new(script),
            health: Mutex::new(Answer::healthy()),
            received: Mutex::default(),
            open: Mutex::default(),
            stopped: Mutex::new(false),
            stopping: Condvar::new(),
        });
        thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Self { address, shared }
    }

    pub fn answer_health(&self, answer: Answer) {
        *self.shared.health.lock().expect("no holder panics") = answer;
    }

    /// The last requests whose bodies have arrived, up to ten thousand, health checks left out.
    pub fn received(&self) -> Vec<Received> {
        self.shared
            .received
            .lock()
            .expect("no holder panics")
            .iter()
            .cloned()
            .collect()
    }
}

impl Drop for Backend {
    /// From here on connections are refused, and the open ones are reset.
    fn drop(&mut self) {
        *self.shared.stopped.lock().expect("no holder panics") = true;
        self.shared.stopping.notify_all();
        // Wakes the accepting thread, which then closes its listener.
        let _ = TcpStream::connect(self.address);
        for stream in self.shared.open.lock().expect("no holder panics").drain(..) {
            reset(stream);
        }
    }
}

impl Answer {
    pub fn ok(body: &str) -> Self {
        Self::Whole {
            status: 200,
            body: body.into(),
        }
    }

    pub fn status(status: u16) -> Self {
        Self::Whole {
            status,
            body: format!("status {status}").into(),
        }
    }

    /// What a blur-service says of itself when all is well.
    pub fn healthy() -> Self {
        Self::health(200, "healthy")
    }

    pub fn health(status: u16, word: &str) -> Self {
        let body = json!({ "status": word, "model_loaded": true, "queue_depth": 0, "in_flight": 0 });
        Self::Whole {
            status,
            body: body.to_string().into(),
        }
    }
}

impl Received {
    pub fn path(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        header.map(|(_, value)| value.as_str())
    }
}

/// The digest that [`Received::body_digest`] has for this body.
pub fn digest(body: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    hasher.finish()
}

/// How [`Answer::Digest`] begins.
pub fn digest_line(digest: u64) -> String {
    format!("{digest:016x}\n")
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming().map_while(Result::ok) {
        if *shared.stopped.lock().expect("no holder panics") {
            return;
        }
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            let watched = stream.try_clone().expect("a socket can be shared");
            shared.open.lock().expect("no holder panics").push(watched);
            // An error is the other side's going away, which is its right.
            let _ = serve(&stream, &shared);
            let peer = stream.peer_addr().ok();
            shared
                .open
                .lock()
                .expect("no holder panics")
                .retain(|open| open.peer_addr().ok() != peer);
        });
    }
}

/// Answers requests on one connection until it ends.
fn serve(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    while let Some(mut request) = read_head(&mut reader)? {
        let health = request.path() == "/health";
        let answer = match health {
            true => shared.health.lock().expect("no holder panics").clone(),
            false => (shared.script)(&request),
        };
        if let Answer::ResetBeforeBody = answer {
            return set_socket_linger(stream, Some(Duration::ZERO)).map_err(Into::into);
        }
        if request.header("expect").is_some() {
            (&*stream).write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        if let Answer::ResetAmidBody = answer {
            let half = request
                .header("content-length")
                .and_then(|length| length.parse::<u64>().ok())
                .unwrap_or(2)
                / 2;
            io::copy(&mut (&mut reader).take(half.max(1)), &mut io::sink())?;
            return set_socket_linger(stream, Some(Duration::ZERO)).map_err(Into::into);
        }
        let body = read_body(&mut reader, &request)?;
        request.body_bytes = body.len();
        request.body_digest = digest(&body);
        let digest = request.body_digest;
        if !health {
            let mut received = shared.received.lock().expect("no holder panics");
            if received.len() == KEPT_REQUESTS {
                received.pop_front();
            }
            received.push_back(request);
        }
        if !respond(stream, shared, answer, digest)? {
            return Ok(());
        }
    }
    Ok(())
}

/// Whether the connection goes on.
fn respond(mut stream: &TcpStream, shared: &Shared, answer: Answer, digest: u64) -> io::Result<bool> {
    match answer {
        Answer::Whole { status, body } => {
            let head = format!("HTTP/1.1 {status} Said\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all(&[head.into_bytes(), body].concat())?;
            return Ok(true);
        }
        Answer::Digest => {
            let body = format!("{:1024}", digest_line(digest)).into();
            return respond(stream, shared, Answer::Whole { status: 200, body }, digest);
        }
        Answer::After(time, answer) => {
            wait(shared, Some(time));
            return respond(stream, shared, *answer, digest);
        }
        Answer::Hang => wait(shared, None),
        Answer::ResetAmidHead => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Le")?,
        Answer::ResetAmidAnswer => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbegun")?,
        Answer::ResetBeforeBody | Answer::ResetAmidBody | Answer::ResetAfterBody => {}
    }
    set_socket_linger(stream, Some(Duration::ZERO))?;
    Ok(false)
}

/// Until the time is over, or the backend is dropped.
fn wait(shared: &Shared, time: Option<Duration>) {
    let deadline = time.map(|time| Instant::now() + time);
    let mut stopped = shared.stopped.lock().expect("no holder panics");
    while !*stopped {
        let left = deadline.map_or(Duration::MAX, |deadline| {
            deadline.saturating_duration_since(Instant::now())
        });
        if left.is_zero() {
            return;
        }
        stopped = match deadline {
            Some(_) => shared.stopping.wait_timeout(stopped, left).expect("no holder panics").0,
            None => shared.stopping.wait(stopped).expect("no holder panics"),
        };
    }
}

fn read_head(reader: &mut impl BufRead) -> io::Result<Option<Received>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let headers = lines.iter().skip(1).filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    Ok(lines.first().map(|line| Received {
        line: line.clone(),
        headers,
        body_bytes: 0,
        body_digest: digest(&[]),
    }))
}

fn read_body(reader: &mut impl BufRead, request: &Received) -> io::Result<Vec<u8>> {
    if request.header("transfer-encoding").is_some() {
        return read_chunks(reader);
    }
    let length = request
        .header("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(body)
}

fn read_chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = u64::from_str_radix(line.trim_end(), 16).map_err(io::Error::other)?;
        reader.take(size).read_to_end(&mut body)?;
        reader.read_line(&mut line)?;
        if size == 0 {
            return Ok(body);
        }
    }
}

const KEPT_REQUESTS: usize = 10_000;

/// Closes with RST instead of FIN.
fn reset(stream: TcpStream) {
    let _ = set_socket_linger(&stream, Some(Duration::ZERO));
    let _ = stream.shutdown(std::net::Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw::Raw;

    const UPLOAD: &str = "POST /v1/blur HTTP/1.1\r\nHost: test\r\nContent-Length: 6\r\n\r\nupload";

    #[test]
    fn answers_many_requests_on_one_connection() {
        let backend = Backend::named("backend");
        let mut client = Raw::connect(backend.address);
        for _ in 0..3 {
            let response = client.send(UPLOAD).response();
            assert_eq!((response.status(), response.body.as_slice()), (200, &b"backend"[..]));
        }
        assert_eq!(backend.received().len(), 3);
        assert_eq!(backend.received()[0].body_digest, digest(b"upload"));
    }

    #[test]
    fn reads_chunks() {
        let backend = Backend::named("backend");
        let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nup\r\n4\r\nload\r\n0\r\n\r\n";
        assert_eq!(Raw::connect(backend.address).send(chunked).response().status(), 200);
        assert_eq!(backend.received()[0].body_digest, digest(b"upload"));
    }

    #[test]
    fn resets_when_told_to() {
        let faults = [
            (Answer::ResetBeforeBody, ""),
            (Answer::ResetAmidBody, ""),
            (Answer::ResetAfterBody, ""),
            (Answer::ResetAmidHead, "HTTP/1.1 200 OK\r\nContent-Le"),
            (
                Answer::ResetAmidAnswer,
                "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbegun",
            ),
        ];
        for (fault, said) in faults {
            let answer = fault.clone();
            let backend = Backend::start(move |_| answer.clone());
            let rest = Raw::connect(backend.address).send(UPLOAD).rest();
            // A reset may overtake what was sent before it.
            assert!(
                said.as_bytes().starts_with(&rest),
                "{fault:?}: {:?}",
                String::from_utf8_lossy(&rest)
            );
        }
    }

    #[test]
    fn refuses_connections_once_dropped_and_can_come_back() {
        let backend = Backend::named("first");
        let address = backend.address;
        let mut client = Raw::connect(address);
        drop(backend);
        assert!(client.rest().is_empty());
        let refused = crate::until::until("it refuses", crate::until::SOON, || TcpStream::connect(address).err());
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let _back = Backend::at(address, |_| Answer::ok("second"));
        assert_eq!(Raw::connect(address).send(UPLOAD).response().body, b"second");
    }
}
