//! What uploads have to keep to, the memory they take, and what becomes of them where workers die.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use e2e::backend::{Answer, Backend, digest, refusing};
use e2e::http2;
use e2e::raw::Raw;
use e2e::until::{SOON, until};
use e2e::veil::{Veil, configuration};

#[test]
fn refuses_a_body_that_is_too_large() {
    let backend = Backend::start(|_| Answer::Echo);
    let veil = over(&backend, "max_size: 10B");
    for request in [
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n6\r\nabcdef\r\n",
    ] {
        let mut client = Raw::connect(veil.public);
        let response = client.send(request).response();
        assert_eq!(response.status(), 413, "{request}");
        let problem: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(
            (&problem["code"], &problem["limit"]),
            (&"body_too_large".into(), &10.into())
        );
        assert!(client.rest().is_empty());
    }
    assert!(backend.received().is_empty());
    let exact = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n0123456789";
    assert_eq!(Raw::connect(veil.public).send(exact).response().status(), 200);
}

#[test]
fn who_waits_for_leave_to_send_nothing_gets_it() {
    let backend = Backend::start(|_| Answer::Echo);
    let veil = over(&backend, "max_size: 10B");
    let ask = |version: &str| {
        let mut client = Raw::connect(veil.public);
        client.send(format!(
            "POST / HTTP/{version}\r\nHost: h\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n"
        ));
        client.response().status()
    };
    assert_eq!((ask("1.1"), ask("1.0")), (100, 200));
    assert!(
        backend
            .received()
            .iter()
            .all(|request| request.header("expect").is_none())
    );
}

#[test]
fn the_client_gets_its_413_while_it_still_sends() {
    let backend = Backend::start(|_| Answer::Echo);
    let veil = over(&backend, "max_size: 1KiB");
    let mut client = Raw::connect(veil.public);
    client
        .send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 20000000\r\n\r\n")
        .send(vec![7; 20_000_000]);
    assert_eq!(client.response().status(), 413);
}

#[test]
fn answers_expect_before_the_body_comes_also_where_a_worker_dies() {
    let (bad, good) = (
        Backend::start(|_| Answer::ResetAfterBody),
        Backend::start(|_| Answer::Echo),
    );
    let veil = chain(&[bad.address, good.address], "");
    let mut client = Raw::connect(veil.public);
    for _ in 0..2 {
        client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
        assert_eq!(client.response().status(), 100);
        let response = client.send("abc").response();
        assert_eq!((response.status(), &response.body[..]), (200, &b"abc"[..]));
    }
    assert!(good.received().iter().all(|request| request.header("expect").is_none()));
}

#[test]
fn refuses_a_client_that_is_too_slow() {
    let backend = Backend::start(|_| Answer::Echo);
    for limits in ["patience: 50ms, least_rate: 1MiB", "deadline: 50ms"] {
        let veil = over(&backend, limits);
        let mut client = Raw::connect(veil.public);
        let response = client
            .send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc")
            .response();
        assert_eq!(response.status(), 408);
        assert!(client.rest().is_empty());
        until("its memory is free", SOON, || (memory(&veil) == 0).then_some(()));
    }
    assert!(backend.received().is_empty());
}

#[test]
fn a_streamed_body_keeps_to_the_same_limits() {
    let counted = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc";
    let chunked = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n6\r\nabcdef\r\n";
    for (limits, request, status) in [
        ("buffering: off, patience: 50ms, least_rate: 1MiB", counted, 408),
        ("buffering: off, deadline: 50ms", counted, 408),
        ("buffering: off, max_size: 10B", chunked, 413),
    ] {
        let backend = Backend::start(|_| Answer::Hang);
        let veil = over(&backend, limits);
        let mut client = Raw::connect(veil.public);
        assert_eq!(client.send(request).response().status(), status, "{limits}");
        assert!(client.rest().is_empty());
        assert_eq!(backend.connections().0, 1, "{limits}");
    }
}

#[test]
fn a_body_that_drips_is_too_slow() {
    let backend = Backend::start(|_| Answer::Hang);
    for buffering in ["on", "off"] {
        let limits = format!("buffering: {buffering}, patience: 100ms, least_rate: 1KiB");
        let veil = over(&backend, &limits);
        let mut client = Raw::connect(veil.public);
        client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
        // Each byte comes long before any timeout between two reads.
        while client.stays_open(Duration::from_millis(5)) {
            client.send("x");
        }
        until("its memory is free", SOON, || (memory(&veil) == 0).then_some(()));
    }
}

#[test]
fn a_streamed_body_over_http2_keeps_to_them_too() {
    let backend = Backend::start(|_| Answer::Hang);
    let veil = over(&backend, "buffering: off, patience: 50ms");
    assert_eq!(http2::post_part(veil.public, "/", "abc".into()), 408);
}

