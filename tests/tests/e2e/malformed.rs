//! A thousand inputs that are no good picture: no crash, no server error but "busy", no growth.

use std::sync::Mutex;
use std::thread;

use e2e::client;
use e2e::mutation::malformed;
use e2e::process::resident_bytes;
use e2e::veil::Veil;

#[test]
fn survives_a_thousand_malformed_inputs() {
    let veil = Veil::local();
    let workers = veil.workers(2);
    let resident = || workers.iter().copied().map(resident_bytes).sum::<u64>();
    // Once for what each kind of input takes for good, once for what each input would.
    send(&veil, 0..1000);
    let before = resident();
    send(&veil, 0..1000);
    let after = resident();
    assert_eq!(veil.workers(2), workers, "no worker died");
    assert!(
        after < before + before / 4,
        "memory grew from {before} to {after} bytes"
    );
}

/// Sends these numbers of the series, by as many threads as there are workers.
fn send(veil: &Veil, numbers: std::ops::Range<u64>) {
    let numbers = Mutex::new(numbers);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let client = client();
                while let Some(number) = numbers.lock().unwrap().next() {
                    let answer = client
                        .post(veil.url("/v1/blur"))
                        .body(malformed(number))
                        .send()
                        .unwrap();
                    let status = answer.status().as_u16();
                    assert!(
                        status < 500 || status == 503,
                        "input {number} is answered with {status}"
                    );
                }
            });
        }
    });
}
