//! Answers that no careful backend gives: what readers could differ on is a 502, what comes after a body arrives where it may,
//! and nobody takes a cut for an end.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use e2e::backend::{Answer, Backend, Part};
use e2e::http2;
use e2e::raw::Raw;
use e2e::until::SOON;
use e2e::veil::Veil;

const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";

/// A backend that says these bytes, and one behind it.
fn over(said: &str) -> (Backend, Veil) {
    let parts = vec![Part::Bytes(said.to_owned().into_bytes()), Part::Close];
    let backend = Backend::start(move |_| Answer::Parts(parts.clone()));
    let veil = Veil::over(&format!(
        "{{ backends: [{{ address: {}, max_fails: 1000 }}] }}",
        backend.address
    ));
    (backend, veil)
}

#[test]
fn what_readers_could_differ_on_is_not_passed_on() {
    for fields in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 5x\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n",
        "X-A: b\r\n c\r\nContent-Length: 5\r\n",
        "X-A: b\r\n\tTransfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "X-A : b\r\nContent-Length: 5\r\n",
        "Content-Length : 5\r\n",
    ] {
        let (_backend, veil) = over(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n5\r\nhello\r\n0\r\n\r\n"));
        let answer = Raw::connect(veil.public).send(GET).response();
        assert_eq!(answer.status(), 502, "{fields:?}");
        assert_eq!(http2::get_cut(veil.public, "/").0, 502, "{fields:?}");
    }
    let (_backend, veil) = over("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n");
    assert_eq!(Raw::connect(veil.public).send(GET).response().status(), 502);
}

#[test]
fn what_is_said_twice_goes_on_once() {
    for (fields, name) in [
        ("Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "content-length"),
        ("Content-Length: 5, 5\r\n\r\nhello", "content-length"),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "transfer-encoding",
        ),
    ] {
        let (_backend, veil) = over(&format!("HTTP/1.1 200 OK\r\n{fields}"));
        let head = Raw::connect(veil.public).send(GET).head().to_lowercase();
        assert_eq!(head.matches(name).count(), 1, "{head}");
        assert!(head.starts_with("http/1.1 200") && !head.contains("5, 5"), "{head}");
        let (status, body, reason) = http2::get_cut(veil.public, "/");
        assert_eq!((status, body, reason), (200, b"hello".to_vec(), None), "{fields:?}");
    }
}

#[test]
fn announcements_have_an_end() {
    let hint = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";
    let long = format!("HTTP/1.1 102 Processing\r\nX: {}\r\n\r\n", "x".repeat(30_000));
    let last = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    for (announced, status) in [(hint.repeat(3), 200), (hint.repeat(1000), 502), (long.repeat(10), 502)] {
        let (_backend, veil) = over(&(announced + last));
        let mut client = Raw::connect(veil.public);
        client.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        let all = client.rest();
        assert!(all.len() < 200_000, "{}", all.len());
        let all = String::from_utf8_lossy(&all).into_owned();
        assert!(
            all.contains(&format!("HTTP/1.1 {status} ")),
            "{status}: {}",
            &all[..all.len().min(300)]
        );
        assert_eq!(http2::get_cut(veil.public, "/").0, status);
    }
}

#[test]
fn a_head_that_dribbles_or_is_announced_again_and_again_has_the_time_of_a_whole_one() {
    let moment = Duration::from_millis(200);
    let bytes = b"HTTP/1.1 200 OK\r\nX-Slow: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n\r\n";
    let dribble: Vec<_> = bytes.iter().map(|byte| (moment, vec![*byte])).collect();
    let processing = (moment, b"HTTP/1.1 102 Processing\r\n\r\n".to_vec());
    for pieces in [dribble, vec![processing; 30]] {
        let backend = Backend::start(move |_| Answer::Pieces(pieces.clone()));
        let veil = Veil::over(&format!(
            "{{ backends: [{{ address: {} }}], timeouts: {{ total: 1s }} }}",
            backend.address
        ));
        let begun = Instant::now();
        let mut client = Raw::connect(veil.public);
        client.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        let all = String::from_utf8_lossy(&client.rest()).into_owned();
        assert!(all.contains("HTTP/1.1 504"), "{all}");
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    }
}

const TRAILED: &str = "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\
                       X-Sum: 42\r\nContent-Length: 7\r\nX-Sum: 43\r\n\r\n";

