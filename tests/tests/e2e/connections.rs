//! The front door: for every wait, clients that stop there, leave there, or come when there is no room.

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
        let secure = veil.process.stdout.wait_for("the listener for HTTPS", |line| {
            line.split_once("listening on https://")?
                .1
                .split(' ')
                .next()?
                .parse()
                .ok()
        });
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

/// HTTP/2 up to a request whose head is not whole.
fn unfinished_http2() -> Vec<u8> {
    [
        PREFACE,
        &frame(4, 0, 0, &[0, 4, 0, 0, 0xff, 0xff]),
        &frame(4, 1, 0, b""),
        &frame(1, 1, 1, &GET[..3]),
        &frame(9, 0, 1, &GET[3..]),
    ]
    .concat()
}

const UNFINISHED_HTTP1: &[u8] = b"\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n";

/// A stream that a client holds on to, plain or through TLS.
trait Held: Read + Write + Send {
    fn socket(&self) -> &TcpStream;
}

impl Held for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Held for rustls::StreamOwned<rustls::ClientConnection, TcpStream> {
    fn socket(&self) -> &TcpStream {
        &self.sock
    }
}

/// Connections that have each sent another part of what makes a request, and what each is called.
fn stuck(door: &Door) -> Vec<(String, Box<dyn Held>)> {
    let mut stuck: Vec<(String, Box<dyn Held>)> = Vec::new();
    let hello = Tls::offering(&["h2", "http/1.1"]).hello();
    let plain: [(&str, SocketAddr, &[u8]); 3] = [
        ("HTTP/1", door.plain, UNFINISHED_HTTP1),
        ("HTTP/2", door.plain, &unfinished_http2()),
        ("TLS", door.secure, &hello[..hello.len() - 1]),
    ];
    for (name, address, bytes) in plain {
        // The middle of a ClientHello is alike everywhere.
        let lengths = (0..=bytes.len()).filter(|length| *length < 110 || length % 16 == 0);
        for length in lengths {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(&bytes[..length]).unwrap();
            stuck.push((format!("{length} bytes of {name}"), Box::new(stream)));
        }
    }
    let secure: [(&[&str], &[u8]); 3] = [
        (&["http/1.1"], UNFINISHED_HTTP1),
        (&[], UNFINISHED_HTTP1),
        (&["h2"], &unfinished_http2()),
    ];
    for (protocols, bytes) in secure {
        let client = Tls::offering(protocols);
        for length in (0..=bytes.len()).step_by(3) {
            let mut stream = client.connect(door.secure).unwrap();
            stream.write_all(&bytes[..length]).unwrap();
            stream.flush().unwrap();
            stuck.push((format!("{length} bytes of {protocols:?} over TLS"), Box::new(stream)));
        }
    }
    stuck
}

/// Waits for the other side to close.
fn is_closed(stream: &mut dyn Held) -> bool {
    stream.socket().set_read_timeout(Some(SOON)).unwrap();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
        }
    }
}

#[test]
fn whoever_stops_amid_a_head_is_let_go_when_its_time_is_over() {
    let door = Door::with("timeouts: { head: 2s, idle: 300s }");
    for (what, mut stream) in stuck(&door) {
        assert!(is_closed(&mut *stream), "still open after {what}");
    }
    door.wait_for_active(0);
}

#[test]
fn whoever_leaves_amid_a_head_is_gone_at_once() {
    let door = Door::with("timeouts: { head: 300s, idle: 300s }");
    drop(stuck(&door));
    door.wait_for_active(0);
}

#[test]
fn whoever_drips_a_head_gets_no_more_time_than_others() {
    let door = Door::with("timeouts: { head: 1s, idle: 300s }");
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let drips: Vec<_> = [UNFINISHED_HTTP1.to_vec(), unfinished_http2()]
            .into_iter()
            .map(|bytes| {
                let mut stream = TcpStream::connect(door.plain).unwrap();
                let mut writer = stream.try_clone().unwrap();
                let over = &over;
                scope.spawn(move || {
                    for byte in bytes.iter().cycle() {
                        if over.load(Ordering::Relaxed) || writer.write_all(&[*byte]).is_err() {
                            break;
                        }
                        thread::park_timeout(Duration::from_millis(60));
                    }
                });
                scope.spawn(move || is_closed(&mut stream))
            })
            .collect();
        let closed: Vec<bool> = drips.into_iter().map(|drip| drip.join().unwrap()).collect();
        over.store(true, Ordering::Relaxed);
        assert_eq!(closed, [true, true]);
    });
}

