//! Change without loss: reloads, drain marks, weights.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, mpsc};
use std::{fs, thread};

use e2e::backend::{Answer, Backend};
use e2e::process::Signal;
use e2e::raw::Raw;
use e2e::until::{SOON, until};
use e2e::veil::{Veil, configuration, round_robin};
use e2e::{Response, client};

#[test]
fn serves_by_the_new_file_after_sighup() {
    let (first, second) = (Backend::named("first"), Backend::named("second"));
    let veil = Veil::over(&round_robin(&[&first]));
    assert_eq!(veil.get("/").text().unwrap(), "first");
    rewrite(&veil, &configuration(&round_robin(&[&second])));
    veil.process.signal(Signal::HUP);
    until("the new file holds", SOON, || {
        (veil.get("/").text().unwrap() == "second").then_some(())
    });
}

#[test]
fn keeps_the_old_state_and_says_why_when_the_new_file_is_wrong() {
    let backend = Backend::named("backend");
    let veil = Veil::over(&round_robin(&[&backend]));
    rewrite(&veil, &configuration("{ backends: [{ address: nowhere }] }"));
    let answer = command(&veil, "/reload");
    assert_eq!(answer.status(), 422);
    assert!(answer.text().unwrap().contains("nowhere"));
    veil.process.stderr.wait_for("why not", |line| {
        let event: serde_json::Value = serde_json::from_str(line).expect("every line is JSON");
        let why = event["error"].as_str()?;
        (event["message"].as_str()?.starts_with("reload refused") && why.contains("veil.yaml:5:")).then_some(())
    });
    assert_eq!(veil.get("/").text().unwrap(), "backend");
    assert_eq!(veil.admin_get("/readyz").status(), 200);
}

#[test]
fn keeps_what_it_knows_of_a_backend_over_a_reload() {
    let (first, second) = (Backend::named("first"), Backend::named("second"));
    let veil = Veil::over(&round_robin(&[&first, &second]));
    for _ in 0..4 {
        veil.get("/");
    }
    assert!(
        command(&veil, &format!("/pools/blur/{}/drain", first.address))
            .status()
            .is_success()
    );
    assert!(command(&veil, "/reload").status().is_success());
    assert_eq!(veil.backend(first.address)["standing"], "drained");
    assert_eq!(veil.backend(first.address)["requests"], 2);
    for _ in 0..4 {
        assert_eq!(veil.get("/").text().unwrap(), "second");
    }
    assert!(
        command(&veil, &format!("/pools/blur/{}/undrain", first.address))
            .status()
            .is_success()
    );
    until("the first serves again", SOON, || {
        (veil.get("/").text().unwrap() == "first").then_some(())
    });
}

#[test]
fn opens_and_closes_listeners_and_moves_the_admin() {
    let backend = Backend::named("backend");
    let mut veil = Veil::over(&round_robin(&[&backend]));
    let (first, former_admin) = (veil.public, veil.admin);
    let free = free_address();
    let other = configuration(&round_robin(&[&backend]))
        .replace("public:", "other:")
        .replace(
            "admin: { address: 127.0.0.1:0 }",
            &format!("admin: {{ address: {free} }}"),
        );
    rewrite(&veil, &other);
    assert!(
        command(&veil, "/reload").status().is_success(),
        "told by the admin that goes"
    );
    veil.public = veil.process.stdout.wait_for("the other listener", |line| {
        line.strip_suffix(" (other)")?.rsplit_once('/')?.1.parse().ok()
    });
    veil.admin = free;
    assert_eq!(veil.get("/").text().unwrap(), "backend");
    assert_eq!(veil.admin_get("/readyz").status(), 200);
    for gone in [first, former_admin] {
        until("it is closed", SOON, || TcpStream::connect(gone).is_err().then_some(()));
    }
}

#[test]
fn changes_nothing_when_one_listener_cannot_be_opened() {
    let (first, second) = (Backend::named("first"), Backend::named("second"));
    let veil = Veil::over(&round_robin(&[&first]));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let listeners = format!("another: {{ address: 127.0.0.1:0 }}, taken: {{ address: {address} }},");
    rewrite(
        &veil,
        &configuration(&round_robin(&[&second])).replace("{ public:", &format!("{{ {listeners} public:")),
    );
    let answer = command(&veil, "/reload");
    assert_eq!(answer.status(), 422);
    assert!(answer.text().unwrap().contains(&address));
    assert_eq!(veil.get("/").text().unwrap(), "first");
    assert!(!veil.process.stdout.text().contains("(another)"));
}

