//! Hedging: a second copy of a request that takes unusually long, and what becomes of the slower backend.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use e2e::backend::{Answer, Backend, digest};
use e2e::client;
use e2e::until::{SOON, until};
use e2e::veil::Veil;

#[test]
fn a_slow_backends_request_is_answered_by_another_and_its_connection_closed() {
    let slow = Backend::start(|_| Answer::Hang);
    let fast = Backend::named("fast");
    let veil = over(slow.address, fast.address, "after: 50ms", IDEMPOTENT);
    assert_eq!(veil.get("/").text().unwrap(), "fast");
    until("the loser sees its connection closed", SOON, || {
        (slow.connections() == (1, 1)).then_some(())
    });
    until("both places are free", SOON, || {
        let idle = |address| veil.backend(address)["in_flight"] == 0;
        (idle(slow.address) && idle(fast.address)).then_some(())
    });
    assert_eq!(veil.backend(slow.address)["failures"], 0, "slowness is no failure");
    assert_eq!(hedges(&veil, "won"), 1);
}

#[test]
fn a_race_whose_backend_is_found_to_be_down_goes_on_elsewhere_at_once() {
    let slow = Backend::start(|_| Answer::Hang);
    let fast = Backend::named("fast");
    let checked = "    health: { path: /health, interval: 50ms, fall: 1 }\n";
    let veil = Veil::start(&(configuration(slow.address, fast.address, "after: 1h", IDEMPOTENT) + checked));
    until("both are well", SOON, || (veil.eligible() == 2).then_some(()));
    thread::scope(|scope| {
        let answer = scope.spawn(|| veil.get("/").text().unwrap());
        until("the slow one has it", SOON, || {
            (slow.received().len() == 1).then_some(())
        });
        slow.answer_health(Answer::status(500));
        assert_eq!(answer.join().unwrap(), "fast");
    });
}

#[test]
fn the_second_copy_is_whole() {
    let slow = Backend::start(|_| Answer::Hang);
    let fast = Backend::start(|_| Answer::Digest);
    let veil = over(slow.address, fast.address, "after: 50ms", IDEMPOTENT);
    let upload: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
    let answer = client()
        .post(veil.url("/v1/blur?effect=solid"))
        .body(upload.clone())
        .send()
        .unwrap();
    assert_eq!(answer.status(), 200);
    let received = fast.received().remove(0);
    assert_eq!(
        (received.path(), received.body_digest),
        ("/v1/blur?effect=solid", digest(&upload))
    );
    assert_eq!(received.header("content-length"), Some("3000000"));
}

#[test]
fn the_first_answer_is_taken_although_a_second_copy_was_sent() {
    for other in [
        Answer::Hang,
        Answer::status(500),
        Answer::status(503),
        Answer::ResetAmidHead,
    ] {
        let first = after(300, "first");
        let second = Backend::start({
            let other = other.clone();
            move |_| other.clone()
        });
        let veil = over(first.address, second.address, "after: 50ms", IDEMPOTENT);
        assert_eq!(veil.get("/").text().unwrap(), "first", "{other:?}");
        assert_eq!(hedges(&veil, "lost"), 1, "{other:?}");
        until("the second copy's place is free", SOON, || {
            (veil.backend(second.address)["in_flight"] == 0).then_some(())
        });
    }
}

#[test]
fn a_first_backend_that_fails_late_leaves_it_to_the_second() {
    let failing = Backend::start(|_| Answer::After(Duration::from_millis(200), Box::new(Answer::status(502))));
    let second = after(400, "second");
    let veil = over(
        failing.address,
        second.address,
        "after: 50ms",
        "retry: { attempts: 2 }, idempotent: true",
    );
    assert_eq!(veil.get("/").text().unwrap(), "second");
    assert_eq!(second.received().len(), 1, "asked once, by the second copy");
    assert_eq!(hedges(&veil, "won"), 1);
}

#[test]
fn an_upload_that_must_not_be_sent_twice_is_not() {
    let first = after(300, "first");
    let second = Backend::named("second");
    let veil = over(first.address, second.address, "after: 50ms", "idempotent: false");
    let answer = client().post(veil.url("/")).body("upload").send().unwrap();
    assert_eq!(answer.text().unwrap(), "first");
    assert!(second.received().is_empty());
}

#[test]
fn no_second_copy_is_sent_beyond_the_retry_budget() {
    let first = after(300, "first");
    let second = Backend::named("second");
    let veil = Veil::start(&format!(
        "{}retry_budget: {{ share: 0%, floor: 1/m }}\n",
        configuration(first.address, second.address, "after: 50ms", IDEMPOTENT)
    ));
    assert_eq!(veil.get("/").text().unwrap(), "first");
    assert!(second.received().is_empty());
    assert_eq!(hedges(&veil, "won") + hedges(&veil, "lost"), 0);
}

#[test]
fn the_usual_time_is_learnt_from_the_answers() {
    let moody = Backend::start(|request| match request.path() {
        "/slow" => Answer::Hang,
        _ => Answer::ok("moody"),
    });
    let steady = Backend::named("steady");
    let veil = over(moody.address, steady.address, "after: p95", IDEMPOTENT);
    let http = client();
    for _ in 0..200 {
        assert_eq!(http.get(veil.url("/")).send().unwrap().status(), 200);
    }
    // Round robin: one of two in a row goes to the moody one first.
    for _ in 0..2 {
        let answer = http.get(veil.url("/slow")).timeout(SOON).send().unwrap();
        assert_eq!(answer.text().unwrap(), "steady");
    }
}

const IDEMPOTENT: &str = "idempotent: true";

fn after(milliseconds: u64, name: &'static str) -> Backend {
    let time = Duration::from_millis(milliseconds);
    Backend::start(move |_| Answer::After(time, Box::new(Answer::ok(name))))
}

/// Requests go to the first of the two first.
fn over(first: SocketAddr, second: SocketAddr, hedge: &str, route: &str) -> Veil {
    Veil::start(&configuration(first, second, hedge, route))
}

fn configuration(first: SocketAddr, second: SocketAddr, hedge: &str, route: &str) -> String {
    format!(
        "version: 1
listeners: {{ public: {{ address: 127.0.0.1:0 }} }}
admin: {{ address: 127.0.0.1:0 }}
routes: [{{ match: {{ path_prefix: / }}, pool: blur, {route} }}]
pools:
  blur:
    select: round_robin
    hedge: {{ {hedge} }}
    backends: [{{ address: {first} }}, {{ address: {second} }}]
"
    )
}

fn hedges(veil: &Veil, result: &str) -> u64 {
    let metrics = veil.admin_get("/metrics").text().unwrap();
    let name = format!("veil_hedges_total{{pool=\"blur\",result=\"{result}\"}} ");
    let count = metrics.lines().find_map(|line| line.strip_prefix(&name));
    count.map_or(0, |count| count.parse().unwrap())
}
