//! USR2: the program's file is started anew, gets the sockets, and serves before the old one ends.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use e2e::backend::Backend;
use e2e::client;
use e2e::process::{Signal, children_of, lives};
use e2e::until::{SOON, until};
use e2e::veil::{Veil, round_robin};

#[test]
fn clients_do_not_notice_an_upgrade() {
    let backend = Backend::named("backend");
    let mut veil = Veil::over(&round_robin(&[&backend]));
    let (public, ready) = (veil.url("/"), veil.admin_url("/readyz"));
    let (over, answers) = (AtomicBool::new(false), AtomicUsize::new(0));
    let upgraded = thread::scope(|scope| {
        for url in [&public, &public, &ready] {
            let (over, answers) = (&over, &answers);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    // On a connection of its own.
                    let answer = client().get(url).send().unwrap();
                    assert_eq!(answer.status(), 200, "{url}");
                    answers.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let more = |than: usize| (answers.load(Ordering::Relaxed) > than + 10).then_some(());
        until("requests are answered", SOON, || more(0));
        let upgraded = veil.upgrade();
        let before = answers.load(Ordering::Relaxed);
        until("the successor answers", SOON, || more(before));
        over.store(true, Ordering::Relaxed);
        upgraded
    });
    assert!(lives(upgraded.0));
    assert_eq!(veil.get("/").text().unwrap(), "backend");
}

#[test]
fn a_successor_obeys_what_its_predecessor_was_told() {
    let (first, second) = (Backend::named("first"), Backend::named("second"));
    let mut veil = Veil::over(&round_robin(&[&first, &second]));
    let drain = veil.admin_url(&format!("/pools/blur/{}/drain", first.address));
    assert!(client().post(drain).send().unwrap().status().is_success());
    let weigh = veil.admin_url(&format!("/pools/blur/{}/weight/7", second.address));
    assert!(client().put(weigh).send().unwrap().status().is_success());
    let _successor = veil.upgrade();
    assert_eq!(veil.backend(first.address)["standing"], "drained");
    assert_eq!(veil.backend(second.address)["weight"], 7);
}

#[test]
fn a_successor_brings_workers_of_its_own() {
    let mut veil = Veil::local();
    let before = veil.workers(2);
    let successor = veil.upgrade();
    assert!(before.iter().all(|worker| !lives(*worker)));
    assert_eq!(children_of(successor.0).len(), 2);
    assert_eq!(veil.get("/").status(), 200);
}

#[test]
fn goes_on_when_the_successor_cannot_serve() {
    let backend = Backend::named("backend");
    let veil = Veil::over(&round_robin(&[&backend]));
    std::fs::write(veil.file(), "version: 1\nlisteners: nowhere\n").unwrap();
    veil.process.signal(Signal::USR2);
    veil.process
        .stderr
        .wait_for("why not", |line| line.contains("upgrade failed").then_some(()));
    let log = veil.process.stderr.text();
    let events: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told = |event: &serde_json::Value| {
        event["error"]
            .as_str()
            .is_some_and(|error| error.contains("veil.yaml:2:12"))
    };
    assert!(events.iter().any(told), "the successor's reason in:\n{log}");
    assert_eq!(veil.get("/").text().unwrap(), "backend");
    assert_eq!(veil.admin_get("/readyz").status(), 200);
}