#[test]
fn keeps_requests_in_flight_and_their_count_over_a_reload() {
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let backend = Backend::start(move |_| {
        let _ = held.lock().unwrap().recv();
        Answer::ok("in time")
    });
    let veil = Veil::over(&round_robin(&[&backend]));
    thread::scope(|scope| {
        let begun = scope.spawn(|| veil.get("/").text().unwrap());
        until("the request is in flight", SOON, || {
            (veil.backend(backend.address)["in_flight"] == 1).then_some(())
        });
        rewrite(
            &veil,
            &configuration(&round_robin(&[&backend])).replace("round_robin", "least_conn"),
        );
        assert!(command(&veil, "/reload").status().is_success());
        assert_eq!(veil.backend(backend.address)["in_flight"], 1);
        release.send(()).unwrap();
        assert_eq!(begun.join().unwrap(), "in time");
        until("none is in flight", SOON, || {
            (veil.backend(backend.address)["in_flight"] == 0).then_some(())
        });
    });
}

#[test]
fn takes_no_command_from_a_web_page() {
    let backend = Backend::named("backend");
    let veil = Veil::over(&round_robin(&[&backend]));
    let path = veil.admin_url(&format!("/pools/blur/{}/drain", backend.address));
    let answer = client()
        .post(path)
        .header("origin", "http://elsewhere.example")
        .send()
        .unwrap();
    assert_eq!(answer.status(), 403);
    assert_eq!(veil.backend(backend.address)["standing"], "eligible");
}

/// A proxy that is not ready for a moment gives its virtual address away.
#[test]
fn stays_ready_while_reloads_change_all_backends() {
    let backends = [Backend::named("first"), Backend::named("second")];
    let checked = |backend: &Backend| format!("{{ backends: [{{ address: {} }}], health: {{}} }}", backend.address);
    let veil = Veil::over(&checked(&backends[0]));
    let (ready, over) = (veil.admin_url("/readyz"), AtomicBool::new(false));
    thread::scope(|scope| {
        let asked = scope.spawn(|| {
            let mut answers = Vec::new();
            while !over.load(Ordering::Relaxed) {
                answers.push(client().get(&ready).send().unwrap().status());
            }
            answers
        });
        for round in 1..=20 {
            rewrite(&veil, &configuration(&checked(&backends[round % 2])));
            assert!(command(&veil, "/reload").status().is_success());
        }
        over.store(true, Ordering::Relaxed);
        let answers = asked.join().unwrap();
        assert!(
            !answers.is_empty() && answers.iter().all(|status| *status == 200),
            "{answers:?}"
        );
    });
}

/// One that nobody else takes meanwhile, as the kernel hands ports out in turn.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// What a listener trusts and asks for holds for connections that are open too.
#[test]
fn who_came_by_other_settings_comes_again() {
    let backend = Backend::named("it");
    let with = |settings: &str| {
        format!(
            "version: 1\nlisteners: {{ public: {{ address: 127.0.0.1:0{settings} }} }}\n\
             admin: {{ address: 127.0.0.1:0 }}\npools: {{ app: {{ backends: [{{ address: {} }}] }} }}\n\
             routes: [{{ match: {{ path_prefix: / }}, pool: app, filters: [{{ access: {{ allow: [203.0.113.9/32] }} }}] }}]\n",
            backend.address
        )
    };
    let trusting = with(", trusted_proxies: [127.0.0.0/8]");
    let veil = Veil::start(&trusting);
    let request = "GET / HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n";
    let mut client = Raw::connect(veil.public);
    assert_eq!(client.send(request).response().status(), 200);
    // Nothing has changed.
    assert!(command(&veil, "/reload").status().is_success());
    assert_eq!(client.send(request).response().status(), 200);

    rewrite(&veil, &with(""));
    assert!(command(&veil, "/reload").status().is_success());
    assert_eq!(client.rest(), b"", "it is closed between two requests");
    assert_eq!(Raw::connect(veil.public).send(request).response().status(), 403);
}

fn rewrite(veil: &Veil, yaml: &str) {
    fs::write(veil.file(), yaml).unwrap();
}

fn command(veil: &Veil, path: &str) -> Response {
    client().post(veil.admin_url(path)).send().unwrap()
}
