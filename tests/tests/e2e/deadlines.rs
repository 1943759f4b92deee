//! Whose clock runs out when, and until which event it counts: the wait for an answer's head ends for its own reasons, and
//! an answer that has begun is bound by nobody's.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use e2e::backend::{Answer, Backend};
use e2e::http2;
use e2e::raw::{Raw, Response};
use e2e::until::{SOON, until};
use e2e::veil::{Veil, configuration};
use rustix::net::{AddressFamily, SocketType, bind, listen, socket};
use serde_json::Value;

const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";

/// Long after every clock of these tests, and long before one that has no say.
const PAUSE: Duration = Duration::from_secs(2);

fn at_once(bytes: &str) -> (Duration, Vec<u8>) {
    (Duration::ZERO, bytes.into())
}

fn late(bytes: &str) -> (Duration, Vec<u8>) {
    (PAUSE, bytes.into())
}

/// A Veil over one backend that answers in pieces.
fn over(pieces: Vec<(Duration, Vec<u8>)>, timeouts: &str) -> (Backend, Veil) {
    let backend = Backend::start(move |_| Answer::Pieces(pieces.clone()));
    let veil = Veil::over(&format!(
        "{{ backends: [{{ address: {} }}], timeouts: {timeouts} }}",
        backend.address
    ));
    (backend, veil)
}

