//! Memory over long runs and under floods. `tests/run --full` plays these; `cargo test` alone leaves them out.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use e2e::backend::{Answer, Backend, digest_line};
use e2e::client;
use e2e::process::resident_bytes;
use e2e::veil::{Veil, round_robin};

#[test]
#[ignore = "minutes long: 200 000 requests"]
fn holds_its_memory_over_200_000_mixed_requests() {
    let backends = [(); 3].map(|()| Backend::start(|_| Answer::Digest));
    let veil = Veil::over(&round_robin(&backends.each_ref()));
    let tenth = || {
        play(&veil, 20_000);
        resident_bytes(veil.process.id())
    };
    let first = tenth();
    (0..8).for_each(|_| {
        tenth();
    });
    let last = tenth();
    assert!(last < first + first / 10, "memory grew from {first} to {last} bytes");
}

#[test]
#[ignore = "heavy: sends 4 GB"]
fn queues_or_refuses_a_flood_of_large_uploads_within_its_budget() {
    let backends =
        [(); 3].map(|()| Backend::start(|_| Answer::After(Duration::from_millis(50), Box::new(Answer::Digest))));
    let veil = Veil::over(&round_robin(&backends.each_ref()));
    let before = resident_bytes(veil.process.id());
    let most = AtomicUsize::new(0);
    let answered = AtomicUsize::new(0);
    let upload: &'static [u8] = Vec::leak(vec![7; 20_000_000]);
    thread::scope(|scope| {
        for _ in 0..200 {
            scope.spawn(|| {
                let client = reqwest::blocking::Client::builder()
                    .no_proxy()
                    .timeout(PATIENCE)
                    .build()
                    .unwrap();
                // One that is refused before its body has been read may see its connection close.
                let answer = client.post(veil.url("/v1/blur")).body(upload).send();
                let status = answer.map_or(503, |answer| answer.status().as_u16());
                assert!(matches!(status, 200 | 503), "answered with {status}");
                answered.fetch_add(usize::from(status == 200), Ordering::Relaxed);
                let resident = usize::try_from(resident_bytes(veil.process.id())).unwrap();
                most.fetch_max(resident, Ordering::Relaxed);
            });
        }
    });
    let grown = most.into_inner().saturating_sub(usize::try_from(before).unwrap());
    assert!(answered.into_inner() > 0, "nobody was served");
    assert!(grown < 400 << 20, "it took {grown} bytes under a budget of 256 MiB");
    assert_eq!(veil.get("/").status(), 200);
}

/// Sends so many requests by a few clients: pages, small uploads, larger ones.
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
                    let upload = vec![number as u8; [0, 2_000, 80_000][number % 3]];
                    let said = digest_line(e2e::backend::digest(&upload));
                    let answer = client
                        .post(veil.url("/v1/blur"))
                        .body(upload)
                        .send()
                        .unwrap()
                        .text()
                        .unwrap();
                    assert!(answer.starts_with(&said), "request {number}");
                }
            });
        }
    });
}

const PATIENCE: Duration = Duration::from_secs(120);