#[test]
fn what_comes_after_a_body_arrives_where_it_may() {
    let (_backend, veil) = over(TRAILED);
    let rest = |head: &str| {
        let mut client = Raw::connect(veil.public);
        client.send(head);
        let head = client.head().to_lowercase();
        (head, String::from_utf8(client.rest()).unwrap().to_lowercase())
    };
    let close = "Connection: close\r\n\r\n";
    let (head, asked) = rest(&format!(
        "GET / HTTP/1.1\r\nHost: test\r\nTE: gzip, Trailers\r\n{close}"
    ));
    assert!(head.contains("trailer: x-sum"), "{head}");
    assert_eq!(asked, "5\r\nhello\r\n0\r\nx-sum: 42\r\nx-sum: 43\r\n\r\n");
    let (_, unasked) = rest(&format!("GET / HTTP/1.1\r\nHost: test\r\nTE: gzip\r\n{close}"));
    assert_eq!(unasked, "5\r\nhello\r\n0\r\n\r\n");
    let (_, old) = rest(&format!("GET / HTTP/1.0\r\nHost: test\r\nTE: trailers\r\n{close}"));
    assert_eq!(old, "hello");

    // On a connection that goes on, the next answer has none of them.
    let mut kept = Raw::connect(veil.public);
    for te in ["TE: trailers\r\n", "", "TE: trailers\r\n"] {
        kept.send(format!("GET / HTTP/1.1\r\nHost: test\r\n{te}\r\n")).head();
        let wanted = match te {
            "" => &b"5\r\nhello\r\n0\r\n\r\n"[..],
            _ => b"5\r\nhello\r\n0\r\nx-sum: 42\r\nx-sum: 43\r\n\r\n",
        };
        assert_eq!(kept.read(wanted.len()), wanted);
    }

    let (hints, body, trailers) = http2::get_whole(veil.public, "/");
    assert_eq!((hints, body.as_slice()), (0, &b"hello"[..]));
    let sums: Vec<_> = trailers.unwrap().get_all("x-sum").iter().cloned().collect();
    assert_eq!(sums, ["42", "43"]);
}

#[test]
fn hints_and_trailers_pass_where_nothing_is_kept_too() {
    // With fields that mean something else, or nothing, before an answer.
    let hint = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nContent-Length: 5\r\nConnection: close\r\n\
                Keep-Alive: timeout=5\r\nTrailer: X\r\n\r\n";
    let parts = vec![Part::Bytes(format!("{hint}{hint}{TRAILED}").into_bytes()), Part::Close];
    let backend = Backend::start(move |_| Answer::Parts(parts.clone()));
    for buffering in ["on", "off"] {
        let pool = e2e::veil::round_robin(&[&backend]);
        let further = format!("answers: {{ buffering: {buffering} }}\n");
        let veil = Veil::start(&(e2e::veil::configuration(&pool) + &further));
        let (hints, body, trailers) = http2::get_whole(veil.public, "/");
        assert_eq!((hints, body.as_slice()), (2, &b"hello"[..]), "{buffering}");
        assert_eq!(trailers.unwrap()["x-sum"], "42", "{buffering}");
        let mut client = Raw::connect(veil.public);
        client.send("GET / HTTP/1.1\r\nHost: test\r\nTE: trailers\r\nConnection: close\r\n\r\n");
        let all = String::from_utf8(client.rest()).unwrap().to_lowercase();
        assert_eq!(all.matches("103 early hints").count(), 2, "{all}");
        let announced = all.split("http/1.1 200").next().unwrap();
        for field in ["content-length", "connection", "keep-alive", "trailer"] {
            assert!(!announced.contains(field), "{announced}");
        }
        assert!(all.ends_with("hello\r\n0\r\nx-sum: 42\r\nx-sum: 43\r\n\r\n"), "{all}");
    }
}

#[test]
fn an_old_client_sees_that_its_answer_was_cut() {
    for (framing, promised) in [
        ("Content-Length: 1000\r\n\r\nbegun", true),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n", false),
    ] {
        let (_backend, veil) = over(&format!("HTTP/1.1 200 OK\r\n{framing}"));
        let mut client = TcpStream::connect(veil.public).unwrap();
        client.set_read_timeout(Some(SOON)).unwrap();
        // With a request behind it, which gets no answer.
        let get = "GET / HTTP/1.0\r\nHost: test\r\nConnection: keep-alive\r\n\r\n";
        client.write_all([get, get].concat().as_bytes()).unwrap();
        let mut all = Vec::new();
        let end = client.read_to_end(&mut all);
        let all = String::from_utf8(all).unwrap().to_lowercase();
        assert!(all.ends_with("\r\n\r\nbegun"), "{all}");
        assert_eq!(all.contains("content-length: 1000"), promised, "{all}");
        if !promised {
            assert_eq!(
                end.unwrap_err().kind(),
                ErrorKind::ConnectionReset,
                "the end must not look like one"
            );
        }
    }
    // One that is whole ends in good order.
    let (_backend, veil) = over(TRAILED);
    let all = Raw::connect(veil.public)
        .send("GET / HTTP/1.0\r\nHost: test\r\n\r\n")
        .twin()
        .rest();
    assert!(all.ends_with(b"\r\n\r\nhello"));
}

#[test]
fn nobody_is_sent_away_for_good() {
    let (_backend, veil) = over("HTTP/1.1 503 Later\r\nRetry-After: 99999999999\r\nContent-Length: 0\r\n\r\n");
    let answer = Raw::connect(veil.public).send(GET).response();
    assert_eq!((answer.status(), answer.header("retry-after")), (503, Some("3600")));
}

