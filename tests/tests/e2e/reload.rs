//! Change without loss: reloads, drain marks, weights.

use std::fs;

use e2e::backend::Backend;
use e2e::client;
use e2e::process::Signal;
use e2e::until::{SOON, until};
use e2e::veil::{Veil, configuration, round_robin};

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

fn rewrite(veil: &Veil, yaml: &str) {
    fs::write(veil.file(), yaml).unwrap();
}

fn command(veil: &Veil, path: &str) -> reqwest::blocking::Response {
    client().post(veil.admin_url(path)).send().unwrap()
}
