//! Memory over long runs and under floods. `tests/run --full` plays these; `cargo test` alone leaves them out.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use e2e::backend::{Answer, Backend, digest, digest_line};
use e2e::process::{peak_resident_bytes, resident_bytes};
use e2e::until::until;
use e2e::veil::{Veil, round_robin};
use e2e::{client, report};

#[test]
#[ignore = "minutes long: 200 000 requests"]
fn holds_its_memory_over_200_000_mixed_requests() {
    let backends = [(); 3].map(|()| Backend::start(|_| Answer::Digest));
    let veil = Veil::over(&round_robin(&backends.each_ref()));
    let tenths = [(); 10].map(|()| {
        play(&veil, 20_000);
        resident_bytes(veil.process.id())
    });
    report(&format!(
        "memory after each tenth of 200 000 requests, in MiB: {:?}",
        tenths.map(mebibytes)
    ));
    let [first, .., last] = tenths;
    assert!(last < first + first / 10, "memory grew from {first} to {last} bytes");
}

#[test]
#[ignore = "heavy: sends 4 GB"]
fn queues_or_refuses_a_flood_of_large_uploads_within_its_budget() {
    let slow_digest = Answer::After(Duration::from_millis(50), Box::new(Answer::Digest));
    let backends = [(); 3].map(|()| {
        let answer = slow_digest.clone();
        Backend::start(move |_| answer.clone())
    });
    let veil = Veil::over(&round_robin(&backends.each_ref()));
    let upload: &'static [u8] = Vec::leak(vec![7; 20_000_000]);
    let (served, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let mut most_bodies = 0;
    thread::scope(|scope| {
        let mut clients = Vec::new();
        for _ in 0..200 {
            let client = scope.spawn(|| {
                // One that is refused before its body has been read may see its connection close.
                let request = client().post(veil.url("/v1/blur")).timeout(PATIENCE);
                let answer = request.body(upload).send();
                match answer.map_or(503, |answer| answer.status().as_u16()) {
                    200 => served.fetch_add(1, Ordering::Relaxed),
                    503 => refused.fetch_add(1, Ordering::Relaxed),
                    other => panic!("answered with {other}"),
                };
            });
            clients.push(client);
        }
        until("all are answered", PATIENCE, || {
            most_bodies = most_bodies.max(body_bytes(&veil));
            clients.iter().all(|client| client.is_finished()).then_some(())
        });
    });
    let peak = peak_resident_bytes(veil.process.id());
    let (served, refused) = (served.into_inner(), refused.into_inner());
    report(&format!(
        "200 uploads of 20 MB at a time under 256 MiB: {served} served, {refused} refused; \
         at most {} MiB of bodies, and {} MiB resident",
        mebibytes(most_bodies),
        mebibytes(peak)
    ));
    assert!(served > 0, "nobody was served");
    assert!(
        most_bodies > 0 && most_bodies <= 256 << 20,
        "bodies took {most_bodies} bytes"
    );
    assert!(peak < 400 << 20, "it took {peak} bytes under a budget of 256 MiB");
    assert_eq!(veil.get("/").status(), 200, "it lives");
}

/// Sends so many requests by a few clients: pages, small uploads, larger ones, and now and then one of a megabyte.
fn play(veil: &Veil, requests: usize) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let client = client();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= requests {
                        return;
                    }
                    let size = match number % 100 {
                        99 => 1_000_000,
                        _ => [0, 2_000, 80_000][number % 3],
                    };
                    let upload = vec![number as u8; size];
                    let said = digest_line(digest(&upload));
                    let answer = client.post(veil.url("/v1/blur")).body(upload).send();
                    let answer = answer.unwrap().text().unwrap();
                    assert!(answer.starts_with(&said), "request {number}");
                }
            });
        }
    });
}

/// The memory that bodies hold now, most of it in memory-backed files, which are not resident.
fn body_bytes(veil: &Veil) -> u64 {
    let metrics = veil.admin_get("/metrics").text().unwrap();
    let sample = metrics.lines().find_map(|line| line.strip_prefix(BODIES_IN_USE));
    sample.expect("the metric is there").trim().parse().unwrap()
}

const BODIES_IN_USE: &str = r#"veil_body_memory_bytes{of="in_use"}"#;

fn mebibytes(bytes: u64) -> u64 {
    bytes >> 20
}

const PATIENCE: Duration = Duration::from_secs(120);
