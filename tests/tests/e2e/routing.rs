//! Which route and which pool a request gets.

use e2e::backend::Backend;
use e2e::process::Process;
use e2e::raw::Raw;
use e2e::until::{SOON, until};
use e2e::veil::Veil;

fn start(routes: &str, pools: &[(&str, &Backend)]) -> Veil {
    let pools: String = pools
        .iter()
        .map(|(name, backend)| format!("  {name}: {{ backends: [{{ address: {} }}] }}\n", backend.address))
        .collect();
    Veil::start(&format!(
        "version: 1\nlisteners: {{ public: {{ address: 127.0.0.1:0 }} }}\nadmin: {{ address: 127.0.0.1:0 }}\n\
         routes:\n{routes}pools:\n{pools}"
    ))
}

fn served_by(veil: &Veil, head: &str) -> String {
    let answer = Raw::connect(veil.public).send(format!("{head}\r\n\r\n")).response();
    String::from_utf8_lossy(&answer.body).into_owned()
}

#[test]
fn what_a_request_says_decides_who_serves_it() {
    let (shop, beta, bots) = (Backend::named("shop"), Backend::named("beta"), Backend::named("bots"));
    let veil = start(
        "  - { match: { hosts: [shop.test, '*.shop.test'], cookies: { beta: '1' } }, pool: beta }\n  \
         - { match: { hosts: [shop.test, '*.shop.test'], headers: { User-Agent: { regex: (?i)bot } } }, pool: bots }\n  \
         - { match: { hosts: [shop.test, '*.shop.test'] }, pool: shop }\n  \
         - { match: { path_prefix: /, query: { preview: { present: true } } }, pool: beta }\n",
        &[("shop", &shop), ("beta", &beta), ("bots", &bots)],
    );
    for (head, name) in [
        ("GET / HTTP/1.1\r\nHost: shop.test", "shop"),
        (
            "GET / HTTP/1.1\r\nHost: www.SHOP.test:80\r\nCookie: a=b; beta=1",
            "beta",
        ),
        ("GET / HTTP/1.1\r\nHost: www.shop.test\r\nUser-Agent: GoogleBot", "bots"),
        ("GET /?preview HTTP/1.1\r\nHost: other.test", ""),
        ("GET /?preview= HTTP/1.1\r\nHost: other.test", "beta"),
    ] {
        let served = served_by(&veil, head);
        assert!(
            served == name || name.is_empty() && served.contains("no_route"),
            "{head}: {served}"
        );
    }
}

#[test]
fn a_share_of_the_clients_gets_the_new_version_and_keeps_it() {
    let (old, new) = (Backend::named("old"), Backend::named("new"));
    let veil = start(
        "  - match: { path_prefix: / }\n    split: { key: $cookie_session, pools: [{ pool: old, weight: 80 }, { pool: new, weight: 20 }] }\n",
        &[("old", &old), ("new", &new)],
    );
    let ask = |session: usize| {
        served_by(
            &veil,
            &format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: session=s{session}"),
        )
    };
    let first: Vec<String> = (0..200).map(ask).collect();
    let moved = first.iter().filter(|name| *name == "new").count();
    assert!((15..70).contains(&moved), "{moved} of 200");
    assert_eq!((0..50).map(ask).collect::<Vec<_>>(), first[..50]);
}

#[test]
fn a_copy_goes_elsewhere_and_nobody_waits_for_it() {
    let app = Backend::named("app");
    let shadow = Backend::start(|_| e2e::backend::Answer::Hang);
    let veil = start(
        "  - { match: { path_prefix: / }, pool: app, mirror: { pool: shadow }, filters: [{ strip_prefix: /api }] }\n",
        &[("app", &app), ("shadow", &shadow)],
    );
    let body = "x".repeat(100_000);
    let head = format!(
        "POST /api/upload?a HTTP/1.1\r\nHost: a.test\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = Raw::connect(veil.public).send(head).response();
    assert_eq!((answer.status(), answer.body.as_slice()), (200, &b"app"[..]));
    let copy = until("the copy", SOON, || shadow.received().into_iter().next());
    let sent = &app.received()[0];
    assert_eq!((copy.path(), copy.body_digest), ("/upload?a", sent.body_digest));
    assert_eq!(copy.header("x-request-id"), sent.header("x-request-id"));
}

#[test]
fn explain_says_which_route_and_why() {
    let yaml = "version: 1\nlisteners: { public: { address: 127.0.0.1:0 } }\nroutes:\n  \
        - { name: beta, match: { host: a.test, path_prefix: /, headers: { X-Beta: '1' } }, pool: new }\n  \
        - { name: users, match: { path_regex: '^/users/(\\d+)$' }, pool: old, filters: [{ rewrite: { to: '/u?id=$capture_1' } }] }\n  \
        - { name: rest, match: { path_prefix: / }, pool: old }\n\
        pools:\n  old: { backends: [{ address: 127.0.0.1:1 }] }\n  new: { backends: [{ address: 127.0.0.1:2 }] }\n";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("veil.yaml");
    std::fs::write(&file, yaml).unwrap();
    let said = |more: &[&str]| {
        let file = file.to_str().unwrap();
        let arguments = [&["explain", "-c", file, "--client", "192.0.2.1"], more].concat();
        let mut process = Process::start("veil", &arguments);
        assert!(process.exit(SOON).success(), "{}", process.stderr.all());
        process.stdout.all()
    };
    let users = said(&["--url", "https://a.test/users/42?x"]);
    for line in [
        "route \"beta\" wants other header fields",
        "route \"users\" takes it",
        "backends are asked for /u?id=42",
        "pool \"old\"",
    ] {
        assert!(users.contains(line), "{line}\n{users}");
    }
    let beta = said(&["--url", "http://a.test/users/42", "--header", "X-Beta: 1"]);
    assert!(
        beta.contains("route \"beta\" takes it") && beta.contains("pool \"new\""),
        "{beta}"
    );
}
