//! Primaries, backups and health, with backends that fail as they are told.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use e2e::backend::{Answer, Backend, digest};
use e2e::client;
use e2e::until::{SOON, until};
use e2e::veil::Veil;

#[test]
fn gives_the_backup_a_request_only_when_no_primary_is_left() {
    let first = Backend::named("first");
    let second = Backend::named("second");
    let backup = Backend::named("backup");
    let veil = Veil::over(&format!(
        "{{ backends: [{{ address: {} }}, {{ address: {} }}, {{ address: {}, backup: true }}], {HEALTH} }}",
        first.address, second.address, backup.address
    ));
    assert_ne!(answer(&veil), "backup");
    let (first_address, second_address) = (first.address, second.address);
    drop(first);
    drop(second);
    until("the backup answers", SOON, || (answer(&veil) == "backup").then_some(()));
    let _first = Backend::at(first_address, |_| Answer::ok("first"));
    let _second = Backend::at(second_address, |_| Answer::ok("second"));
    until("a primary answers again", SOON, || {
        (answer(&veil) != "backup").then_some(())
    });
}

#[test]
fn tries_another_backend_when_one_refuses_the_connection() {
    let gone = Backend::named("gone");
    let living = Backend::named("living");
    let (gone_address, living_address) = (gone.address, living.address);
    drop(gone);
    // Without active checks, so that the dead one is offered; a POST too, as nothing of it was sent.
    let veil = Veil::over(&format!(
        "{{ select: {{ round_robin: {{}} }}, backends: [{{ address: {gone_address} }}, {{ address: {living_address} }}] }}"
    ));
    for number in 0..20 {
        let answer = client()
            .post(veil.url("/"))
            .body(format!("upload {number}"))
            .send()
            .unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.text().unwrap(), "living");
    }
    assert_eq!(living.received().len(), 20);
}

#[test]
fn takes_back_one_that_restarted_sooner_than_the_checks_noticed() {
    let restarted = Backend::named("restarted");
    let other = Backend::named("other");
    let address = restarted.address;
    let veil = Veil::over(&format!(
        "{{ select: {{ round_robin: {{}} }}, health: {{ path: /health, interval: 200ms, fall: 1000 }}, \
         backends: [{{ address: {address}, fail_timeout: 1h }}, {{ address: {} }}] }}",
        other.address
    ));
    until("both serve", SOON, || (veil.eligible() == 2).then_some(()));
    drop(restarted);
    until("nobody connects to it", SOON, || {
        (answer(&veil) == "other" && veil.backend(address)["standing"] == "ejected").then_some(())
    });
    assert_eq!(veil.backend(address)["health"], "up");
    let _restarted = Backend::at(address, |_| Answer::ok("restarted"));
    until("it serves", SOON, || (answer(&veil) == "restarted").then_some(()));
}

#[test]
fn takes_out_a_backend_whose_health_says_no_in_json() {
    let sick = Backend::named("sick");
    let well = Backend::named("well");
    let veil = Veil::over(&format!(
        "{{ select: {{ round_robin: {{}} }}, backends: [{{ address: {} }}, {{ address: {} }}], {HEALTH} }}",
        sick.address, well.address
    ));
    until("the sick one serves at first", SOON, || {
        (answer(&veil) == "sick").then_some(())
    });
    sick.answer_health(Answer::health(200, "confused"));
    until("only the well one is eligible", SOON, || {
        (veil.backend(sick.address)["standing"] != "eligible").then_some(())
    });
    for _ in 0..10 {
        assert_eq!(answer(&veil), "well");
    }
    sick.answer_health(Answer::healthy());
    until("the healed one is back", SOON, || {
        (answer(&veil) == "sick").then_some(())
    });
}

#[test]
fn takes_out_a_backend_whose_queue_is_long() {
    let (long, short) = (Backend::named("long"), Backend::named("short"));
    let veil = Veil::over(&format!(
        "{{ select: {{ round_robin: {{}} }}, backends: [{{ address: {} }}, {{ address: {} }}], \
         health: {{ interval: 100ms, expect: {{ json: {{ queue_depth: \"< 8\" }} }} }} }}",
        long.address, short.address
    ));
    for (depth, standing) in [(8, "down"), (7, "eligible")] {
        long.answer_health(Answer::ok(&format!("{{\"queue_depth\": {depth}}}")));
        until(standing, SOON, || {
            (veil.backend(long.address)["standing"] == standing).then_some(())
        });
    }
}

