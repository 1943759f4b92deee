//! `veil explain` and `veil diff` beside what a running Veil does, and a configuration of several files.

use std::fs;

use e2e::backend::Backend;
use e2e::client;
use e2e::process::{Process, Signal};
use e2e::until::{SOON, until};
use e2e::veil::{Veil, configuration};
use serde_json::Value;

#[test]
fn explains_where_requests_go() {
    let backends = ["a", "b", "c"].map(Backend::named);
    let veil = Veil::over(&pool(&backends));
    let served = || veil.get("/").text().unwrap();
    let home = served();
    assert_eq!(first(&explained(&veil, &[])), home);

    let admin = veil.admin.to_string();
    let drained = client()
        .post(veil.admin_url(&format!("/pools/blur/{home}/drain")))
        .send()
        .unwrap();
    assert!(drained.status().is_success());
    let explanation = explained(&veil, &["--admin", &admin]);
    assert_eq!(first(&explanation), served());
    assert_ne!(first(&explanation), home);
    let backends = explanation["pool"]["backends"].as_array().unwrap();
    assert_eq!(
        (&backends[2]["backend"], &backends[2]["standing"]),
        (&home.clone().into(), &"drained".into())
    );

    let second = first(&explanation);
    assert_eq!(first(&explained(&veil, &["--down", &home])), second);
    let process = run(
        &["explain", "-c", veil.file().to_str().unwrap(), "--client", "127.0.0.1"],
        0,
    );
    assert!(
        process.stdout.all().contains("the key's own"),
        "{}",
        process.stdout.text()
    );
}

#[test]
fn tells_whom_another_configuration_moves_and_reloading_it_does() {
    let backends = ["a", "b", "c"].map(Backend::named);
    let (two, three) = (configuration(&pool(&backends[..2])), configuration(&pool(&backends)));
    let folder = tempfile::tempdir().unwrap();
    let [old, new, wrong] = ["old", "new", "wrong"].map(|name| folder.path().join(name).display().to_string());
    fs::write(&old, &two).unwrap();
    fs::write(&new, &three).unwrap();
    fs::write(&wrong, three.replace("pools", "polls")).unwrap();

    assert_eq!(run(&["diff", &old, &old], 0).stdout.all(), "no difference");
    run(&["diff", &old, &wrong], 2);
    let difference: Value = serde_json::from_str(&run(&["diff", "--json", &old, &new], 1).stdout.all()).unwrap();
    let moved = difference["changed_pools"]["blur"]["moved"].as_f64().unwrap();
    assert!(moved > 0.05 && moved < 0.75, "{difference}");
    assert_eq!(
        difference["changed_pools"]["blur"]["backends"]["came"],
        serde_json::json!(["c"])
    );
}

#[test]
fn a_configuration_may_be_of_several_files() {
    let [a, b] = ["a", "b"].map(Backend::named);
    let one = |name: &str, backend: &Backend| {
        format!(
            "routes: [{{ match: {{ path_prefix: /{name} }}, pool: {name} }}]\n\
             pools: {{ {name}: {{ backends: [{{ address: {} }}] }} }}\n",
            backend.address
        )
    };
    let veil = Veil::over(&format!("{{ backends: [{{ address: {} }}] }}", a.address));
    let folder = veil.file().with_file_name("more");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("1.yaml"), one("b", &b)).unwrap();
    let text = fs::read_to_string(veil.file()).unwrap() + "include: [more/*.yaml]\n";
    fs::write(veil.file(), text).unwrap();
    veil.process.signal(Signal::HUP);
    until("the included route holds", SOON, || {
        (veil.get("/b").text().ok()? == "b").then_some(())
    });
    assert_eq!(veil.get("/").text().unwrap(), "a");

    fs::write(folder.join("2.yaml"), one("b", &a)).unwrap();
    let refused = client().post(veil.admin_url("/reload")).send().unwrap();
    assert_eq!(refused.status(), 422);
    let why = refused.text().unwrap();
    assert!(why.contains("more/2.yaml:2:10: pools.b is given twice"), "{why}");
    assert!(why.contains("more/1.yaml:2:10"), "{why}");
    let checked = run(&["check", veil.file().to_str().unwrap()], 2);
    assert!(
        checked
            .stderr
            .all()
            .contains("more/2.yaml:2:10: pools.b is given twice")
    );
}

/// A pool that hashes by client, its backends known by what they answer.
fn pool(backends: &[Backend]) -> String {
    let member = |(backend, name): (&Backend, &str)| format!("{{ address: {}, name: {name} }}", backend.address);
    let members: Vec<String> = backends.iter().zip(["a", "b", "c"]).map(member).collect();
    format!("{{ backends: [{}] }}", members.join(", "))
}

/// Runs `veil`, which has to end with this code.
fn run(arguments: &[&str], code: i32) -> Process {
    let mut process = Process::start("veil", arguments);
    assert_eq!(process.exit(SOON).code(), Some(code), "{}", process.stderr.text());
    process
}

fn explained(veil: &Veil, more: &[&str]) -> Value {
    let file = veil.file();
    let arguments = [
        "explain",
        "--json",
        "-c",
        file.to_str().unwrap(),
        "--client",
        "127.0.0.1",
    ];
    serde_json::from_str(&run(&[&arguments, more].concat(), 0).stdout.all()).unwrap()
}

/// The backend that would be asked first.
fn first(explanation: &Value) -> String {
    explanation["pool"]["backends"][0]["backend"]
        .as_str()
        .unwrap()
        .to_owned()
}
