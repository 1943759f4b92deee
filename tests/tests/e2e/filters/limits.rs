//! Filters that let only so much through.

use std::time::{Duration, Instant};

use e2e::backend::{Answer, Backend, Gate, Part};
use e2e::raw::Raw;
use e2e::until::{SOON, until};

use super::{ask, folder, veil, veil_with};

#[test]
fn a_client_waits_for_its_turn_and_has_only_so_many() {
    let backend = Backend::named("app");
    let veil = veil("{ rate_limit: { rate: 10/s, burst: 3, at_once: 1 } }", Some(&backend));
    let began = Instant::now();
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let address = veil.public;
            std::thread::spawn(move || {
                Raw::connect(address)
                    .send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    .response()
                    .status()
            })
        })
        .collect();
    let statuses: Vec<u16> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert_eq!(statuses, [200, 200, 200]);
    assert!(
        began.elapsed() >= Duration::from_millis(190),
        "two of them waited for their turns: {:?}",
        began.elapsed()
    );
}

#[test]
fn a_client_has_only_so_many_requests_under_way() {
    let gate = Gate::default();
    let parts = vec![
        Part::Gate(gate.clone()),
        Part::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec()),
    ];
    let backend = Backend::start(move |_| Answer::Parts(parts.clone()));
    let veil = veil("{ concurrency_limit: { most: 2 } }", Some(&backend));
    let mut first = Raw::connect(veil.public);
    let mut second = Raw::connect(veil.public);
    for client in [&mut first, &mut second] {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    until("both are there", SOON, || (backend.received().len() == 2).then_some(()));
    assert_eq!(ask(&veil, "GET / HTTP/1.1\r\nHost: a").status(), 429);
    gate.open();
    assert_eq!((first.response().status(), second.response().status()), (200, 200));
    until("there is place again", SOON, || {
        (ask(&veil, "GET / HTTP/1.1\r\nHost: a").status() == 200).then_some(())
    });
}

#[test]
fn an_answer_goes_no_faster_than_allowed() {
    let text = "x".repeat(60_000);
    let (backend, files) = (
        Backend::start({
            let text = text.clone();
            move |_| Answer::ok(&text)
        }),
        folder(&[("a.txt", text.as_bytes())]),
    );
    let root = files.path().display();
    let veil = veil_with(
        &format!(
            "  - {{ match: {{ path_prefix: /files/ }}, filters: [{{ bandwidth: {{ rate: 40KiB }} }}, {{ strip_prefix: /files }}, {{ files: {{ root: {root} }} }}] }}\n  \
             - {{ match: {{ path_prefix: / }}, pool: app, filters: [{{ bandwidth: {{ rate: 40KiB, after: 20KiB }} }}] }}\n"
        ),
        &[("app", &backend)],
    );
    for (path, least) in [("/", 800), ("/files/a.txt", 1200)] {
        let began = Instant::now();
        assert_eq!(veil.get(path).text().unwrap(), text);
        assert!(
            began.elapsed() >= Duration::from_millis(least),
            "{path}: {:?}",
            began.elapsed()
        );
    }
    until("the backend is free", SOON, || {
        (veil.backend(backend.address)["in_flight"] == 0).then_some(())
    });
}

#[test]
fn who_leaves_amid_a_slow_answer_is_gone_at_once() {
    let text = "x".repeat(100);
    let backend = Backend::start({
        let text = text.clone();
        move |_| Answer::ok(&text)
    });
    let own = format!(
        "  - {{ match: {{ path_exact: /own }}, filters: [{{ bandwidth: {{ rate: 10B }} }}, {{ respond: {{ status: 200, body: {text} }} }}] }}\n"
    );
    let others = "  - { match: { path_prefix: / }, pool: app, filters: [{ bandwidth: { rate: 10B } }] }\n";
    let veil = veil_with(&format!("{own}{others}"), &[("app", &backend)]);
    for path in ["/own", "/app"] {
        let mut client = Raw::connect(veil.public);
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert!(client.head().starts_with("HTTP/1.1 200"));
        assert_eq!(client.read(1), b"x", "{path}");
        drop(client);
        until("its connection is gone", SOON, || {
            let status = veil.admin_get("/nginx_status").text().unwrap();
            status.starts_with("Active connections: 0").then_some(())
        });
    }
}

#[test]
fn no_worker_sees_what_is_no_picture() {
    let backend = Backend::named("worker");
    let veil = veil("{ image_guard: { max_pixels: 1000000 } }", Some(&backend));
    let post = |body: &[u8]| {
        let head = format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        Raw::connect(veil.public)
            .send([head.as_bytes(), body].concat())
            .response()
            .status()
    };
    let png = |width: u32| {
        [
            b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR",
            &width.to_be_bytes()[..],
            &width.to_be_bytes(),
            b"\x08\x02\0\0\0",
        ]
        .concat()
    };
    assert_eq!(post(&png(100)), 200);
    assert_eq!(post(&png(100_000)), 413);
    assert_eq!(post(b"text, renamed to .jpg"), 415);
    assert_eq!(backend.received().len(), 1);
}