#[test]
fn a_connection_serves_one_request_after_the_other() {
    let backend = Backend::named("kept");
    let veil = Veil::over(&format!("{{ backends: [{{ address: {} }}] }}", backend.address));
    let mut client = Raw::connect(veil.public);
    for head in ["GET", "HEAD", "GET", "POST", "GET"].repeat(4) {
        let request = format!("{head} / HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n");
        let head_of_answer = client.send(request).head();
        assert!(head_of_answer.starts_with("HTTP/1.1 200"), "{head_of_answer}");
        if head != "HEAD" {
            assert_eq!(client.read(4), b"kept");
        }
    }
    // This backend sends a body after HEAD too, which ends a connection.
    let (came, _) = backend.connections();
    assert!((2..=6).contains(&came), "{came}");
}

#[test]
fn no_body_is_framed_where_there_is_none() {
    for (status, fields) in [
        ("204 None", "Transfer-Encoding: chunked\r\n"),
        ("204 None", "Content-Length: 5\r\n"),
        ("304 Same", "Transfer-Encoding: chunked\r\n"),
    ] {
        let (_backend, veil) = over(&format!("HTTP/1.1 {status}\r\n{fields}\r\n"));
        let request = "GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
        let answer = String::from_utf8(Raw::connect(veil.public).send(request).rest()).unwrap();
        let answer = answer.to_ascii_lowercase();
        assert!(
            answer.starts_with("http/1.1 204") || answer.starts_with("http/1.1 304"),
            "{answer}"
        );
        assert!(
            !answer.contains("transfer-encoding") && !answer.contains("content-length"),
            "{answer}"
        );
    }
}

#[test]
fn a_connection_ends_in_whichever_line_that_is_said() {
    const BOTH: &str = "Connection: keep-alive\r\nConnection: close\r\n";
    let backend = Backend::named("it");
    let veil = Veil::over(&format!("{{ backends: [{{ address: {} }}] }}", backend.address));
    let request = format!("GET / HTTP/1.1\r\nHost: test\r\n{BOTH}\r\n");
    let answer = Raw::connect(veil.public).send(request).rest();
    assert!(
        String::from_utf8_lossy(&answer)
            .to_ascii_lowercase()
            .contains("connection: close")
    );

    let said = format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{BOTH}\r\nit");
    let parts = vec![Part::Bytes(said.into_bytes())];
    let backend = Backend::start(move |_| Answer::Parts(parts.clone()));
    let veil = Veil::over(&format!("{{ backends: [{{ address: {} }}] }}", backend.address));
    let mut client = Raw::connect(veil.public);
    let (before, _) = backend.connections();
    for _ in 0..5 {
        assert_eq!(client.send(GET).response().body, b"it");
    }
    assert!(backend.connections().0 >= before + 5, "{:?}", backend.connections());
}

#[test]
fn the_protocol_changes_to_none_but_those_asked_for() {
    for (answered, status) in [("websocket", 101), ("WebSocket", 101), ("foo", 502)] {
        let (_backend, veil) = over(&format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {answered}\r\n\r\n"
        ));
        let request = "GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        let head = Raw::connect(veil.public).send(request).head();
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{answered}: {head}");
    }
}

#[test]
fn a_backend_that_resets_idle_connections_loses_none() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (taken, is_taken) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // Where it resets, nothing of the answer is on its way any more.
            if answers(&stream).is_some() && is_taken.recv().is_err() {
                return;
            }
            rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
        }
    });
    let veil = Veil::over(&format!("{{ backends: [{{ address: {address} }}] }}"));
    let mut client = Raw::connect(veil.public);
    for round in 0..300 {
        assert_eq!(client.send(GET).response().status(), 200, "{round}");
        taken.send(()).unwrap();
    }
}

/// Nothing where no request comes.
fn answers(mut stream: &TcpStream) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nit").ok()
}

#[test]
fn a_wish_for_another_protocol_that_connection_does_not_name_is_none() {
    let backend = Backend::start(|request| match request.header("upgrade") {
        Some(_) => Answer::Pieces(vec![(
            Duration::ZERO,
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n".to_vec(),
        )]),
        None => Answer::Pieces(vec![(
            Duration::ZERO,
            format!(
                "HTTP/1.1 200 OK\r\nX-Target: {}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
                request.path()
            )
            .into_bytes(),
        )]),
    });
    let veil = Veil::over(&format!("{{ backends: [{{ address: {} }}] }}", backend.address));
    for connection in ["", "Connection: keep-alive\r\n", "Connection: x-upgrade\r\n"] {
        let mut client = Raw::connect(veil.public);
        client.send(format!(
            "GET /ws HTTP/1.1\r\nHost: test\r\n{connection}Upgrade: websocket\r\n\r\nGET /next HTTP/1.1\r\nHost: test\r\n\r\n"
        ));
        for target in ["/ws", "/next"] {
            let answer = client.response();
            assert_eq!(
                (answer.status(), answer.header("x-target")),
                (200, Some(target)),
                "{connection}"
            );
        }
    }
}
