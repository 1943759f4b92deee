//! Answers: a worker's place is free when its answer is complete, whatever the client's pace; a worker that dies amid its
//! answer costs the client nothing, or shows; and what streams, streams.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use e2e::backend::{Answer, Backend, Gate, Part};
use e2e::process::resident_bytes;
use e2e::raw::Raw;
use e2e::until::{SOON, until};
use e2e::veil::Veil;
use e2e::{client, http2};

const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";
const LARGE: usize = 8 << 20;

#[test]
fn a_client_that_does_not_read_holds_no_place() {
    let backend = large_and_small();
    let veil = Veil::over(&format!(
        "{{ backends: [{{ address: {}, max_conns: 1 }}] }}",
        backend.address
    ));
    let free = |what: &str| {
        until(what, SOON, || {
            (veil.backend(backend.address)["in_flight"] == 0).then_some(())
        });
    };
    let mut idle = Raw::connect_slow(veil.public);
    assert!(
        idle.send("GET /large HTTP/1.1\r\nHost: test\r\n\r\n")
            .head()
            .contains("200")
    );
    free("HTTP/1 holds no place");
    let stalled = http2::Stalled::open(veil.public, "/large", 0);
    until("it was sent", SOON, || (backend.received().len() == 2).then_some(()));
    free("HTTP/2 holds no place");
    assert_eq!(veil.get("/small").text().unwrap(), "small");
    drop(stalled);

    let body = idle.read(LARGE);
    assert!(body == large(), "and gets its answer in full");
    assert_eq!(idle.send(GET).response().body, b"small", "on a connection that goes on");
    until("its memory is free", SOON, || (memory(&veil) == 0).then_some(()));
}

#[test]
fn a_worker_that_dies_amid_its_answer_costs_the_client_nothing() {
    let begun = b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n".to_vec();
    for sent in [0, 1000, 2_000_000] {
        let parts = vec![Part::Bytes(begun.clone()), Part::Bytes(vec![7; sent])];
        let bad = Backend::start(move |_| Answer::Parts(parts.clone()));
        let good = Backend::named("good");
        let veil = Veil::start(&configuration(&[&bad, &good], "idempotent: true", ""));
        for _ in 0..2 {
            let answer = client().post(veil.url("/v1/blur")).body("picture").send().unwrap();
            assert_eq!(
                (answer.status().as_u16(), answer.text().unwrap()),
                (200, "good".into()),
                "{sent}"
            );
        }
        let answer = http2::post(veil.public, "/v1/blur", "picture".into());
        assert_eq!(answer, (200, b"good".to_vec()));
        assert_eq!(veil.get("/").text().unwrap(), "good");
    }
}

#[test]
fn an_answer_that_breaks_off_shows_what_came_of_it_and_that_it_is_not_whole() {
    for (framing, whole) in [
        ("Content-Length: 1000\r\n\r\nbegun", "begun"),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n", "5\r\nbegun\r\n"),
    ] {
        let said = format!("HTTP/1.1 200 OK\r\nX-From: worker\r\n{framing}");
        for late in [false, true] {
            let gate = Gate::default();
            let mut parts = vec![Part::Bytes(said.clone().into_bytes()), Part::Close];
            if late {
                parts.insert(1, Part::Gate(gate.clone()));
            }
            let backend = Backend::start(move |_| Answer::Parts(parts.clone()));
            let veil = Veil::start(&configuration(&[&backend], "idempotent: true", ""));
            let mut client = Raw::connect(veil.public);
            // What is behind it gets no answer, for nobody could tell where that begins.
            client.send([GET, GET].concat());
            let head = client.head();
            assert!(
                head.starts_with("HTTP/1.1 200") && head.to_lowercase().contains("x-from: worker"),
                "{head}"
            );
            gate.open();
            let rest = String::from_utf8(client.rest()).unwrap();
            assert_eq!(rest.to_lowercase(), whole, "{framing:?}, late: {late}");

            let (status, body, reason) = http2::get_cut(veil.public, "/");
            assert_eq!((status, body.as_slice()), (200, &b"begun"[..]), "late: {late}");
            assert_eq!(reason, Some(h2::Reason::INTERNAL_ERROR), "late: {late}");
        }
    }
}

#[test]
fn an_answer_that_comes_slowly_is_not_withheld() {
    for answers in ["", "answers: { buffering: off }", "answers: { hold: 0s }"] {
        let gate = Gate::default();
        let parts = vec![
            Part::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nslow".to_vec()),
            Part::Gate(gate.clone()),
            Part::Bytes(b"ness".to_vec()),
        ];
        let backend = Backend::start(move |_| Answer::Parts(parts.clone()));
        let veil = Veil::start(&configuration(&[&backend], "", answers));
        let mut client = Raw::connect(veil.public);
        let head = client.send(GET).head();
        assert!(head.contains("200 OK"), "{head}");
        assert_eq!(client.read(4), b"slow", "{answers}");
        gate.open();
        assert_eq!(client.read(4), b"ness");
    }
}

