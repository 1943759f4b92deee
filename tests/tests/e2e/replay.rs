//! Uploads that a worker lost are sent again to another, in full, where that does no harm.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use e2e::backend::{Answer, Backend, Gate, Part, digest};
use e2e::raw::Raw;
use e2e::until::{SOON, until};
use e2e::veil::Veil;
use e2e::{client, http2};

#[test]
fn sends_a_lost_upload_again_in_full() {
    for fault in [
        Answer::ResetBeforeBody,
        Answer::ResetAmidBody,
        Answer::ResetAfterBody,
        Answer::ResetAmidHead,
    ] {
        let upload = upload();
        let (bad, good, veil) = stage(fault.clone(), "idempotent: true");
        // As many as there are backends, so that the bad one gets at least one of them.
        for _ in 0..2 {
            let answer = client().post(veil.url("/v1/blur")).body(upload.clone()).send().unwrap();
            assert_eq!(answer.status(), 200, "{fault:?}");
            assert_eq!(answer.text().unwrap(), "good");
        }
        assert_eq!(good.received().len(), 2, "{fault:?}");
        assert!(
            good.received()
                .iter()
                .all(|received| received.body_digest == digest(&upload)),
            "{fault:?}"
        );
        drop(bad);
    }
}

#[test]
fn sends_no_upload_twice_unless_the_route_says_that_it_may() {
    let (bad, good, veil) = stage(Answer::ResetAfterBody, "idempotent: false");
    let statuses: Vec<u16> = (0..2)
        .map(|_| {
            client()
                .post(veil.url("/"))
                .body(upload())
                .send()
                .unwrap()
                .status()
                .as_u16()
        })
        .collect();
    assert!(statuses.contains(&502), "{statuses:?}");
    assert_eq!(bad.received().len() + good.received().len(), 2);
}

#[test]
fn sends_no_upload_twice_over_a_kept_connection_when_retries_are_off() {
    let asked = AtomicUsize::new(0);
    let backend = Backend::start(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => Answer::Digest,
        _ => Answer::ResetAfterBody,
    });
    let address = format!("{{ address: {} }}", backend.address);
    let veil = Veil::start(&configuration(&address, "idempotent: true, retry: { attempts: 1 }"));
    let statuses = [(); 2].map(|()| {
        client()
            .post(veil.url("/"))
            .body(upload())
            .send()
            .unwrap()
            .status()
            .as_u16()
    });
    assert_eq!(statuses, [200, 502]);
    assert_eq!(backend.received().len(), 2);
}

#[test]
fn counts_a_retry_after_a_kept_connection_was_closed() {
    let asked = AtomicUsize::new(0);
    let backend = Backend::start(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
        1 => Answer::ResetAfterBody,
        _ => Answer::Digest,
    });
    let veil = Veil::start(&configuration(
        &format!("{{ address: {} }}", backend.address),
        "idempotent: true",
    ));
    for _ in 0..2 {
        assert_eq!(
            client().post(veil.url("/")).body(upload()).send().unwrap().status(),
            200
        );
    }
    let metrics = veil.admin_get("/metrics").text().unwrap();
    assert!(
        metrics.contains(r#"veil_retries_total{cause="stale",pool="blur"} 1"#),
        "{metrics}"
    );
}

#[test]
fn sends_an_upload_again_after_a_status_or_a_timeout_that_the_route_names() {
    for (fault, retry_on) in [(Answer::status(500), "500"), (Answer::Hang, "timeout")] {
        let upload = upload();
        let (_bad, good, veil) = stage(
            fault.clone(),
            &format!("idempotent: true, retry: {{ retry_on: [{retry_on}] }}"),
        );
        for _ in 0..2 {
            let answer = client().post(veil.url("/v1/blur")).body(upload.clone()).send().unwrap();
            assert_eq!(answer.text().unwrap(), "good", "{fault:?}");
        }
        let received = good.received();
        assert_eq!(received.len(), 2, "{fault:?}");
        assert!(received.iter().all(|received| received.body_digest == digest(&upload)));
    }
}

#[test]
fn passes_on_a_status_that_the_route_does_not_name() {
    let (bad, good, veil) = stage(Answer::status(501), "idempotent: true");
    let mut statuses = [(); 2].map(|()| {
        client()
            .post(veil.url("/"))
            .body("upload")
            .send()
            .unwrap()
            .status()
            .as_u16()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 501]);
    assert_eq!((bad.received().len(), good.received().len()), (1, 1));
}

#[test]
fn a_request_may_outlast_its_client() {
    let gate = Gate::default();
    let closed = gate.clone();
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let backend =
        Backend::start(move |_| Answer::Parts(vec![Part::Gate(closed.clone()), Part::Bytes(answer.to_vec())]));
    let yaml = configuration(
        &format!("{{ address: {} }}", backend.address),
        "answers: { outlast_client: true }",
    );
    let veil = Veil::start(&yaml.replace("read: 2s", "read: 60s"));
    let in_flight = || veil.backend(backend.address)["in_flight"].as_u64();
    let mut client = Raw::connect(veil.public);
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 6\r\n\r\nupload");
    until("the backend has it", SOON, || (in_flight() == Some(1)).then_some(()));
    drop(client);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(in_flight(), Some(1), "its client is gone, and it goes on");
    gate.open();
    until("it is answered", SOON, || (in_flight() == Some(0)).then_some(()));
}

