//! More requests than there is room for: they wait for a bounded time, in bounded numbers, and are refused early.

use std::thread;
use std::time::Duration;

use e2e::backend::{Answer, Backend};
use e2e::raw::Raw;
use e2e::until::{SOON, until};
use e2e::veil::Veil;

const PROMISED_UPLOAD: &str =
    "POST /upload HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n";

#[test]
fn refuses_an_upload_before_its_body_is_sent() {
    let backend = Backend::start(|request| match request.path() {
        "/hang" => Answer::Hang,
        _ => Answer::ok("done"),
    });
    let veil = Veil::over(&format!(
        "{{ backends: [{{ address: {}, max_conns: 1 }}], queue: {{ length: 1, timeout: 60s }} }}",
        backend.address
    ));
    let welcome = Raw::connect(veil.public).send(PROMISED_UPLOAD).response();
    assert_eq!(welcome.status(), 100, "while there is room");

    let mut hanging = Raw::connect(veil.public);
    hanging.send("GET /hang HTTP/1.1\r\nHost: test\r\n\r\n");
    until("the only place is taken", SOON, || {
        (veil.backend(backend.address)["in_flight"] == 1).then_some(())
    });
    let mut waiting = Raw::connect(veil.public);
    waiting.send("GET /wait HTTP/1.1\r\nHost: test\r\n\r\n");
    until("the queue is full", SOON, || (queued(&veil) == 1).then_some(()));

    let refused = Raw::connect(veil.public).send(PROMISED_UPLOAD).response();
    assert_eq!(refused.status(), 503, "{}", refused.head);
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.header("connection"), Some("close"));
    let problem: serde_json::Value = serde_json::from_slice(&refused.body).unwrap();
    assert_eq!(
        (&problem["code"], &problem["reason"]),
        (&"busy".into(), &"queue_full".into())
    );
    veil.process.stderr.wait_for("its access line", |line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        (line["status"] == 503 && line["error"] == "queue_full").then_some(())
    });

    let metrics = veil.admin_get("/metrics").text().unwrap();
    assert!(
        metrics.contains("veil_pool_refused_total{pool=\"blur\",reason=\"full\"} 1"),
        "{metrics}"
    );
    assert!(metrics.contains("veil_pool_queued{pool=\"blur\"} 1"));
    drop(hanging);
    assert_eq!(waiting.response().body, b"done", "whoever waited gets the place");
}

/// A client that does not wait to be asked for its body still has to be able to read the refusal.
#[test]
fn a_refusal_survives_the_body_that_follows_it() {
    let backend = Backend::start(|_| Answer::Hang);
    let veil = Veil::over(&format!(
        "{{ backends: [{{ address: {}, max_conns: 1 }}], queue: {{ length: 0 }} }}",
        backend.address
    ));
    let mut hanging = Raw::connect(veil.public);
    hanging.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    until("the only place is taken", SOON, || {
        (veil.backend(backend.address)["in_flight"] == 1).then_some(())
    });
    for _ in 0..20 {
        let mut client = Raw::connect(veil.public);
        client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 300000\r\n\r\n");
        client.send(vec![b'x'; 300_000]);
        assert_eq!(client.response().status(), 503);
    }
}

/// The short form of what `tests/bench/balance --overload` measures: judged by counts alone.
#[test]
fn under_ten_times_the_load_as_much_is_served_as_there_is_room_for() {
    const PLACES: usize = 4;
    const WAITING: usize = 8;
    const CLIENTS: usize = 10 * PLACES;
    let backend = Backend::start(|_| Answer::After(Duration::from_millis(50), Box::new(Answer::ok("done"))));
    let veil = Veil::over(&format!(
        "{{ backends: [{{ address: {}, max_conns: {PLACES} }}], queue: {{ length: {WAITING}, timeout: 60s }} }}",
        backend.address
    ));
    let statuses: Vec<u16> = thread::scope(|scope| {
        let one = || {
            Raw::connect(veil.public)
                .send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
                .response()
                .status()
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(one)).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let count = |wanted| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!(count(200) + count(503), CLIENTS, "{statuses:?}");
    assert!(count(200) >= PLACES + WAITING, "{statuses:?}");
    assert_eq!(backend.received().len(), count(200), "nobody is refused who was served");
    until("nobody waits any more", SOON, || {
        (queued(&veil) == 0 && veil.backend(backend.address)["in_flight"] == 0).then_some(())
    });
}

fn queued(veil: &Veil) -> u64 {
    let pools: serde_json::Value = veil.admin_get("/pools").json().unwrap();
    pools[0]["queued"].as_u64().unwrap()
}
