//! The front door: for every wait, clients that stop there, leave there, or come when there is no room.

mod descriptors;
mod floods;
mod heads;
mod idle;
mod kept;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use e2e::backend::{Answer, Backend};
use e2e::process::{Process, Signal, binary, resident_bytes};
use e2e::raw::Raw;
use e2e::tls::{Tls, is_resumed};
use e2e::until::{SOON, until};
use e2e::veil::{Veil, configuration};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const CERTIFICATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../proxy/tests/certificates");

/// A listener for HTTP and one for HTTPS, with these settings, that answer by themselves.
struct Door {
    veil: Veil,
    plain: SocketAddr,
    secure: SocketAddr,
}

impl Door {
    fn with(settings: &str) -> Self {
        Self::of(settings, "filters: [{ respond: { status: 200, body: hello } }]", "{}")
    }

    fn before(settings: &str, backend: &Backend) -> Self {
        let pools = format!("{{ all: {{ backends: [{{ address: {} }}] }} }}", backend.address);
        Self::of(settings, "pool: all", &pools)
    }

    fn of(settings: &str, route: &str, pools: &str) -> Self {
        let veil = Veil::start(&format!(
            "version: 1\n\
             listeners:\n  \
               public: {{ address: 127.0.0.1:0, {settings} }}\n  \
               secure: {{ address: 127.0.0.1:0, {settings}, \
                 tls: {{ certificate: {CERTIFICATES}/one.crt, key: {CERTIFICATES}/one.key }} }}\n\
             admin: {{ address: 127.0.0.1:0 }}\n\
             routes: [{{ match: {{ path_prefix: / }}, {route} }}]\n\
             pools: {pools}\n\
             access_log: {{ to: off }}\n"
        ));
        let secure = veil.secure();
        let plain = veil.public;
        Self { veil, plain, secure }
    }

    /// Connections that are open, by `/nginx_status`.
    fn active(&self) -> usize {
        let status = self.veil.admin_get("/nginx_status").text().unwrap();
        let first = status.lines().next().unwrap();
        first.rsplit_once(':').unwrap().1.trim().parse().unwrap()
    }

    fn wait_for_active(&self, count: usize) {
        until(&format!("{count} connections are open"), SOON, || {
            (self.active() == count).then_some(())
        });
    }

    fn reload(&self) {
        let count = || {
            let metrics = self.veil.admin_get("/metrics").text().unwrap();
            let line = metrics
                .lines()
                .find(|line| line.starts_with("veil_reloads_total{result=\"succeeded\"}"));
            line.and_then(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok())
                .unwrap_or(0)
        };
        let before = count();
        self.veil.process.signal(Signal::HUP);
        until("it has reloaded", SOON, || (count() > before).then_some(()));
    }
}

fn frame(kind: u8, flags: u8, stream: u8, content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, stream], content].concat()
}

/// `GET / http://a` in HPACK: three fields of its static table, and an authority.
const GET: &[u8] = &[0x82, 0x84, 0x86, 0x41, 1, b'a'];

fn get(address: SocketAddr) -> Raw {
    let mut client = Raw::connect(address);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client
}

/// A connection over HTTP/2 that has got an answer.
fn served_over_http2(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let asked = [PREFACE, &frame(4, 0, 0, b""), &frame(1, 5, 1, GET)].concat();
    stream.write_all(&asked).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
    while !seen.windows(5).any(|window| window == b"hello") {
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "closed in place of an answer");
        seen.extend_from_slice(&buffer[..count]);
    }
    stream
}

#[test]
fn nobody_at_work_and_no_newcomer_is_reset_for_lack_of_room() {
    let backend = Backend::start(|request| match request.path() {
        "/hang" => Answer::Hang,
        _ => Answer::After(Duration::from_millis(20), Box::new(Answer::ok("done"))),
    });
    let door = Door::before("max_connections: 4", &backend);
    let _at_work: Vec<Raw> = (0..3)
        .map(|_| {
            let mut client = Raw::connect(door.plain);
            client.send("GET /hang HTTP/1.1\r\nHost: a\r\n\r\n");
            client
        })
        .collect();
    until("three are at work", SOON, || {
        (backend.received().len() == 3).then_some(())
    });
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..4 {
                    let mut client = get(door.plain);
                    let answer = client.response();
                    assert_eq!((answer.status(), &answer.body[..]), (200, &b"done"[..]));
                    assert!(door.active() <= 4);
                }
            });
        }
    });
}

