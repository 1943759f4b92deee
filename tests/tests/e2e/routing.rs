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
fn copies_have_their_own_target_fields_and_bodies() {
    let (app, whole, bare) = (Backend::named("app"), Backend::named("whole"), Backend::named("bare"));
    let veil = start(
        "  - match: { path_prefix: / }\n    pool: app\n    filters: [{ request_headers: { set: { Host: app.test, X-App: '1' } } }]\n    \
         mirror: { pool: whole }\n    \
         mirrors: [{ pool: bare, target: /copy$request_uri, headers: { set: { X-Copy: $host }, remove: [Cookie] }, tells: [], body: false }]\n",
        &[("app", &app), ("whole", &whole), ("bare", &bare)],
    );
    for body in [
        "",
        "Content-Length: 3\r\n\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ] {
        let (method, body) = if body.is_empty() {
            ("GET", "\r\n")
        } else {
            ("POST", body)
        };
        let request = format!("{method} /a%20b?c=d HTTP/1.1\r\nHost: a.test\r\nCookie: s=1\r\nX-App: client\r\n{body}");
        assert_eq!(Raw::connect(veil.public).send(request).response().status(), 200);
    }
    let received = |backend: &Backend| {
        until("three copies", SOON, || {
            Some(backend.received()).filter(|all| all.len() == 3)
        })
    };
    for copy in received(&whole) {
        assert_eq!(
            (copy.path(), copy.header("host"), copy.header("x-app")),
            ("/a%20b?c=d", Some("app.test"), Some("1"))
        );
        assert_eq!(copy.header("content-length"), (copy.method() == "POST").then_some("3"));
    }
    for copy in received(&bare) {
        assert_eq!(
            (copy.path(), copy.header("host"), copy.header("x-app")),
            ("/copy/a%20b?c=d", Some("a.test"), Some("client"))
        );
        assert_eq!(
            (copy.header("x-copy"), copy.header("cookie"), copy.header("x-real-ip")),
            (Some("a.test"), None, None)
        );
        // Else a backend waits for a body that never comes.
        assert_eq!(
            (copy.header("content-length"), copy.header("transfer-encoding")),
            (None, None)
        );
    }
    let metrics = veil.admin_get("/metrics").text().unwrap();
    for pool in ["whole", "bare"] {
        let line = format!("veil_copies_total{{pool=\"{pool}\",result=\"sent\"}} 3");
        assert!(metrics.contains(&line), "{metrics}");
    }
}

#[test]
fn copies_that_fail_or_find_no_room_harm_nobody() {
    let app = Backend::named("app");
    let hung = Backend::start(|_| e2e::backend::Answer::Hang);
    let gone = Backend::start(|_| e2e::backend::Answer::ResetAmidHead);
    let veil = start(
        "  - { match: { path_prefix: /off }, pool: app, body: { buffering: off }, mirror: { pool: hung } }\n  \
         - { match: { path_prefix: / }, pool: app, mirror: { pool: hung, most: 2 }, mirrors: [{ pool: gone }] }\n",
        &[("app", &app), ("hung", &hung), ("gone", &gone)],
    );
    let post = |client: &mut Raw, path: &str| {
        let request = format!("POST {path} HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc");
        client.send(request).response().status()
    };
    // On one connection: no request waits for the copies of the one before.
    let mut client = Raw::connect(veil.public);
    for _ in 0..5 {
        assert_eq!(post(&mut client, "/"), 200);
    }
    assert_eq!(post(&mut client, "/off"), 200);
    let metrics = veil.admin_get("/metrics").text().unwrap();
    for (pool, result, count) in [("hung", "sent", 2), ("hung", "left_out", 3), ("hung", "no_body", 1)] {
        let line = format!("veil_copies_total{{pool=\"{pool}\",result=\"{result}\"}} {count}");
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
    assert!(
        metrics.contains("veil_copies_total{pool=\"gone\",result=\"sent\"}"),
        "{metrics}"
    );
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