#[test]
fn whoever_has_not_sent_a_head_makes_room() {
    let door = Door::with("max_connections: 4, timeouts: { head: 300s, idle: 300s }");
    let parts: [&[u8]; 4] = [b"", b"P", b"PRI * HTTP/2.0\r\n", &unfinished_http2()];
    let _stuck: Vec<TcpStream> = parts
        .iter()
        .map(|part| {
            let mut stream = TcpStream::connect(door.plain).unwrap();
            stream.write_all(part).unwrap();
            stream
        })
        .collect();
    for _ in 0..8 {
        assert_eq!(get(door.plain).response().status(), 200);
    }
    let client = Tls::offering(&["h2"]);
    let _stuck: Vec<_> = (0..4).map(|_| client.connect(door.secure).unwrap()).collect();
    for _ in 0..8 {
        assert!(client.connect(door.secure).is_ok());
    }
}

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
fn an_idle_connection_is_closed_when_its_time_is_over_and_http2_is_told() {
    let door = Door::with("timeouts: { head: 300s, idle: 1s }");
    let begun = Instant::now();
    let mut http1 = get(door.plain);
    assert_eq!(http1.response().status(), 200);
    let mut http2 = served_over_http2(door.plain);
    assert_eq!(http1.rest(), b"");
    let mut said = Vec::new();
    let _ = http2.read_to_end(&mut said);
    assert!(begun.elapsed() >= Duration::from_secs(1), "not before");
    // GOAWAY, no error, last stream 1.
    let farewell = frame(7, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]);
    assert!(said.ends_with(&farewell), "{said:?}");
}

