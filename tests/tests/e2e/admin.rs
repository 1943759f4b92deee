//! What the admin listener says, and that the public one does not say it.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use e2e::backend::Backend;
use e2e::process::{Process, Signal};
use e2e::raw::Raw;
use e2e::until::{SOON, until};
use e2e::veil::{Veil, configuration, round_robin, run};

#[test]
fn tells_operators_how_it_is() {
    let backend = Backend::named("backend");
    let veil = Veil::over(&format!("{{ backends: [{{ address: {} }}] }}", backend.address));
    assert_eq!(veil.get("/").status(), 200);
    assert_eq!(veil.admin_get("/livez").status(), 200);
    assert_eq!(veil.admin_get("/readyz").status(), 200);

    assert_eq!(veil.backends().len(), 1);
    assert_eq!(veil.backend(backend.address)["standing"], "eligible");

    let metrics = veil.admin_get("/metrics").text().unwrap();
    let told: Vec<&str> = metrics.lines().collect();
    for line in [
        "veil_requests_total{route=\"/\",status=\"200\"} 1".to_owned(),
        format!(
            "veil_backend_requests_total{{backend=\"{}\",pool=\"blur\"}} 1",
            backend.address
        ),
        "veil_pool_eligible{pool=\"blur\"} 1".to_owned(),
        "veil_requests_in_flight 0".to_owned(),
    ] {
        assert!(told.contains(&line.as_str()), "{line} is not in:\n{metrics}");
    }
}

#[test]
fn answers_in_the_format_of_stub_status() {
    let backend = Backend::named("backend");
    let veil = Veil::over(&format!("{{ backends: [{{ address: {} }}] }}", backend.address));
    for _ in 0..3 {
        veil.get("/");
    }
    let status = veil.admin_get("/nginx_status").text().unwrap();
    let lines: Vec<&str> = status.lines().map(str::trim_end).collect();
    assert!(
        lines[0]
            .strip_prefix("Active connections: ")
            .unwrap()
            .parse::<u64>()
            .is_ok(),
        "{status}"
    );
    assert_eq!(lines[1], "server accepts handled requests");
    let counts: Vec<u64> = lines[2]
        .split_whitespace()
        .map(|count| count.parse().unwrap())
        .collect();
    assert!(counts.len() == 3 && counts[2] >= 3, "{status}");
    let words: Vec<&str> = lines[3].split_whitespace().step_by(2).collect();
    assert_eq!(words, ["Reading:", "Writing:", "Waiting:"]);
}

#[test]
fn pools_can_be_seen_and_commanded_from_the_command_line() {
    let (first, second) = (Backend::named("first"), Backend::named("second"));
    let veil = Veil::over(&round_robin(&[&first, &second]));
    let admin = veil.admin.to_string();
    let table = said(&["pools", "--admin", &admin]);
    assert!(table.starts_with("POOL  BACKEND"), "{table}");
    assert_eq!(table.matches("eligible").count(), 2, "{table}");

    let first = first.address.to_string();
    let drained = said(&["pools", "drain", "blur", &first, "--admin", &admin]);
    assert_eq!(drained.matches("drained").count(), 1, "{drained}");
    for _ in 0..4 {
        assert_eq!(veil.get("/").text().unwrap(), "second");
    }
    said(&["pools", "undrain", "blur", &first, "--admin", &admin]);
    said(&["pools", "weight", "blur", &first, "7", "--admin", &admin]);
    assert_eq!(veil.backends()[0]["weight"], 7);

    let mut wrong = Process::start("veil", &["pools", "drain", "blur", "nobody", "--admin", &admin]);
    assert_eq!(wrong.exit(SOON).code(), Some(1));
    wrong
        .stderr
        .wait_for("why not", |line| line.contains("no such backend").then_some(()));
}