#[test]
fn a_client_that_leaves_takes_its_request_along() {
    let (hung, good) = (Backend::start(|_| Answer::Hang), Backend::named("good"));
    let addresses = format!("{{ address: {} }}, {{ address: {} }}", hung.address, good.address);
    let veil = Veil::start(&configuration(&addresses, "idempotent: true").replace("read: 2s", "read: 60s"));
    let in_flight = || veil.backend(hung.address)["in_flight"].as_u64();
    // As many as there are backends, so that the hung one gets one of them.
    let mut clients = [(); 2].map(|()| Raw::connect(veil.public));
    for client in &mut clients {
        client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 6\r\n\r\nupload");
    }
    until("the hung backend has it", SOON, || {
        (in_flight() == Some(1)).then_some(())
    });
    drop(clients);
    until("it is gone", SOON, || (in_flight() == Some(0)).then_some(()));
}

#[test]
fn replays_an_upload_that_came_over_http2() {
    let upload = upload();
    let (_bad, good, veil) = stage(Answer::ResetAfterBody, "idempotent: true");
    for _ in 0..2 {
        let answer = http2::post(veil.public, "/v1/blur", upload.clone().into());
        assert_eq!(answer, (200, b"good".to_vec()));
    }
    assert!(
        good.received()
            .iter()
            .all(|received| received.body_digest == digest(&upload))
    );
}

#[test]
fn answers_422_to_a_body_on_which_every_worker_dies() {
    let backends: Vec<Backend> = (0..4).map(|_| Backend::start(|_| Answer::ResetAfterBody)).collect();
    let veil = Veil::start(&configuration(&addresses(&backends), "idempotent: true"));
    assert_eq!(send_poison(&veil), 422);
    assert_eq!(sent_to(&backends), 3, "twice, and once more alone");
    let metrics = veil.admin_get("/metrics").text().unwrap();
    assert!(metrics.contains("veil_poison_bodies_total 1"), "{metrics}");
    assert_eq!(send_poison(&veil), 422);
    assert_eq!(sent_to(&backends), 3, "whoever sends it again kills nobody");
}

#[test]
fn a_body_on_which_both_workers_died_runs_once_more_on_one_that_came_back() {
    let backends: Vec<Backend> = (0..2).map(|_| Backend::start(|_| Answer::ResetAfterBody)).collect();
    let checked = configuration(&addresses(&backends), "idempotent: true").replace("backends:", CHECKED);
    let veil = Veil::start(&checked);
    assert_eq!(send_poison(&veil), 422);
    assert_eq!(sent_to(&backends), 3, "twice, and once more alone");
}

#[test]
fn a_body_that_was_innocent_of_two_deaths_is_answered() {
    let backends: Vec<Backend> = (0..2)
        .map(|_| {
            let died = AtomicBool::new(false);
            Backend::start(move |_| match died.swap(true, Ordering::Relaxed) {
                false => Answer::ResetAfterBody,
                true => Answer::ok("alive again"),
            })
        })
        .collect();
    let checked = configuration(&addresses(&backends), "idempotent: true").replace("backends:", CHECKED);
    assert_eq!(send_poison(&Veil::start(&checked)), 200);
    assert_eq!(sent_to(&backends), 3);
}

#[test]
fn nobody_is_asked_twice_who_was_not_seen_to_come_back() {
    let backends: Vec<Backend> = (0..2).map(|_| Backend::start(|_| Answer::ResetAfterBody)).collect();
    let veil = Veil::start(&configuration(&addresses(&backends), "idempotent: true"));
    assert_eq!(send_poison(&veil), 502);
    assert_eq!(sent_to(&backends), 2);
}

fn send_poison(veil: &Veil) -> u16 {
    let answer = client().post(veil.url("/v1/blur")).body("poison").send().unwrap();
    answer.status().as_u16()
}

fn sent_to(backends: &[Backend]) -> usize {
    backends.iter().map(|backend| backend.received().len()).sum()
}

fn addresses(backends: &[Backend]) -> String {
    backends
        .iter()
        .map(|backend| format!("{{ address: {} }}, ", backend.address))
        .collect()
}

/// The first key of a pool whose backends are checked.
const CHECKED: &str = "health: { interval: 100ms, expect: { json: { status: healthy } } }, backends:";

/// A backend with a fault, a good one, and `veil` before them.
fn stage(fault: Answer, route: &str) -> (Backend, Backend, Veil) {
    let bad = Backend::start(move |_| fault.clone());
    let good = Backend::named("good");
    let addresses = format!(
        "{{ address: {}, max_fails: 0 }}, {{ address: {} }}",
        bad.address, good.address
    );
    let veil = Veil::start(&configuration(&addresses, route));
    (bad, good, veil)
}

fn configuration(backends: &str, route: &str) -> String {
    format!(
        "version: 1\n\
         listeners: {{ public: {{ address: 127.0.0.1:0 }} }}\n\
         admin: {{ address: 127.0.0.1:0 }}\n\
         routes: [{{ match: {{ path_prefix: / }}, pool: blur, {route} }}]\n\
         pools: {{ blur: {{ select: {{ round_robin: {{}} }}, timeouts: {{ read: 2s }}, backends: [{backends}] }} }}\n"
    )
}

/// Larger than any buffer on the way.
fn upload() -> Vec<u8> {
    (0..3_000_000_u32)
        .map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}