#[test]
fn a_worker_that_drains_is_not_failed() {
    let (worker, other) = (Backend::named("worker"), Backend::named("other"));
    let veil = Veil::over(&format!(
        "{{ select: {{ round_robin: {{}} }}, backends: [{{ address: {} }}, {{ address: {} }}], {HEALTH} }}",
        worker.address, other.address
    ));
    let stands = |standing: &str| {
        until(standing, SOON, || {
            (veil.backend(worker.address)["standing"] == standing).then_some(())
        });
    };
    worker.answer_health(Answer::health(503, "draining"));
    stands("draining");
    assert_eq!(veil.backend(worker.address)["health"], "up");
    for _ in 0..4 {
        assert_eq!(answer(&veil), "other");
    }
    worker.answer_health(Answer::healthy());
    stands("eligible");
    assert_eq!(veil.backend(worker.address)["failures"], 0);
}

#[test]
fn sends_elsewhere_what_a_busy_worker_has_no_room_for() {
    let (busy, free) = (Backend::start(|_| Answer::Busy), Backend::named("free"));
    let veil = Veil::over(&format!(
        "{{ select: {{ round_robin: {{}} }}, backends: [{{ address: {} }}, {{ address: {} }}] }}",
        busy.address, free.address
    ));
    for _ in 0..4 {
        // A POST that may not be sent twice, too: the busy one did nothing with it.
        let answer = client().post(veil.url("/")).body("upload").send().unwrap();
        assert_eq!(answer.text().unwrap(), "free");
    }
    let status = veil.backend(busy.address);
    assert_eq!(
        (&status["failures"], &status["standing"]),
        (&0.into(), &"eligible".into())
    );
    assert_eq!(busy.received().len(), 2);
}

#[test]
fn sends_nothing_to_a_backend_that_was_ill_from_the_start() {
    let ill = Backend::named("ill");
    ill.answer_health(Answer::health(503, "loading"));
    let well = Backend::named("well");
    let veil = Veil::over(&format!(
        "{{ select: {{ round_robin: {{}} }}, backends: [{{ address: {} }}, {{ address: {} }}], {HEALTH} }}",
        ill.address, well.address
    ));
    for _ in 0..10 {
        assert_eq!(answer(&veil), "well");
    }
    assert!(ill.received().is_empty());
}

#[test]
fn tells_the_backend_who_asks_and_how() {
    let backend = Backend::named("backend");
    let veil = Veil::over(&format!("{{ backends: [{{ address: {} }}] }}", backend.address));
    let answer = client()
        .post(veil.url("/v1/blur?effect=solid"))
        .header("host", "pictures.example")
        .header("x-real-ip", "203.0.113.9")
        .body("picture")
        .send()
        .unwrap();
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    let received = backend.received().remove(0);
    assert_eq!(received.path(), "/v1/blur?effect=solid");
    assert_eq!(received.header("host"), Some("pictures.example"));
    assert_eq!(
        received.header("x-real-ip"),
        Some("127.0.0.1"),
        "a client cannot claim another address"
    );
    assert!(received.header("x-forwarded-for").unwrap().ends_with("127.0.0.1"));
    assert_eq!(received.header("x-forwarded-proto"), Some("http"));
    assert_eq!(received.header("x-request-id"), Some(id.as_str()));
    assert_eq!(received.body_digest, digest(b"picture"));
}

#[test]
fn answers_503_when_nobody_is_eligible() {
    let backend = Backend::named("backend");
    backend.answer_health(Answer::health(503, "loading"));
    let veil = Veil::over(&format!(
        "{{ backends: [{{ address: {} }}], {HEALTH} }}",
        backend.address
    ));
    let readiness = veil.admin_get("/readyz");
    assert_eq!(readiness.status(), 503);
    backend.answer_health(Answer::healthy());
    until("it is ready", SOON, || {
        (veil.admin_get("/readyz").status() == 200).then_some(())
    });
    assert_eq!(answer(&veil), "backend");
}

