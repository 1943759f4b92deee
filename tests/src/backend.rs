//! Fake backends: HTTP/1.1 servers in this process that answer as they are told, or fail as they are told.

use std::collections::VecDeque;
use std::io::{self, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use serde_json::json;

pub use crate::received::{Received, digest};
use crate::until::SOON;

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
    /// 503 with `Retry-After`, as a worker without room says.
    Busy,
    /// 200 and 1 KiB that begins with the digest of the request's body, see [`digest_line`].
    Digest,
    /// 200 and the request's body.
    Echo,
    /// These bytes, whatever they are, each part when it may go; then a reset.
    Parts(Vec<Part>),
    /// The answer that follows, but not before this time.
    After(Duration, Box<Answer>),
    /// Bytes as they are, each after this time; then the end of the connection.
    Pieces(Vec<(Duration, Vec<u8>)>),
    /// Nothing, until the other side ends the connection or the backend is dropped.
    Hang,
    ResetBeforeBody,
    /// A reset when half of the request's body has come.
    ResetAmidBody,
    ResetAfterBody,
    /// 503 before the request's body is read, and the end.
    RefuseBeforeBody,
    /// A reset after a few bytes of the response's head.
    ResetAmidHead,
    /// A reset after a head that promises more than the first bytes of a body.
    ResetAmidAnswer,
}

/// A part of an answer.
#[derive(Clone, Debug)]
pub enum Part {
    Bytes(Vec<u8>),
    /// Nothing, until the gate opens.
    Gate(Gate),
    /// The end of the connection, in good order.
    Close,
}

/// Closed until it is opened, for good.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub fn open(&self) {
        *lock(&self.0.0) = true;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let open = lock(&self.0.0);
        drop(
            self.0
                .1
                .wait_timeout_while(open, SOON, |open| !*open)
                .expect("no holder panics"),
        );
    }
}

struct Shared {
    script: Box<dyn Fn(&Received) -> Answer + Send + Sync>,
    health: Mutex<Answer>,
    received: Mutex<VecDeque<Received>>,
    open: Mutex<Vec<TcpStream>>,
    /// Connections that have come, and those that have ended.
    connections: Mutex<(usize, usize)>,
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
            connections: Mutex::default(),
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
        *lock(&self.shared.health) = answer;
    }

    /// The last requests whose bodies have arrived, up to ten thousand, health checks left out.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.shared.received).iter().cloned().collect()
    }

    /// How many connections have come, and how many of them have ended.
    pub fn connections(&self) -> (usize, usize) {
        *lock(&self.shared.connections)
    }
}

/// An address that refuses connections.
pub fn refusing() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there are free ports");
    listener.local_addr().expect("a bound socket has an address")
}

impl Drop for Backend {
    /// From here on connections are refused, and the open ones are reset.
    fn drop(&mut self) {
        *lock(&self.shared.stopped) = true;
        self.shared.stopping.notify_all();
        // Wakes the accepting thread, which then closes its listener.
        let _ = TcpStream::connect(self.address);
        for stream in lock(&self.shared.open).drain(..) {
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

/// How [`Answer::Digest`] begins.
pub fn digest_line(digest: u64) -> String {
    format!("{digest:016x}\n")
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming().map_while(Result::ok) {
        // Whoever is entered before the stop is reset by it; whoever comes later is closed here.
        let stopped = lock(&shared.stopped);
        if *stopped {
            return;
        }
        lock(&shared.open).push(stream.try_clone().expect("a socket can be shared"));
        lock(&shared.connections).0 += 1;
        drop(stopped);
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            let peer = stream.peer_addr().ok();
            // An error is the other side's going away, which is its right.
            let _ = shared.serve(&stream);
            lock(&shared.open).retain(|open| open.peer_addr().ok() != peer);
            lock(&shared.connections).1 += 1;
        });
    }
}

impl Shared {
    /// Answers requests on one connection until the other side ends it, or a fault does.
    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let Some(mut request) = Received::read_head(&mut reader)? else {
                return Ok(());
            };
            let answer = self.decide(&request);
            match answer {
                Answer::ResetBeforeBody => break,
                Answer::RefuseBeforeBody => {
                    (&*stream).write_all(b"HTTP/1.1 503 Said\r\nContent-Length: 0\r\n\r\n")?;
                    return Ok(());
                }
                _ => {}
            }
            if request.header("expect").is_some() {
                (&*stream).write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            if let Answer::ResetAmidBody = answer {
                let half = (request.content_length() / 2).max(1) as u64;
                io::copy(&mut (&mut reader).take(half), &mut io::sink())?;
                break;
            }
            let body = request.read_body(&mut reader)?;
            self.remember(request);
            if !self.respond(stream, answer, &body)? {
                break;
            }
        }
        set_socket_linger(stream, Some(Duration::ZERO)).map_err(Into::into)
    }

    fn decide(&self, request: &Received) -> Answer {
        match request.path() {
            HEALTH => lock(&self.health).clone(),
            _ => (self.script)(request),
        }
    }