#[test]
fn streams_pass_at_once() {
    for (head, answers) in [
        ("Content-Type: text/event-stream\r\n", ""),
        ("X-Accel-Buffering: no\r\n", ""),
        ("", "body: { buffering: off }"),
    ] {
        let gate = Gate::default();
        let head = format!("HTTP/1.1 200 OK\r\n{head}Transfer-Encoding: chunked\r\n\r\n");
        let parts = vec![
            Part::Bytes(format!("{head}5\r\nfirst\r\n").into_bytes()),
            Part::Gate(gate.clone()),
            Part::Bytes(b"6\r\nsecond\r\n0\r\n\r\n".to_vec()),
        ];
        let backend = Backend::start(move |_| Answer::Parts(parts.clone()));
        // Held back, it would be seen too late.
        let further = format!("answers: {{ hold: 1h }}\n{answers}");
        let veil = Veil::start(&configuration(&[&backend], "", &further));
        let mut client = Raw::connect(veil.public);
        client.send(GET).head();
        assert_eq!(client.read(10), b"5\r\nfirst\r\n", "{head}");
        gate.open();
        assert_eq!(client.read(16), b"6\r\nsecond\r\n0\r\n\r\n");
    }
}

#[test]
fn a_client_that_takes_nothing_is_let_go_whatever_signs_of_life_it_gives() {
    let backend = large_and_small();
    for buffering in ["on", "off"] {
        let answers = &format!("answers: {{ buffering: {buffering}, least_rate: 1MiB }}");
        let configuration = configuration(&[&backend], "", answers);
        let veil = Veil::start(&configuration.replace(
            "127.0.0.1:0 } }\nadmin",
            "127.0.0.1:0, timeouts: { send: 1s } } }\nadmin",
        ));
        for sign in [http2::Sign::None, http2::Sign::Ping, http2::Sign::OneByte] {
            let window = if matches!(sign, http2::Sign::OneByte) { 2 } else { 0 };
            let mut stalled = http2::Stalled::open(veil.public, "/large", window);
            let begun = Instant::now();
            assert!(stalled.is_reset(sign, SOON), "{sign:?}");
            assert!(
                begun.elapsed() < Duration::from_secs(25),
                "{sign:?}: {:?}",
                begun.elapsed()
            );
        }
        until("nothing is kept for it", SOON, || {
            (memory(&veil) == 0 && veil.backend(backend.address)["in_flight"] == 0).then_some(())
        });
    }
}

/// With more of it than is kept, so that it holds the only place.
#[test]
fn a_slow_client_gives_way_to_who_waits_for_its_place_and_a_quick_one_does_not() {
    let backend = large_and_small();
    let pool = format!("{{ backends: [{{ address: {}, max_conns: 1 }}] }}", backend.address);
    let veil = Veil::start(&(e2e::veil::configuration(&pool) + "answers: { keep: 256KiB }\n"));
    let holds = |what: &str| {
        until(what, SOON, || {
            (veil.backend(backend.address)["in_flight"] == 1).then_some(())
        });
    };
    let ask = || {
        let mut client = Raw::connect_slow(veil.public);
        client.send("GET /large HTTP/1.1\r\nHost: test\r\n\r\n");
        assert!(client.head().contains("200"));
        client
    };
    let mut quick = ask();
    holds("the quick one has the place");
    let (turn, waited) = mpsc::channel();
    let url = veil.url("/small");
    thread::spawn(move || turn.send(client().get(url).send().unwrap().status().as_u16()));
    let mut body = Vec::new();
    while waited.try_recv().inspect(|status| assert_eq!(*status, 503)).is_err() {
        body.extend(quick.read(64 << 10));
        thread::sleep(Duration::from_millis(50));
    }
    body.extend(quick.read(LARGE - body.len()));
    assert!(body == large(), "it gets its answer in full");

    let slow = ask();
    holds("a slow one has the place");
    assert_eq!(veil.get("/small").text().unwrap(), "small");
    drop(slow);
    let slow = http2::Stalled::open(veil.public, "/large", 0);
    holds("a slow one has the place, over HTTP/2");
    assert_eq!(veil.get("/small").text().unwrap(), "small");
    drop(slow);
}

#[test]
fn so_it_is_where_nothing_is_configured() {
    let backend = large_and_small();
    let clients: Vec<_> = ["on", "off"]
        .into_iter()
        .flat_map(|buffering| {
            let answers = format!("answers: {{ buffering: {buffering} }}");
            let veil = Arc::new(Veil::start(&configuration(&[&backend], "", &answers)));
            [http2::Sign::None, http2::Sign::Ping, http2::Sign::OneByte].map(|sign| (Arc::clone(&veil), sign))
        })
        .map(|(veil, sign)| {
            thread::spawn(move || {
                let window = if matches!(sign, http2::Sign::OneByte) { 2 } else { 0 };
                let begun = Instant::now();
                let is_reset =
                    http2::Stalled::open(veil.public, "/large", window).is_reset(sign, Duration::from_secs(180));
                (sign, is_reset, begun.elapsed())
            })
        })
        .collect();
    for client in clients {
        let (sign, is_reset, time) = client.join().unwrap();
        assert!(
            is_reset && time >= Duration::from_secs(59),
            "{sign:?}: {is_reset} after {time:?}"
        );
    }
}