#[test]
fn gives_up_on_a_hung_answer_in_time() {
    let hung = Backend::start(|_| Answer::Hang);
    let veil = Veil::over(&format!(
        "{{ backends: [{{ address: {} }}], timeouts: {{ connect: 1s, send: 1s, read: 1s }} }}",
        hung.address
    ));
    let answer = client()
        .get(veil.url("/"))
        .timeout(Duration::from_secs(20))
        .send()
        .unwrap();
    assert!(matches!(answer.status().as_u16(), 502 | 504), "{}", answer.status());
    assert_eq!(answer.headers()["connection"], "close");
}

#[test]
fn tells_each_backend_how_long_its_answer_is_waited_for() {
    let slow = || Backend::start(|_| Answer::After(Duration::from_millis(300), Box::new(Answer::status(503))));
    let backends = [slow(), slow()];
    let veil = Veil::over(&format!(
        "{{ select: {{ round_robin: {{}} }}, backends: [{{ address: {} }}, {{ address: {} }}], timeouts: {{ total: 5s }} }}",
        backends[0].address, backends[1].address
    ));
    veil.get("/");
    let mut told: Vec<u64> = backends
        .iter()
        .map(|backend| {
            backend.received()[0]
                .header("veil-deadline-ms")
                .unwrap()
                .parse()
                .unwrap()
        })
        .collect();
    told.sort_unstable();
    assert!(
        told[1] <= 5000 && told[1] > 4000 && told[0] + 300 <= told[1],
        "{told:?}"
    );
}

#[test]
fn waits_no_longer_than_the_client_does() {
    let hung = Backend::start(|_| Answer::Hang);
    let veil = Veil::over(&format!("{{ backends: [{{ address: {} }}] }}", hung.address));
    for told in ["200", "100000000000", "never"] {
        let asks = client().get(veil.url("/")).header("veil-deadline-ms", told);
        let answer = asks.timeout(Duration::from_millis(1500)).send();
        match told {
            "200" => assert_eq!(answer.unwrap().status(), 504),
            _ => assert!(
                matches!(answer, Err(ureq::Error::Timeout(_))),
                "{told} is no deadline below ours"
            ),
        }
    }
    let received = hung.received();
    let told: u64 = received[0].header("veil-deadline-ms").unwrap().parse().unwrap();
    assert!(told <= 200, "{told}");
    assert_eq!(
        veil.backend(hung.address)["failures"],
        0,
        "a client in a hurry is no failure"
    );
}

#[test]
fn what_a_backend_has_in_flight_when_it_is_found_to_be_down_goes_elsewhere_at_once() {
    let hung = Backend::start(|_| Answer::Hang);
    let living = Backend::named("living");
    let veil = Veil::over(&format!(
        "{{ select: round_robin, backends: [{{ address: {} }}, {{ address: {} }}], {HEALTH} }}",
        hung.address, living.address
    ));
    // More than the connection's buffers take, so that some of it is still to be written.
    let upload = vec![b'x'; 20 << 20];
    let url = veil.url("/");
    let uploads: Vec<_> = (0..2)
        .map(|_| {
            let (url, upload) = (url.clone(), upload.clone());
            thread::spawn(move || client().put(&url).body(upload).send().unwrap().text().unwrap())
        })
        .collect();
    until("one is at the backend that hangs", SOON, || {
        (veil.backend(hung.address)["in_flight"] == 1).then_some(())
    });
    hung.answer_health(Answer::health(500, "unwell"));
    for answer in uploads {
        assert_eq!(answer.join().unwrap(), "living");
    }
    let status = veil.backend(hung.address);
    assert_eq!(status["trouble"]["cause"], "status", "{status}");
    assert_eq!(status["trouble"]["why"], "status 500, expected 200");
    let metrics = veil.admin_get("/metrics").text().unwrap();
    let out = format!(
        "veil_backend_out{{backend=\"{}\",cause=\"status\",pool=\"blur\"}} 1",
        hung.address
    );
    assert!(metrics.contains(&out), "{metrics}");
}

#[test]
fn a_connect_under_way_is_given_up_when_its_backend_is_found_to_be_down() {
    let (deaf, _full) = deaf();
    let checked = Backend::named("checked");
    let veil = Veil::over(&format!(
        "{{ timeouts: {{ connect: 1m }}, backends: [{{ address: {deaf} }}],
            health: {{ port: {}, interval: 200ms, timeout: 500ms, fall: 2 }} }}",
        checked.address.port()
    ));
    let url = veil.url("/");
    let asking = thread::spawn(move || client().get(&url).send().unwrap());
    until("the connect is under way", SOON, || {
        (veil.backend(deaf)["in_flight"] == 1).then_some(())
    });
    checked.answer_health(Answer::health(500, "unwell"));
    for answer in [asking.join().unwrap(), veil.get("/"), veil.get("/")] {
        assert_eq!(answer.status(), 503);
        assert!(answer.headers().contains_key("retry-after"), "{:?}", answer.headers());
    }
}