#[test]
fn places_are_counted_across_reloads() {
    let backend = Backend::start(|_| Answer::Hang);
    let door = Door::before("max_connections: 3", &backend);
    let client = Tls::offering(&["http/1.1"]);
    let ask = || {
        let mut stream = client.connect(door.secure)?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")?;
        Ok::<_, io::Error>(stream)
    };
    let mut at_work = Vec::new();
    for count in 1..=3 {
        at_work.push(ask().unwrap());
        until("it is at work", SOON, || {
            (backend.received().len() == count).then_some(())
        });
        door.reload();
    }
    let mut fourth = TcpStream::connect(door.secure).unwrap();
    fourth.write_all(&client_hello()).unwrap();
    for _ in 0..2 {
        door.reload();
        assert_eq!(door.active(), 3);
    }
    fourth.set_read_timeout(Some(SOON)).unwrap();
    drop(at_work.pop());
    assert!(fourth.read(&mut [0; 1]).unwrap() > 0, "whoever waited gets the place");
}

fn client_hello() -> Vec<u8> {
    Tls::offering(&["http/1.1"]).hello()
}

#[test]
fn tls_sessions_resume_after_many_others_a_reload_and_an_upgrade() {
    let mut door = Door::with("timeouts: { idle: 300s }");
    let regular = Tls::offering(&["http/1.1"]);
    let secure = door.secure;
    let visit = |client: &Tls| {
        let mut stream = client.connect(secure).unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .unwrap();
        let resumed = is_resumed(&stream);
        let _ = stream.read_to_end(&mut Vec::new());
        resumed
    };
    assert!(!visit(&regular));
    for _ in 0..300 {
        assert!(!visit(&Tls::offering(&["http/1.1"])));
    }
    assert!(visit(&regular), "after 300 others");
    door.reload();
    assert!(visit(&regular), "after a reload");
    let _successor = door.veil.upgrade();
    assert!(visit(&regular), "after an upgrade");
}

#[test]
fn ends_in_time_although_nobody_reads_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("veil.yaml");
    let yaml = "version: 1\n\
                listeners: { public: { address: 127.0.0.1:0 } }\n\
                admin: { address: 127.0.0.1:0 }\n\
                routes: [{ match: { path_prefix: / }, filters: [{ respond: { status: 200 } }] }]\n\
                access_log: { to: DESTINATION }\n\
                shutdown: { grace: 2s }\n";
    for destination in ["stdout", "stderr"] {
        std::fs::write(&file, yaml.replace("DESTINATION", destination)).unwrap();
        let mut process = Process::start("veil", &["run", "-c", file.to_str().unwrap()]);
        let public = process.stdout.wait_for("the listener", |line| {
            line.split_once("listening on http://")?
                .1
                .split(' ')
                .next()?
                .parse()
                .ok()
        });
        match destination {
            "stdout" => process.stdout.stop_reading(),
            _ => process.stderr.stop_reading(),
        };
        let path = "x".repeat(8000);
        for _ in 0..60 {
            let mut client = Raw::connect(public);
            client.send(format!("GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n"));
            assert_eq!(client.response().status(), 200);
        }
        process.signal(Signal::TERM);
        assert!(process.exit(Duration::from_secs(20)).success(), "{destination}");
    }
}

#[test]
fn certificates_of_the_environment_that_cannot_be_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("veil.yaml");
    std::fs::write(&file, configuration("{ backends: [{ address: 127.0.0.1:1 }] }")).unwrap();
    let arguments = ["run", "-c", file.to_str().unwrap()];
    let missing = [("SSL_CERT_FILE", "/nowhere/trusted.pem"), ("SSL_CERT_DIR", "/nowhere")];
    let mut process = Process::start_in(&missing, "veil", &arguments);
    assert_eq!(process.exit(SOON).code(), Some(1));
    let said = process.stderr.all();
    assert!(
        said.contains("SSL_CERT_FILE") && said.contains("/nowhere/trusted.pem"),
        "{said}"
    );
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn cookies_that_came_in_pieces_reach_the_backend_as_one() {
    let backend = Backend::named("hello");
    let door = Door::before("max_head: 32KiB", &backend);
    let cookies: [&[u8]; 2] = [b"\x60\x03a=1", b"\x60\x03b=2"];
    let mut stream = TcpStream::connect(door.plain).unwrap();
    let block = [GET, cookies[0], cookies[1]].concat();
    let asked = [PREFACE, &frame(4, 0, 0, b""), &frame(1, 5, 1, &block)].concat();
    stream.write_all(&asked).unwrap();
    until("the backend has it", SOON, || {
        (!backend.received().is_empty()).then_some(())
    });
    let received = backend.received();
    let cookies: Vec<&str> = received[0].headers("cookie");
    assert_eq!(cookies, ["a=1; b=2"]);
}