#[test]
fn a_unix_socket_is_for_its_owner_and_needs_no_token() {
    let backend = Backend::named("it");
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("admin.sock");
    let admin = format!("unix:{}", socket.display());
    let yaml = |listener: &str| {
        let yaml = configuration(&round_robin(&[&backend]));
        yaml.replace(
            "admin: { address: 127.0.0.1:0 }",
            &format!("admin: {{ address: {listener} }}"),
        )
    };
    let file = home.path().join("veil.yaml");
    fs::write(&file, yaml(&format!("'{admin}'"))).unwrap();
    let mut veil = run(&file);
    veil.stdout.wait_for("where it listens", |line| {
        line.starts_with("listening on ").then_some(())
    });
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(said(&["pools", "--admin", &admin]).contains("eligible"));
    let name = backend.address.to_string();
    assert!(said(&["pools", "drain", "blur", &name, "--admin", &admin]).contains("drained"));
    let file_name = file.to_str().unwrap();
    let question = ["explain", "-c", file_name, "--client", "192.0.2.1", "--admin", &admin];
    let explained = said(&question);
    assert!(explained.contains("drained"), "{explained}");

    // Elsewhere after a reload; the socket goes with it.
    let elsewhere = home.path().join("elsewhere.sock");
    fs::write(
        &file,
        yaml(&format!("'unix:{}', unix: {{ mode: 660 }}", elsewhere.display())),
    )
    .unwrap();
    veil.signal(Signal::HUP);
    until("the other one is there", SOON, || {
        (elsewhere.exists() && !socket.exists()).then_some(())
    });
    assert_eq!(fs::metadata(&elsewhere).unwrap().permissions().mode() & 0o777, 0o660);
    assert!(said(&["pools", "--admin", &format!("unix:{}", elsewhere.display())]).contains("drained"));
    veil.signal(Signal::TERM);
    assert!(veil.exit(SOON).success());
    assert!(!elsewhere.exists());
}

/// What `veil` prints, which has to succeed.
fn said(arguments: &[&str]) -> String {
    let mut process = Process::start("veil", arguments);
    assert!(process.exit(SOON).success(), "{}", process.stderr.text());
    process.stdout.all()
}

#[test]
fn a_token_opens_what_it_is_for() {
    const TOKEN: &str = "0123456789abcdef-commands";
    const READ_TOKEN: &str = "0123456789abcdef-reading";
    let backend = Backend::named("backend");
    let yaml = configuration(&round_robin(&[&backend])).replace(
        "admin: { address: 127.0.0.1:0 }",
        &format!("admin: {{ address: 0.0.0.0:0, token: {TOKEN}, read_token: {READ_TOKEN} }}"),
    );
    let veil = Veil::start(&yaml);
    let admin = SocketAddr::from(([127, 0, 0, 1], veil.admin.port()));
    let ask = |method: &str, path: &str, token: Option<&str>| {
        let token = token.map_or_else(String::new, |token| format!("Authorization: bearer {token}\r\n"));
        let mut client = Raw::connect(admin);
        client.send(format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{token}\r\n"));
        client.response().status()
    };
    let drain = format!("/pools/blur/{}/drain", backend.address);
    for (method, path, nobody, reader, operator) in [
        ("GET", "/livez", 200, 200, 200),
        ("GET", "/readyz", 200, 200, 200),
        ("GET", "/metrics", 401, 200, 200),
        ("GET", "/pools", 401, 200, 200),
        ("GET", "/nginx_status", 401, 200, 200),
        ("POST", "/reload", 401, 403, 200),
        ("POST", drain.as_str(), 401, 403, 200),
    ] {
        assert_eq!(ask(method, path, None), nobody, "{path}");
        assert_eq!(ask(method, path, Some("0123456789abcdef-commande")), nobody, "{path}");
        assert_eq!(ask(method, path, Some(READ_TOKEN)), reader, "{path}");
        assert_eq!(ask(method, path, Some(TOKEN)), operator, "{path}");
    }
    let admin = admin.to_string();
    let table = said(&["pools", "--admin", &admin, "--token", TOKEN]);
    assert!(table.contains("drained"), "{table}");
    let mut stranger = Process::start("veil", &["pools", "--admin", &admin]);
    assert_eq!(stranger.exit(SOON).code(), Some(1));
}

#[test]
fn a_trust_that_cannot_be_read_is_told_by_every_command() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), configuration("{ backends: [{ address: 127.0.0.1:1 }] }")).unwrap();
    let file = file.path().to_str().unwrap();
    for arguments in [
        &["run", "-c", file][..],
        &["check", file],
        &["explain", "-c", file, "--client", "192.0.2.1"],
        &["diff", file, file],
    ] {
        let trust = [("SSL_CERT_FILE", "/nowhere"), ("SSL_CERT_DIR", "/nowhere/either")];
        let mut process = Process::start_in(&trust, "veil", arguments);
        assert!(matches!(process.exit(SOON).code(), Some(1 | 2)), "{arguments:?}");
        let told = process.stderr.all();
        assert!(
            told.contains("SSL_CERT_FILE") && told.contains("/nowhere"),
            "{arguments:?}: {told}"
        );
        assert!(!told.contains("panicked"), "{told}");
    }
}

