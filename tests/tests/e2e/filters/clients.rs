//! Filters that ask who somebody is.

use std::fs;
use std::time::Duration;

use e2e::backend::{Answer, Backend};
use e2e::until::{SOON, until};
use e2e::veil::Veil;

use super::{ask, folder, veil, veil_with};

#[test]
fn a_route_may_be_told_who_asks_in_its_own_way() {
    let real_ip = "{ real_ip: { from: [127.0.0.0/8], field: X-Told } }";
    let backend = Backend::named("it");
    let veil = veil(
        &format!("{real_ip}, {{ access: {{ allow: [192.0.2.0/24] }} }}"),
        Some(&backend),
    );
    assert_eq!(ask(&veil, "GET / HTTP/1.1\r\nHost: a").status(), 403);
    let told = ask(&veil, "GET / HTTP/1.1\r\nHost: a\r\nX-Told: 192.0.2.7");
    assert_eq!(told.status(), 200);
    assert_eq!(backend.received()[0].header("x-real-ip"), Some("192.0.2.7"));
    veil.process.stdout.wait_for("who it was", |line| {
        line.contains("\"client\":\"192.0.2.7\"").then_some(())
    });
}

#[test]
fn a_password_lets_in_and_goes_no_further() {
    let backend = Backend::named("staff only");
    // Of "secret".
    let folder = folder(&[("htpasswd", b"ada:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n")]);
    let file = folder.path().join("htpasswd");
    let veil = veil(
        &format!(
            "{{ basic_auth: {{ realm: staff, file: {} }} }}, {{ request_headers: {{ set: {{ X-User: $user }} }} }}",
            file.display()
        ),
        Some(&backend),
    );
    let stranger = ask(&veil, "GET / HTTP/1.1\r\nHost: a");
    assert_eq!(stranger.status(), 401);
    assert_eq!(
        stranger.header("www-authenticate"),
        Some("Basic realm=\"staff\", charset=\"UTF-8\"")
    );
    // ada:secret, ada:wrong
    assert_eq!(
        ask(&veil, "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic YWRhOndyb25n").status(),
        401
    );
    assert_eq!(
        ask(
            &veil,
            "GET / HTTP/1.1\r\nHost: a\r\nX-User: root\r\nAuthorization: Basic YWRhOnNlY3JldA=="
        )
        .status(),
        200
    );
    // Who comes after might take the other one.
    let two = "Authorization: Basic YWRhOnNlY3JldA==\r\nAuthorization: Basic cm9vdDp4";
    assert_eq!(ask(&veil, &format!("GET / HTTP/1.1\r\nHost: a\r\n{two}")).status(), 401);
    let received = backend.received();
    assert_eq!(received.len(), 1);
    assert_eq!(
        (received[0].header("x-user"), received[0].header("authorization")),
        (Some("ada"), None)
    );
    veil.process
        .stdout
        .wait_for("who it was", |line| line.contains("\"user\":\"ada\"").then_some(()));

    // The file is read again when it changes.
    fs::write(&file, "bob:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n").unwrap();
    until("ada is out", SOON, || {
        let answer = ask(
            &veil,
            "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic YWRhOnNlY3JldA==",
        );
        (answer.status() == 401).then_some(())
    });
}

#[test]
fn a_key_has_a_name_in_the_log_and_a_limit_of_its_own() {
    let backend = Backend::named("api");
    let keys = b"acme 41ef4bb0b23661e66301aac36066912dac037827b4ae63a7b1165a5aa93ed4eb\n";
    let folder = folder(&[("keys", keys)]);
    let veil = veil(
        &format!(
            "{{ api_key: {{ file: {} }} }}, {{ rate_limit: {{ rate: 2/h, key: $api_key }} }}",
            folder.path().join("keys").display()
        ),
        Some(&backend),
    );
    let with_key = || ask(&veil, "GET / HTTP/1.1\r\nHost: a\r\nX-API-Key: open sesame").status();
    assert_eq!(ask(&veil, "GET / HTTP/1.1\r\nHost: a").status(), 401);
    for two in ["X-API-Key: other", "x-api-key: open sesame"] {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nX-API-Key: open sesame\r\n{two}");
        assert_eq!(ask(&veil, &request).status(), 401, "{two}");
    }
    assert_eq!([with_key(), with_key(), with_key()], [200, 200, 429]);
    assert_eq!(backend.received().len(), 2);
    assert!(
        backend
            .received()
            .iter()
            .all(|received| received.header("x-api-key").is_none())
    );
    veil.process.stdout.wait_for("whose it was", |line| {
        line.contains("\"api_key\":\"acme\"").then_some(())
    });
}