#[test]
fn streams_that_nobody_takes_cost_little_and_give_it_back() {
    const CONNECTIONS: usize = 5;
    const STREAMS: usize = 100;
    let backend = large_and_small();
    let veil = Veil::start(&configuration(
        &[&backend],
        "",
        "body: { memory: 8MiB, max_size: 4MiB }",
    ));
    let resident = || resident_bytes(veil.process.id());
    let before = resident();
    let open = |_| http2::Stalled::open_many(veil.public, "/large", 0, STREAMS);
    let stalled: Vec<_> = (0..CONNECTIONS).map(open).collect();
    until("all of them were sent", SOON, || {
        (backend.received().len() == CONNECTIONS * STREAMS).then_some(())
    });
    let each = (resident() - before) / (CONNECTIONS * STREAMS) as u64;
    assert!(each <= 128 << 10, "{each} bytes");
    let crowded = resident();
    drop(stalled);
    until("half of it is given back", SOON, || {
        (resident() - before < (crowded - before) / 2).then_some(())
    });
}

#[test]
fn answers_that_nobody_takes_leave_memory_to_uploads() {
    let backend = large_and_small();
    let veil = Veil::start(&configuration(
        &[&backend],
        "",
        "body: { memory: 4MiB, memory_wait: 2s }",
    ));
    let mut idle: Vec<Raw> = (0..4).map(|_| Raw::connect_slow(veil.public)).collect();
    for client in &mut idle {
        assert!(
            client
                .send("GET /large HTTP/1.1\r\nHost: test\r\n\r\n")
                .head()
                .contains("200")
        );
    }
    for _ in 0..10 {
        let answer = client().post(veil.url("/small")).body(vec![7; 200_000]).send().unwrap();
        assert_eq!(answer.status(), 200);
        assert!(memory(&veil) <= 2 << 20, "{}", memory(&veil));
    }
    for client in &mut idle {
        assert!(client.read(LARGE) == large());
    }
}

fn memory(veil: &Veil) -> u64 {
    veil.metric(r#"veil_body_memory_bytes{of="in_use"}"#) as u64
}

fn large() -> Vec<u8> {
    (0..LARGE as u32)
        .map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

fn large_and_small() -> Backend {
    let large = Answer::Whole {
        status: 200,
        body: large(),
    };
    Backend::start(move |request| match request.path() {
        "/large" => large.clone(),
        _ => Answer::ok("small"),
    })
}

fn configuration(backends: &[&Backend], route: &str, further: &str) -> String {
    let pool = e2e::veil::round_robin(backends);
    e2e::veil::configuration(&pool).replace("pool: blur }", &format!("pool: blur, {route} }}")) + further + "\n"
}

/// Where a backend has answered whole before it has the body, and waits for the rest of that.
#[test]
fn who_still_sends_behind_its_answer_keeps_no_place() {
    const FRAMES: [&str; 2] = ["Content-Length: 100", "Transfer-Encoding: chunked"];
    for framing in FRAMES {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (told, heard) = mpsc::channel();
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let told = told.clone();
                thread::spawn(move || {
                    let mut came = vec![0; 4096];
                    let length = stream.read(&mut came).unwrap();
                    came.truncate(length);
                    stream
                        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                        .unwrap();
                    // To its end, or its reset.
                    let _ = stream.read_to_end(&mut came);
                    let _ = told.send(came);
                });
            }
        });
        let pool = format!("{{ backends: [{{ address: {address}, max_conns: 1 }}], queue: {{ timeout: 1s }} }}");
        let veil = Veil::start(&(e2e::veil::configuration(&pool) + "body: { buffering: off }\n"));
        let mut client = Raw::connect(veil.public);
        client.send(format!("POST / HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n5\r\nabcde\r\n"));
        assert_eq!(client.response().body, b"ok", "{framing}");
        // It neither goes on nor leaves; the backend sees that the body is not whole.
        let came = heard.recv_timeout(Duration::from_secs(2)).unwrap();
        assert!(!came.ends_with(b"\r\n0\r\n\r\n"), "{framing}");
        let other = Raw::connect(veil.public)
            .send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            .response();
        assert_eq!(other.status(), 200, "{framing}");
        // Whoever does go on is not reset over it.
        client.send("abcdefghij");
        assert!(client.rest().is_empty(), "{framing}");
    }
}