#[test]
fn idle_connections_make_room_http2_as_well() {
    let door = Door::with("max_connections: 3, timeouts: { head: 300s, idle: 300s }");
    let mut idle = get(door.plain);
    assert_eq!(idle.response().status(), 200);
    let _others = [served_over_http2(door.plain), served_over_http2(door.plain)];
    let mut clients: Vec<Raw> = (0..3).map(|_| get(door.plain)).collect();
    for client in &mut clients {
        assert_eq!(client.response().status(), 200);
    }
    assert_eq!(idle.rest(), b"");
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
fn tls_sessions_resume_after_many_others_and_a_reload() {
    let door = Door::with("timeouts: { idle: 300s }");
    let regular = Tls::offering(&["http/1.1"]);
    let visit = |client: &Tls| {
        let mut stream = client.connect(door.secure).unwrap();
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
}

#[test]
fn an_idle_connection_costs_little_and_gives_it_back() {
    const CLIENTS: usize = 1000;
    let door = Door::with("timeouts: { idle: 300s }");
    let id = door.veil.process.id();
    let crowd = || {
        let mut clients: Vec<Raw> = (0..CLIENTS).map(|_| get(door.plain)).collect();
        for client in &mut clients {
            assert_eq!(client.response().status(), 200);
        }
        clients
    };
    assert_eq!(get(door.plain).response().status(), 200);
    let before = resident_bytes(id);
    let clients = crowd();
    let crowded = resident_bytes(id);
    let all = crowded.saturating_sub(before);
    drop(clients);
    door.wait_for_active(0);
    let each = all / CLIENTS as u64;
    assert!(each <= 12_000, "{each} bytes");
    // The allocator looks for what to give back while it is being used.
    until("half of it is given back", SOON, || {
        for _ in 0..100 {
            assert_eq!(get(door.plain).response().status(), 200);
        }
        (resident_bytes(id) < crowded - all / 2).then_some(())
    });
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

/// `veil run` that may open this many files.
fn run_with_files(files: u32, file: &std::path::Path) -> Process {
    let limited = format!("ulimit -n {files} && exec \"$0\" run -c \"$1\"");
    let veil = binary("veil");
    let (veil, file) = (veil.to_str().unwrap(), file.to_str().unwrap());
    Process::start_program("sh", &["-c", &limited, veil, file])
}

#[test]
fn a_lack_of_descriptors_is_told_once_and_passes() {
    let backend = Backend::start(|request| match request.path() {
        "/hang" => Answer::Hang,
        _ => Answer::ok("done"),
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("veil.yaml");
    let pool = format!("{{ backends: [{{ address: {} }}] }}", backend.address);
    std::fs::write(&file, configuration(&pool)).unwrap();
    let process = run_with_files(80, &file);
    let announced = |before: &str| -> SocketAddr {
        process.stdout.wait_for(before, |line| {
            line.split_once(before)?.1.split([' ', '/']).next()?.parse().ok()
        })
    };
    let (admin, public) = (announced("admin on http://"), announced("listening on http://"));
    for _ in 0..2 {
        let hanging: Vec<Raw> = (0..100)
            .map(|_| {
                let mut client = Raw::connect(public);
                client.send("GET /hang HTTP/1.1\r\nHost: a\r\n\r\n");
                client
            })
            .collect();
        process.stderr.wait_for("the lack", |line| {
            line.contains("cannot accept connections").then_some(())
        });
        drop(hanging);
        until("there is room again", SOON, || {
            let mut client = get(public);
            (client.response().status() == 200).then_some(())
        });
    }
    let told = process.stderr.text().matches("cannot accept connections").count();
    assert_eq!(told, 1);
    let mut client = Raw::connect(admin);
    client.send("GET /pools HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let pools = String::from_utf8(client.response().body).unwrap();
    assert!(pools.contains("\"standing\":\"eligible\""), "{pools}");
}

#[test]
fn a_backend_that_could_not_be_asked_for_lack_of_descriptors_has_not_failed() {
    let backend = Backend::start(|request| match request.path() {
        "/hang" => Answer::Hang,
        _ => Answer::ok("done"),
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("veil.yaml");
    let pool = format!(
        "{{ backends: [{{ address: {}, max_fails: 1 }}], health: {{ path: /, interval: 50ms }} }}",
        backend.address
    );
    std::fs::write(&file, configuration(&pool)).unwrap();
    let process = run_with_files(70, &file);
    let public: SocketAddr = process.stdout.wait_for("the listener", |line| {
        line.split_once("listening on http://")?
            .1
            .split(' ')
            .next()?
            .parse()
            .ok()
    });
    // First the clients, so that there is a descriptor for each of them and for few of their backends.
    let mut clients: Vec<Raw> = (0..34).map(|_| get(public)).collect();
    for client in &mut clients {
        // The last ones may find that their backend's connection has no descriptor left.
        assert!([200, 503].contains(&client.response().status()));
    }
    for client in &mut clients {
        client.send("GET /hang HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    process.stderr.wait_for("the lack", |line| {
        line.contains("for lack of descriptors").then_some(())
    });
    let is_refused = |client: &mut Raw| !client.stays_open(Duration::from_millis(1));
    let refused = clients.iter_mut().map(is_refused).filter(|refused| *refused).count();
    assert!(refused > 0);
    drop(clients);
    until("there is room again", SOON, || {
        (get(public).response().status() == 200).then_some(())
    });
    let log = process.stderr.text();
    for word in ["ejected", "\"down"] {
        assert!(!log.contains(word), "{log}");
    }
    assert_eq!(log.matches("for lack of descriptors").count(), 1, "{log}");
}

#[test]
fn a_limit_of_connections_above_that_of_files_is_doubted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("veil.yaml");
    std::fs::write(&file, configuration("{ backends: [{ address: 127.0.0.1:1 }] }")).unwrap();
    let process = run_with_files(100, &file);
    process.stderr.wait_for("the doubt", |line| {
        let told = line.contains("max_connections is 10000, more than the 100 files");
        (told && line.contains("veil.yaml:2:")).then_some(())
    });
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