#[test]
fn another_pool_says_who_may_come_in() {
    let app = Backend::named("private");
    let login = Backend::start(|request| match (request.path(), request.header("cookie")) {
        ("/check", Some("sid=ada")) => {
            let head = "HTTP/1.1 200 OK\r\nX-User: ada\r\nContent-Length: 0\r\n\r\n";
            Answer::Pieces(vec![(Duration::ZERO, head.into())])
        }
        ("/check", Some("sid=slow")) => Answer::Hang,
        ("/check", Some("sid=odd")) => Answer::status(418),
        _ => {
            let head = "HTTP/1.1 302 Found\r\nLocation: /login?back\r\nContent-Length: 0\r\n\r\n";
            Answer::Pieces(vec![(Duration::ZERO, head.into())])
        }
    });
    let auth = "{ forward_auth: { pool: login, path: /check, set: [X-User], timeout: 300ms } }";
    let veil = veil_with(
        &format!("  - {{ match: {{ path_prefix: / }}, pool: app, filters: [{auth}] }}\n"),
        &[("app", &app), ("login", &login)],
    );
    let asks = |cookie: &str| {
        ask(
            &veil,
            &format!(
                "POST /private?a HTTP/1.1\r\nHost: a.test\r\nX-User: root\r\nCookie: {cookie}\r\nContent-Length: 0"
            ),
        )
    };
    assert_eq!(asks("sid=ada").status(), 200);
    assert_eq!(app.received()[0].header("x-user"), Some("ada"));
    let asked = &login.received()[0];
    assert_eq!(
        (asked.header("x-original-uri"), asked.header("x-original-method")),
        (Some("/private?a"), Some("POST"))
    );
    let refused = asks("sid=eve");
    assert_eq!(
        (refused.status(), refused.header("location")),
        (302, Some("/login?back"))
    );
    assert_eq!(asks("sid=slow").status(), 503);
    assert_eq!(asks("sid=odd").status(), 503);
    assert_eq!(app.received().len(), 1, "nobody else came in");
}

/// RFC 9110, section 15.2: what announces an answer is none, and no end of what has no body.
#[test]
fn an_authority_a_copy_and_a_check_may_announce_their_answers() {
    let announced = |status: &str| {
        let early = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(3);
        let json = "{\"status\":\"up\"}";
        let head = format!(
            "HTTP/1.1 {status}\r\nX-User: ada\r\nContent-Length: {}\r\n\r\n{json}",
            json.len()
        );
        Answer::Pieces(vec![
            (Duration::ZERO, early.into_bytes()),
            (Duration::from_millis(20), head.into_bytes()),
        ])
    };
    let app = Backend::named("private");
    let login = Backend::start(move |request| match request.header("cookie") {
        _ if request.path() == "/broken" => Answer::Pieces(vec![(Duration::ZERO, b"no answer\r\n\r\n".to_vec())]),
        Some("sid=ada") => announced("200 OK"),
        Some("sid=switch") => Answer::Pieces(vec![(
            Duration::ZERO,
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n".to_vec(),
        )]),
        Some("sid=endless") => Answer::Pieces(vec![(Duration::ZERO, b"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1000))]),
        _ => announced("403 Forbidden"),
    });
    let veil = Veil::start(&format!(
        "version: 1\nlisteners: {{ public: {{ address: 127.0.0.1:0 }} }}\nadmin: {{ address: 127.0.0.1:0 }}\nroutes:\n  \
         - {{ match: {{ path_prefix: / }}, pool: app, mirror: {{ pool: checked }}, \
         filters: [{{ forward_auth: {{ pool: login, see: [Cookie, Host, X-Original-URI, X-Request-Id], set: [X-User], timeout: 2s }} }}] }}\npools:\n  \
         app: {{ backends: [{{ address: {} }}] }}\n  login: {{ backends: [{{ address: {1}, max_fails: 0 }}] }}\n  \
         checked: {{ backends: [{{ address: {1}, max_fails: 0 }}], \
         health: {{ path: /, headers: {{ Cookie: sid=ada }}, expect: {{ json: {{ status: up }} }} }} }}\n",
        app.address, login.address
    ));
    until("the check understands it", SOON, || {
        let checks = login.received().iter().filter(|asked| asked.path() == "/").count();
        (checks > 1 && veil.eligible() == 3).then_some(())
    });
    let asks = |cookie: &str| {
        let lies = "X-Original-URI: /public\r\nX-Request-Id: one";
        ask(
            &veil,
            &format!("GET /private HTTP/1.1\r\nHost: a.test\r\n{lies}\r\nCookie: {cookie}"),
        )
        .status()
    };
    for (cookie, status) in [
        ("sid=ada", 200),
        ("sid=eve", 403),
        ("sid=switch", 503),
        ("sid=endless", 503),
        ("sid=ada", 200),
    ] {
        assert_eq!(asks(cookie), status, "{cookie}");
    }
    assert_eq!(app.received().last().unwrap().header("x-user"), Some("ada"));
    // What Veil says itself is said once.
    let asked = login.received();
    let question = asked
        .iter()
        .find(|asked| asked.header("x-original-uri").is_some())
        .unwrap();
    for (name, value) in [
        ("host", "a.test"),
        ("x-original-uri", "/private"),
        ("x-request-id", "one"),
    ] {
        assert_eq!(question.headers(name), [value], "{name}");
    }
    // A copy that comes to nothing harms nobody.
    let copies = |path: &str| login.received().iter().filter(|asked| asked.path() == path).count();
    for path in ["/broken", "/broken", "/private"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a.test\r\nCookie: sid=ada");
        assert_eq!(ask(&veil, &request).status(), 200);
    }
    until("the copies are taken", SOON, || {
        (copies("/private") == 3 && copies("/broken") >= 2).then_some(())
    });
    let said = veil.process.stderr.text();
    assert!(!said.contains("panicked"), "{said}");
}