#[test]
fn pages_of_other_sites_see_and_do_nothing() {
    let backend = Backend::named("backend");
    let yaml = configuration(&round_robin(&[&backend]));
    let veil = Veil::start(&yaml.replace(
        "admin: { address: 127.0.0.1:0 }",
        "admin: { address: 127.0.0.1:0, names: [veil.internal] }",
    ));
    let ask = |method: &str, path: &str, fields: &str| {
        let mut client = Raw::connect(veil.admin);
        client.send(format!("{method} {path} HTTP/1.1\r\n{fields}\r\n\r\n"));
        client.response().status()
    };
    for path in ["/", "/livez", "/metrics", "/pools", "/nothing"] {
        let rebound = format!("Host: rebound.example:{}", veil.admin.port());
        assert_eq!(ask("GET", path, &rebound), 421, "{path}");
        let cross = "Host: 127.0.0.1\r\nSec-Fetch-Site: cross-site";
        assert_eq!(ask("GET", path, cross), 403, "{path}");
    }
    for host in ["127.0.0.1", "localhost", "[::1]:80", "Veil.Internal:8081"] {
        assert_eq!(ask("GET", "/pools", &format!("Host: {host}")), 200, "{host}");
    }
    assert_eq!(ask("GET", "/pools", "Host: localhost\r\nSec-Fetch-Site: none"), 200);
    let drain = format!("/pools/blur/{}/drain", backend.address);
    for fields in [
        "Host: rebound.example",
        "Host: localhost\r\nOrigin: http://localhost",
        "Host: localhost\r\nSec-Fetch-Site: same-site",
    ] {
        let refused = ask("POST", &drain, &format!("{fields}\r\nContent-Length: 0"));
        assert!([403, 421].contains(&refused), "{fields}: {refused}");
    }
    assert_eq!(veil.backend(backend.address)["standing"], "eligible");
}

#[test]
fn a_page_shows_the_pools_and_what_it_asks_for_wants_the_token() {
    let backend = Backend::named("it");
    let yaml = configuration(&round_robin(&[&backend])).replace(
        "admin: { address: 127.0.0.1:0 }",
        "admin: { address: 127.0.0.1:0, token: 0123456789abcdef }",
    );
    let veil = Veil::start(&yaml);
    let page = veil.admin_get("/live");
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let page = page.text().unwrap();
    for part in ["live.css", "live.js"] {
        assert!(page.contains(part));
        assert_eq!(veil.admin_get(&format!("/{part}")).status().as_u16(), 200, "{part}");
    }
    assert_eq!(veil.admin_get("/pools").status().as_u16(), 401);
}

/// They would have the descriptors of those who come to the listeners.
#[test]
fn silent_clients_take_no_more_than_their_places() {
    let backend = Backend::named("it");
    let veil = Veil::over(&round_robin(&[&backend]));
    let address: SocketAddr = veil.admin_url("").trim_start_matches("http://").parse().unwrap();
    let silent: Vec<_> = (0..64).map(|_| Raw::connect(address)).collect();
    let mut late = Raw::connect(address);
    late.send(format!("GET /livez HTTP/1.1\r\nHost: {address}\r\n\r\n"));
    assert!(
        late.stays_open(Duration::from_millis(500)),
        "it waits, and is not sent away"
    );
    assert_eq!(veil.get("/").status(), 200);
    drop(silent);
    assert_eq!(late.response().status(), 200);
}