fn reason(answer: &Response) -> String {
    let problem: Value = serde_json::from_slice(&answer.body).unwrap();
    problem["reason"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn an_answer_that_has_begun_may_take_its_time() {
    // It closes after each answer: said, so that no request comes upon a connection that is just being closed.
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 10\r\n\r\n";
    let pieces = vec![at_once(head), at_once("hello"), late("world")];
    let (_backend, veil) = over(pieces, "{ read: 30s, total: 1200ms }");
    for fields in ["", "Veil-Deadline-Ms: 1200\r\n"] {
        let answer = Raw::connect(veil.public)
            .send(format!("GET / HTTP/1.1\r\nHost: test\r\n{fields}\r\n"))
            .response();
        assert_eq!(
            (answer.status(), &answer.body[..]),
            (200, &b"helloworld"[..]),
            "{fields}"
        );
    }
    let over_http2 = http2::post(veil.public, "/", "picture".into());
    assert_eq!(over_http2, (200, b"helloworld".to_vec()));
}

#[test]
fn events_and_other_protocols_may_take_their_time() {
    let events = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    for (pieces, fields, last) in [
        (
            vec![at_once(events), late("3\r\none\r\n"), late("3\r\ntwo\r\n0\r\n\r\n")],
            "Connection: close",
            "two",
        ),
        (
            vec![at_once(switch), late("one"), late("two")],
            "Connection: Upgrade\r\nUpgrade: websocket",
            "two",
        ),
    ] {
        let (_backend, veil) = over(pieces, "{ read: 30s, total: 1200ms }");
        let said = Raw::connect(veil.public)
            .send(format!("GET / HTTP/1.1\r\nHost: test\r\n{fields}\r\n\r\n"))
            .rest();
        let said = String::from_utf8(said).unwrap();
        assert!(said.contains(last), "{said}");
    }
}

#[test]
fn a_session_of_another_protocol_is_logged_as_what_it_was() {
    let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello";
    let (_backend, veil) = over(vec![at_once(switch)], "{}");
    Raw::connect(veil.public)
        .send("GET /ws HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        .rest();
    let line = veil.process.stderr.wait_for("its access line", |line| {
        let line: Value = serde_json::from_str(line).ok()?;
        (line["path"] == "/ws").then_some(line)
    });
    assert_eq!(
        (&line["status"], &line["response_bytes"]),
        (&101.into(), &5.into()),
        "{line}"
    );
}

#[test]
fn the_line_of_what_a_backend_left_in_silence_says_so() {
    let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello";
    let events = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nhello";
    for (begun, status) in [(switch, 101), (events, 200)] {
        let (_backend, veil) = over(vec![at_once(begun), late("too late")], "{ read: 400ms }");
        let said = Raw::connect(veil.public)
            .send("GET /ws HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            .rest();
        assert!(!String::from_utf8_lossy(&said).contains("too late"), "{status}");
        let line = veil.process.stderr.wait_for("its access line", |line| {
            let line: Value = serde_json::from_str(line).ok()?;
            (line["path"] == "/ws").then_some(line)
        });
        assert_eq!(
            (&line["status"], &line["response_bytes"], &line["code"]),
            (&status.into(), &5.into(), &"upstream_timeout".into()),
            "{line}"
        );
    }
}

#[test]
fn the_line_of_an_answer_that_broke_off_says_so() {
    let cuts = [
        ("Content-Length: 10\r\n\r\nok", ""),
        ("Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", ""),
        ("Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", "nonsense\r\n"),
    ];
    for (rest, later) in cuts {
        for pause in [Duration::ZERO, Duration::from_millis(500)] {
            let head = format!("HTTP/1.1 200 OK\r\n{rest}").into_bytes();
            let (_backend, veil) = over(vec![(Duration::ZERO, head), (pause, later.into())], "{}");
            let said = Raw::connect(veil.public).send(GET).rest();
            assert!(said.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&said));
            let line = veil.process.stderr.wait_for("its access line", |line| {
                let line: Value = serde_json::from_str(line).ok()?;
                (line["path"] == "/").then_some(line)
            });
            assert_eq!(
                (&line["status"], &line["code"]),
                (&200.into(), &"upstream_failed".into()),
                "{rest:?} {pause:?} {line}"
            );
        }
    }
}

#[test]
fn a_head_that_dribbles_is_not_waited_for_longer() {
    let soon = Duration::from_millis(20);
    let dribble = [at_once("HTTP/1.1 200 OK\r\nX-Slow: ")].into_iter();
    let dribble = dribble.chain((0..3000).map(|_| (soon, b"x".to_vec())));
    let announced = (0..30).map(|_| (soon * 25, b"HTTP/1.1 102 Processing\r\n\r\n".to_vec()));
    for pieces in [dribble.collect::<Vec<_>>(), announced.collect()] {
        let (backend, veil) = over(pieces, "{ read: 30s, total: 1s }");
        for fields in ["", "Content-Length: 3\r\n"] {
            let began = Instant::now();
            let mut client = Raw::connect(veil.public);
            client.send(format!("POST / HTTP/1.1\r\nHost: test\r\n{fields}\r\n"));
            if !fields.is_empty() {
                client.send("abc");
            }
            let answer = final_response(&mut client);
            assert_eq!((answer.status(), &reason(&answer)[..]), (504, "total"));
            assert!(began.elapsed() >= Duration::from_secs(1));
        }
        until("its place is free", SOON, || {
            (veil.backend(backend.address)["in_flight"] == 0).then_some(())
        });
    }
}

fn final_response(client: &mut Raw) -> Response {
    loop {
        let response = client.response();
        if response.status() >= 200 {
            return response;
        }
    }
}

#[test]
fn an_answer_is_not_announced_without_end() {
    let hint = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n";
    let (_backend, veil) = over(vec![at_once(&hint.repeat(200))], "{ read: 30s }");
    let mut client = Raw::connect(veil.public);
    client.send(GET);
    assert_eq!(final_response(&mut client).status(), 502);
}

#[test]
fn a_protocol_does_not_change_unasked() {
    let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";
    let (_backend, veil) = over(vec![at_once(switch)], "{}");
    assert_eq!(Raw::connect(veil.public).send(GET).response().status(), 502);
}

#[test]
fn nobody_waits_in_the_queue_past_a_deadline() {
    let backend = Backend::start(|request| match request.path() {
        "/hang" => Answer::Hang,
        _ => Answer::ok("done"),
    });
    let veil = Veil::over(&format!(
        "{{ backends: [{{ address: {}, max_conns: 1 }}], queue: {{ timeout: 1h }}, timeouts: {{ read: 1h, total: 2s }} }}",
        backend.address
    ));
    let mut hanging = Raw::connect(veil.public);
    hanging.send("GET /hang HTTP/1.1\r\nHost: test\r\n\r\n");
    until("the only place is taken", SOON, || {
        (veil.backend(backend.address)["in_flight"] == 1).then_some(())
    });
    let hurried = Raw::connect(veil.public)
        .send("GET / HTTP/1.1\r\nHost: test\r\nVeil-Deadline-Ms: 200\r\n\r\n")
        .response();
    assert_eq!((hurried.status(), &reason(&hurried)[..]), (504, "client_deadline"));
    // It waits behind the other until that has used up its own time.
    let mut patient = Raw::connect(veil.public);
    let answer = patient.send(GET).response();
    assert!(matches!(answer.status(), 200 | 504), "{}", answer.head);
    assert_eq!(reason_of_hanging(&mut hanging), "total");
}

fn reason_of_hanging(hanging: &mut Raw) -> String {
    reason(&hanging.response())
}

/// A listener whose queue is full: connecting to it takes for ever.
struct Crowded {
    address: SocketAddr,
    _listener: OwnedFd,
    _waiting: Vec<TcpStream>,
}

impl Crowded {
    fn start() -> Self {
        let listener = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&listener, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        listen(&listener, 0).unwrap();
        let listener = TcpListener::from(listener);
        let address = listener.local_addr().unwrap();
        let connect = |_| TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok();
        Self {
            address,
            _waiting: (0..3).map_while(connect).collect(),
            _listener: listener.into(),
        }
    }
}

#[test]
fn a_client_in_a_hurry_ejects_nobody() {
    let (one, two) = (Crowded::start(), Crowded::start());
    let veil = Veil::start(&configuration(&format!(
        "{{ select: round_robin, timeouts: {{ connect: 30s }}, backends: [{{ address: {} }}, {{ address: {} }}] }}",
        one.address, two.address
    )));
    for deadline in [1, 50, 50] {
        let request = format!("GET / HTTP/1.1\r\nHost: test\r\nVeil-Deadline-Ms: {deadline}\r\n\r\n");
        let answer = Raw::connect(veil.public).send(request).response();
        assert_eq!((answer.status(), &reason(&answer)[..]), (504, "client_deadline"));
    }
    for backend in [&one, &two] {
        let backend = veil.backend(backend.address);
        assert_eq!(
            (&backend["failures"], &backend["standing"]),
            (&0.into(), &"eligible".into())
        );
    }
}

/// A route that answers in place of an error has its own time, and the body, once; it is asked for a page where its path leads there.
#[test]
fn who_answers_instead_has_its_own_time() {
    for (to, seen) in [("to: /other", "GET 7"), ("route: other", "POST 7")] {
        let slow = Backend::start(|_| Answer::After(PAUSE, Box::new(Answer::ok("late"))));
        let other = Backend::start(|received| {
            let length = received.header("content-length").unwrap_or("none");
            let said = Answer::ok(&format!("{} {length}", received.method()));
            Answer::After(Duration::from_millis(700), Box::new(said))
        });
        let routes = format!(
            "routes:\n\
             - match: {{ path_prefix: / }}\n  pool: slow\n  timeouts: {{ total: 400ms }}\n  \
               filters: [{{ error_page: {{ status: [504], {to}, own_status: true }} }}]\n\
             - {{ name: other, match: {{ path_exact: /other }}, pool: other }}\n\
             pools:\n  slow: {{ backends: [{{ address: {} }}] }}\n  other: {{ backends: [{{ address: {} }}] }}\n",
            slow.address, other.address
        );
        let veil = Veil::start(&format!(
            "version: 1\nlisteners: {{ public: {{ address: 127.0.0.1:0 }} }}\nadmin: {{ address: 127.0.0.1:0 }}\n{routes}"
        ));
        let request = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 7\r\n\r\npicture";
        let answer = Raw::connect(veil.public).send(request).response();
        assert_eq!((answer.status(), &answer.body[..]), (200, seen.as_bytes()), "{to}");
        let (status, body) = http2::post(veil.public, "/", "picture".into());
        assert_eq!((status, &body[..]), (200, seen.as_bytes()), "{to}");
        assert_eq!((slow.received().len(), other.received().len()), (2, 2), "{to}");
    }
}