#[test]
fn what_can_never_fit_is_too_large() {
    let backend = Backend::start(|_| Answer::Echo);
    let veil = over(&backend, "memory: 64KiB");
    let mut client = Raw::connect(veil.public);
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 70000\r\n\r\n");
    assert_eq!(client.response().status(), 413);
}

#[test]
fn a_promise_takes_no_memory() {
    let backend = Backend::start(|_| Answer::Echo);
    let veil = over(&backend, "");
    let promising: Vec<Raw> = (0..64)
        .map(|_| {
            let mut client = Raw::connect(veil.public);
            client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 33554432\r\n\r\nx");
            client
        })
        .collect();
    until("they have begun", SOON, || (memory(&veil) >= 64 * 4096).then_some(()));
    let begun = Instant::now();
    for _ in 0..9 {
        assert_eq!(
            Raw::connect(veil.public)
                .send(counted(&picture(500_000)))
                .response()
                .status(),
            200
        );
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(memory(&veil) < 64 * 8192, "{}", memory(&veil));
    drop(promising);
    until("their memory is free", SOON, || (memory(&veil) == 0).then_some(()));
}

#[test]
fn who_holds_much_waits_and_who_needs_little_passes() {
    let backend = Backend::start(|_| Answer::Echo);
    let veil = over(&backend, "memory: 1MiB, memory_wait: 300ms");
    let mut first = Raw::connect(veil.public);
    first.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 700000\r\n\r\n");
    first.send(vec![7; 600_000]);
    until("it has come", SOON, || (memory(&veil) >= 600_000).then_some(()));

    let second = Raw::connect(veil.public).send(counted(&picture(700_000))).response();
    assert_eq!(second.status(), 503, "{}", second.head);
    assert_eq!(second.header("retry-after"), Some("1"));
    for small in [counted(&picture(10_000)), chunked(&picture(10_000), 100)] {
        assert_eq!(Raw::connect(veil.public).send(small).response().status(), 200);
    }
    first.send(vec![7; 100_000]);
    assert_eq!(first.response().status(), 200);
}

#[test]
fn many_uploads_at_once_stay_within_the_budget_and_all_end() {
    let backend = Backend::start(|_| Answer::Digest);
    for (size, count) in [(1_000_000, 40), (6_000_000, 8)] {
        let veil = over(&backend, "memory: 8MiB, memory_wait: 60s, spill_above: 512KiB");
        let (tell, ended) = mpsc::channel();
        thread::scope(|scope| {
            for number in 0..count {
                let (tell, veil) = (tell.clone(), &veil);
                scope.spawn(move || {
                    let body = picture(size);
                    let request = match number % 2 {
                        0 => counted(&body),
                        _ => chunked(&body, 50_000),
                    };
                    let status = Raw::connect(veil.public).send(request).response().status();
                    tell.send(status).unwrap();
                });
            }
            for _ in 0..count {
                while let Err(mpsc::RecvTimeoutError::Timeout) = ended
                    .recv_timeout(Duration::from_millis(20))
                    .map(|status| assert_eq!(status, 200))
                {
                    assert!(memory(&veil) <= 8 << 20);
                }
            }
        });
        until("all memory is free", SOON, || (memory(&veil) == 0).then_some(()));
    }
}

#[test]
fn the_third_worker_answers_where_two_die() {
    let body = picture(3 << 20);
    for body_limits in ["", "body: { spill_above: 1MiB }"] {
        for fault in [
            Answer::ResetBeforeBody,
            Answer::ResetAmidBody,
            Answer::ResetAmidHead,
            Answer::RefuseBeforeBody,
        ] {
            let first = Backend::start({
                let fault = fault.clone();
                move |_| fault.clone()
            });
            let second = Backend::start(|_| Answer::ResetAfterBody);
            let good = Backend::start(|_| Answer::Echo);
            let addresses = [refusing(), first.address, second.address, good.address];
            let veil = chain(&addresses, body_limits);
            let mut client = Raw::connect(veil.public);
            for request in [
                counted(&body),
                chunked(&body, 10_000),
                counted(b"small"),
                chunked(&body, 1 << 20),
            ] {
                let response = client.send(&request).response();
                assert_eq!(
                    response.status(),
                    200,
                    "{fault:?}: {}",
                    String::from_utf8_lossy(&response.body)
                );
                assert_eq!(response.header("connection"), Some("keep-alive"));
                assert!(response.body == body || response.body == b"small");
            }
            let received = good.received();
            assert_eq!(received.len(), 4, "one connection carried all");
            for request in received {
                assert!(request.header("content-length").is_some());
                assert!(request.header("transfer-encoding").is_none());
            }
            until("its memory is free", SOON, || (memory(&veil) == 0).then_some(()));
        }
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let backend = Backend::start(|_| Answer::Echo);
    let veil = over(&backend, "");
    let bodies = [picture(200_000), picture(1), picture(70_000), picture(300_000)];
    let mut requests = Vec::new();
    for (index, body) in bodies.iter().enumerate() {
        requests.extend(if index % 2 == 0 {
            counted(body)
        } else {
            chunked(body, 999)
        });
        requests.extend(b"GET /next HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    let mut client = Raw::connect(veil.public);
    let mut sender = client.twin();
    thread::spawn(move || {
        sender.send(requests);
    });
    for body in &bodies {
        assert!(client.response().body == *body);
        assert_eq!(client.response().body.len(), 0);
    }
}

#[test]
fn a_request_that_comes_while_another_waits_is_answered_after_it() {
    let backend = Backend::start(|_| Answer::Echo);
    let veil = over(&backend, "");
    let mut client = Raw::connect(veil.public);
    for piece in [
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab",
        "POST / HTT",
        "P/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r",
        "\nc",
    ] {
        client.send(piece);
    }
    assert_eq!(client.response().body, b"ab");
    assert_eq!(client.response().body, b"c");
}

#[test]
fn works_over_http2_in_the_clear() {
    let backends = [
        Backend::start(|_| Answer::ResetAmidBody),
        Backend::start(|_| Answer::ResetAfterBody),
        Backend::start(|_| Answer::Echo),
    ];
    let veil = chain(&backends.each_ref().map(|backend| backend.address), "");
    let body = picture(1 << 20);
    for _ in 0..2 {
        let (status, said) = http2::post(veil.public, "/v1/blur", body.clone().into());
        assert!(status == 200 && said == body);
    }
    let received = &backends[2].received()[0];
    assert_eq!(received.header("host"), Some(veil.public.to_string().as_str()));
    assert_eq!((received.path(), received.body_digest), ("/v1/blur", digest(&body)));
}

#[test]
fn a_client_that_leaves_frees_its_memory() {
    let backend = Backend::start(|_| Answer::Hang);
    let veil = over(&backend, "");
    let mut waits = Raw::connect(veil.public);
    waits.send(counted(&picture(1 << 20)));
    let mut sends = Raw::connect(veil.public);
    sends
        .send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2000000\r\n\r\n")
        .send(picture(1_500_000));
    until("both are there", SOON, || {
        (backend.received().len() == 1 && memory(&veil) >= 2_500_000).then_some(())
    });
    drop(waits);
    drop(sends);
    until("its memory is free", SOON, || (memory(&veil) == 0).then_some(()));
}

#[test]
fn streams_where_buffering_is_off() {
    let backend = Backend::start(|_| Answer::Echo);
    let veil = over(&backend, "buffering: off");
    let mut client = Raw::connect(veil.public);
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc");
    until("it has begun", SOON, || (backend.connections().0 == 1).then_some(()));
    assert_eq!(memory(&veil), 0);
    assert_eq!(client.send("def").response().body, b"abcdef");
}

fn memory(veil: &Veil) -> u64 {
    veil.metric(r#"veil_body_memory_bytes{of="in_use"}"#) as u64
}

fn over(backend: &Backend, body: &str) -> Veil {
    let pool = format!("{{ backends: [{{ address: {} }}] }}", backend.address);
    Veil::start(&(configuration(&pool) + &format!("body: {{ {body} }}\n")))
}

/// Each is asked only when those before it have failed, and all are asked again by the next request.
fn chain(addresses: &[std::net::SocketAddr], body: &str) -> Veil {
    let backends: Vec<String> = addresses
        .iter()
        .enumerate()
        .map(|(place, address)| {
            let weight = 100_u32.pow(addresses.len() as u32 - 1 - place as u32).min(60_000);
            format!("{{ address: {address}, max_fails: 0, weight: {weight} }}")
        })
        .collect();
    let pool = format!(
        "{{ select: {{ least_conn: {{}} }}, backends: [{}] }}",
        backends.join(", ")
    );
    let route = "pool: blur, idempotent: true, retry: { attempts: 5, retry_on: [503] } }";
    let budget = "retry_budget: { floor: 1000/s }\n";
    Veil::start(&(configuration(&pool).replace("pool: blur }", route) + budget + body + "\n"))
}

fn picture(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index / 251 + index) as u8).collect()
}

fn counted(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /v1/blur HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn chunked(body: &[u8], chunk: usize) -> Vec<u8> {
    let mut request = b"POST /v1/blur HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for chunk in body.chunks(chunk) {
        request.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        request.extend_from_slice(chunk);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    request
}