#[test]
fn a_backend_that_takes_no_connection_in_time_is_a_504() {
    let (deaf, _full) = deaf();
    let pool = format!("{{ timeouts: {{ connect: 300ms }}, backends: [{{ address: {deaf}, max_fails: 0 }}] }}");
    let answer = Veil::over(&pool).get("/");
    assert_eq!(answer.status(), 504);
    let problem: serde_json::Value = answer.json().unwrap();
    assert_eq!(problem["reason"], "connect");
}

#[test]
fn a_backend_may_be_asked_more_than_once_for_a_request() {
    let asked = AtomicUsize::new(0);
    let backend = Backend::start(move |_| match asked.fetch_add(1, Ordering::Relaxed) % 3 {
        2 => Answer::ok("at last"),
        _ => Answer::ResetAmidHead,
    });
    let pool = |tries: u32| {
        format!(
            "{{ backends: [{{ address: {}, max_fails: 0, tries: {tries} }}] }}",
            backend.address
        )
    };
    assert_eq!(Veil::over(&pool(3)).get("/").text().unwrap(), "at last");
    assert_eq!(backend.received().len(), 3);
    assert_eq!(Veil::over(&pool(2)).get("/").status(), 502);
    assert_eq!(backend.received().len(), 5);
}

/// Where a connect finds neither yes nor no: the queue of those that nobody accepts is full.
fn deaf() -> (SocketAddr, (TcpListener, Vec<TcpStream>)) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok();
    let waiting: Vec<_> = std::iter::from_fn(connect).take(10_000).collect();
    (address, (listener, waiting))
}

#[test]
fn a_500_is_tried_elsewhere_once_and_five_in_a_row_eject() {
    let broken = Backend::start(|_| Answer::status(500));
    let living = Backend::named("living");
    let veil = Veil::over(&format!(
        "{{ select: round_robin, backends: [{{ address: {} }}, {{ address: {} }}] }}",
        broken.address, living.address
    ));
    for _ in 0..30 {
        assert_eq!(answer(&veil), "living");
    }
    assert_eq!(broken.received().len(), 5);
    let metrics = veil.admin_get("/metrics").text().unwrap();
    let told = format!(
        "veil_upstream_answers_total{{backend=\"{}\",pool=\"blur\",status=\"500\"}} 5",
        broken.address
    );
    assert!(metrics.contains(&told), "{metrics}");
    assert!(
        metrics.contains("# TYPE veil_upstream_answer_seconds histogram"),
        "{metrics}"
    );
}

#[test]
fn a_pool_that_is_dead_is_refused_quickly_and_served_once_it_lives() {
    let dead: Vec<_> = (0..40).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let addresses: Vec<_> = dead.iter().map(|listener| listener.local_addr().unwrap()).collect();
    drop(dead);
    let list: Vec<_> = addresses
        .iter()
        .map(|address| format!("{{ address: {address}, max_fails: 0 }}"))
        .collect();
    let veil = Veil::over(&format!("{{ backends: [{}] }}", list.join(", ")));
    let statuses: Vec<_> = (0..200).map(|_| veil.get("/").status().as_u16()).collect();
    assert!(
        statuses.iter().all(|status| matches!(status, 502 | 503)),
        "{statuses:?}"
    );
    let attempts: u64 = addresses
        .iter()
        .map(|address| veil.backend(*address)["requests"].as_u64().unwrap())
        .sum();
    assert!(attempts < 200 * 32 / 4, "{attempts} connections for 200 requests");
    let _living: Vec<_> = addresses
        .iter()
        .map(|address| Backend::at(*address, |_| Answer::ok("living")))
        .collect();
    until("it is served again", SOON, || {
        (veil.get("/").status() == 200).then_some(())
    });
}

fn answer(veil: &Veil) -> String {
    veil.get("/").text().unwrap()
}

const HEALTH: &str = "health: { path: /health, interval: 200ms, timeout: 500ms, rise: 1, fall: 2, \
                      expect: { status: 200, json: { status: healthy, model_loaded: true } } }";