    fn remember(&self, request: Received) {
        if request.path() == HEALTH {
            return;
        }
        let mut received = lock(&self.received);
        if received.len() == KEPT_REQUESTS {
            received.pop_front();
        }
        received.push_back(request);
    }

    /// Whether the connection goes on; it is reset otherwise.
    fn respond(&self, mut stream: &TcpStream, answer: Answer, request: &[u8]) -> io::Result<bool> {
        match answer {
            Answer::Whole { status, body } => {
                let head = format!("HTTP/1.1 {status} Said\r\nContent-Length: {}\r\n\r\n", body.len());
                stream.write_all(&[head.into_bytes(), body].concat())?;
                return Ok(true);
            }
            Answer::Busy => {
                stream.write_all(b"HTTP/1.1 503 Said\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n")?;
                return Ok(true);
            }
            Answer::Digest => {
                let body = format!("{:1024}", digest_line(digest(request))).into();
                return self.respond(stream, Answer::Whole { status: 200, body }, request);
            }
            Answer::Echo => {
                let body = request.to_vec();
                return self.respond(stream, Answer::Whole { status: 200, body }, request);
            }
            Answer::Parts(parts) => {
                for part in parts {
                    match part {
                        Part::Bytes(bytes) => stream.write_all(&bytes)?,
                        Part::Gate(gate) => gate.pass(),
                        Part::Close => return Err(io::ErrorKind::ConnectionAborted.into()),
                    }
                }
            }
            Answer::After(time, answer) => {
                self.wait(time);
                return self.respond(stream, *answer, request);
            }
            Answer::Pieces(pieces) => {
                for (time, bytes) in pieces {
                    self.wait(time);
                    stream.write_all(&bytes)?;
                }
                return stream.shutdown(Shutdown::Both).map(|()| false);
            }
            Answer::Hang => drop(io::copy(&mut &*stream, &mut io::sink())),
            Answer::ResetAmidHead => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Le")?,
            Answer::ResetAmidAnswer => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbegun")?,
            Answer::ResetBeforeBody | Answer::RefuseBeforeBody | Answer::ResetAmidBody | Answer::ResetAfterBody => {}
        }
        Ok(false)
    }

    /// Until the time is over, or the backend is dropped.
    fn wait(&self, time: Duration) {
        let stopped = lock(&self.stopped);
        drop(
            self.stopping
                .wait_timeout_while(stopped, time, |stopped| !*stopped)
                .expect("no holder panics"),
        );
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder panics")
}

const HEALTH: &str = "/health";
const KEPT_REQUESTS: usize = 10_000;

/// Closes with RST instead of FIN.
fn reset(stream: TcpStream) {
    let _ = set_socket_linger(&stream, Some(Duration::ZERO));
    let _ = stream.shutdown(Shutdown::Both);
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
    fn lets_nobody_hang_who_comes_while_it_is_dropped() {
        for _ in 0..20 {
            let backend = Backend::start(|_| Answer::Hang);
            let address = backend.address;
            let knocking = thread::spawn(move || {
                while let Ok(stream) = TcpStream::connect(address) {
                    // Where nobody listens any more, TCP may take the same port for this end, and is connected to itself.
                    if stream.local_addr().ok() == Some(address) {
                        return;
                    }
                    stream.set_read_timeout(Some(SOON)).expect("the timeout is not zero");
                    // Who comes as a listener closes may hear nothing before they send: Linux forgets them without a reset.
                    let read = (&stream)
                        .write_all(UPLOAD.as_bytes())
                        .and_then(|()| (&stream).read(&mut [0; 1]));
                    assert!(
                        !read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock),
                        "it hangs"
                    );
                }
            });
            crate::until::until("somebody came", SOON, || (backend.connections().0 > 0).then_some(()));
            drop(backend);
            knocking.join().expect("whoever came was let go");
        }
    }

    #[test]
    fn sends_parts_as_it_is_told() {
        let gate = Gate::default();
        let parts = vec![
            Part::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n".to_vec()),
            Part::Gate(gate.clone()),
            Part::Bytes(b"abc".to_vec()),
        ];
        let backend = Backend::start(move |_| Answer::Parts(parts.clone()));
        let mut client = Raw::connect(backend.address);
        assert!(client.send(UPLOAD).head().starts_with("HTTP/1.1 200"));
        gate.open();
        assert_eq!(client.read(3), b"abc");
    }

    #[test]
    fn refuses_connections_once_dropped_and_can_come_back() {
        let backend = Backend::named("first");
        let address = backend.address;
        let mut client = Raw::connect(address);
        drop(backend);
        assert!(client.rest().is_empty());
        // Who connects in the very moment of the end is reset.
        let is_refused = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
        crate::until::until("it refuses", crate::until::SOON, || {
            TcpStream::connect(address).err().filter(is_refused)
        });
        let _back = Backend::at(address, |_| Answer::ok("second"));
        assert_eq!(Raw::connect(address).send(UPLOAD).response().body, b"second");
    }
}
