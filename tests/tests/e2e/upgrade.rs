//! USR2: the program's file is started anew, gets the sockets, and serves before the old one ends.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use e2e::backend::{Answer, Backend};
use e2e::client;
use e2e::process::{Signal, Stranger, children_of, lives, signal_to};
use e2e::raw::Raw;
use e2e::until::{SOON, until};
use e2e::veil::{Veil, configuration, round_robin};

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
                    let answer = client().get(url).send();
                    let answer = answer.unwrap_or_else(|error| panic!("{url}: {error}"));
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

/// A veil whose successor does not get ready: its configuration names a backend whose first check takes for ever.
struct Stuck {
    veil: Veil,
    successor: u32,
    _backends: [Backend; 2],
}

impl Stuck {
    fn amid_an_upgrade() -> Self {
        let backends = [Backend::named("backend"), Backend::start(|_| Answer::Hang)];
        let veil = Veil::over(&round_robin(&[&backends[0]]));
        let checked = format!(
            "{{ backends: [{{ address: {} }}], health: {{ path: /, timeout: 1h }} }}",
            backends[1].address
        );
        std::fs::write(veil.file(), configuration(&checked)).unwrap();
        veil.process.signal(Signal::USR2);
        let successor = until("its successor runs", SOON, || veil.process.children().first().copied());
        until("its successor waits for the check", SOON, || {
            (!backends[1].received().is_empty()).then_some(())
        });
        Self {
            veil,
            successor,
            _backends: backends,
        }
    }

    fn until_the_successor_is_gone(&self) {
        until("the successor is gone", SOON, || (!lives(self.successor)).then_some(()));
    }
}

#[test]
fn a_successor_that_does_not_get_ready_ends_with_its_predecessor() {
    for signal in [Signal::TERM, Signal::KILL] {
        let mut stuck = Stuck::amid_an_upgrade();
        stuck.veil.process.signal(signal);
        stuck.veil.process.exit(SOON);
        stuck.until_the_successor_is_gone();
        until("nobody listens", SOON, || {
            std::net::TcpStream::connect(stuck.veil.public).is_err().then_some(())
        });
    }
}

#[test]
fn what_is_asked_amid_an_upgrade_is_answered_and_a_reload_follows_it() {
    let stuck = Stuck::amid_an_upgrade();
    let veil = &stuck.veil;
    let refused = client().post(veil.admin_url("/reload")).send().unwrap();
    assert_eq!(refused.status(), 409);
    veil.process.signal(Signal::USR2);
    veil.process.stderr.wait_for("that one is enough", |line| {
        line.contains("an upgrade is under way already").then_some(())
    });
    assert_eq!(veil.get("/").text().unwrap(), "backend");
    std::fs::write(veil.file(), "version: 1\nlisteners: nowhere\n").unwrap();
    veil.process.signal(Signal::HUP);
    veil.process.stderr.wait_for("that it is kept", |line| {
        line.contains("it follows if the upgrade fails").then_some(())
    });
    signal_to(stuck.successor, Signal::KILL);
    veil.process
        .stderr
        .wait_for("why not", |line| line.contains("upgrade failed").then_some(()));
    veil.process
        .stderr
        .wait_for("the reload", |line| line.contains("reload refused").then_some(()));
    let metrics = veil.admin_get("/metrics").text().unwrap();
    assert!(
        metrics.contains("veil_upgrades_total{result=\"failed\"} 1"),
        "{metrics}"
    );
    assert_eq!(veil.get("/").text().unwrap(), "backend");
}

/// The old process answers, says that it is for the last time, and closes only then.
#[test]
fn a_kept_connection_gets_an_answer_before_it_is_closed() {
    let backend = Backend::named("backend");
    let veil = Veil::over(&round_robin(&[&backend]));
    let mut kept: Vec<Raw> = (0..20).map(|_| Raw::connect(veil.public)).collect();
    let ask = |client: &mut Raw| client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").response();
    for client in &mut kept {
        assert_eq!(ask(client).status(), 200);
    }
    veil.process.signal(Signal::USR2);
    let successor = veil.process.stderr.wait_for("the successor's id", |line| {
        let said: serde_json::Value = serde_json::from_str(line).ok()?;
        let ends = said["message"].as_str()?.ends_with("this one ends");
        ends.then(|| said["pid"].as_u64())
            .flatten()?
            .try_into()
            .ok()
            .map(Stranger)
    });
    for client in &mut kept {
        until("the answer says that it is the last", SOON, || {
            let answer = ask(client);
            assert_eq!(answer.status(), 200);
            (answer.header("connection") == Some("close")).then_some(())
        });
    }
    drop(successor);
}
