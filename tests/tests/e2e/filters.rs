//! Filters at work, each through a real socket.

use std::fs;
use std::time::{Duration, Instant};

use e2e::backend::{Answer, Backend};
use e2e::client;
use e2e::raw::{Raw, Response};
use e2e::veil::Veil;
use tempfile::TempDir;

/// One listener, and one route for every path with these filters, in YAML, before the backend if there is one.
fn veil(filters: &str, backend: Option<&Backend>) -> Veil {
    let pool = backend.map_or("", |_| "pool: app, ");
    let routes = format!("  - {{ match: {{ path_prefix: / }}, {pool}filters: [{filters}] }}\n");
    veil_with(&routes, backend.map(|backend| ("app", backend)).as_slice())
}

fn veil_with(routes: &str, pools: &[(&str, &Backend)]) -> Veil {
    let pools: String = pools
        .iter()
        .map(|(name, backend)| format!("  {name}: {{ backends: [{{ address: {} }}] }}\n", backend.address))
        .collect();
    let pools = if pools.is_empty() {
        String::new()
    } else {
        format!("pools:\n{pools}")
    };
    Veil::start(&format!(
        "version: 1\nlisteners: {{ public: {{ address: 127.0.0.1:0 }} }}\nadmin: {{ address: 127.0.0.1:0 }}\n\
         access_log: {{ to: stdout }}\nroutes:\n{routes}{pools}"
    ))
}

fn ask(veil: &Veil, head: &str) -> Response {
    Raw::connect(veil.public).send(format!("{head}\r\n\r\n")).response()
}

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

fn html(status: u16, text: &str) -> Answer {
    let head = format!(
        "HTTP/1.1 {status} Said\r\nContent-Type: text/html\r\nETag: \"one\"\r\nContent-Length: {}\r\n\r\n",
        text.len()
    );
    Answer::Pieces(vec![(Duration::ZERO, [head.as_bytes(), text.as_bytes()].concat())])
}

#[test]
fn backends_are_asked_for_what_rewriting_makes() {
    let backend = Backend::named("app");
    let veil = veil_with(
        "  - { match: { path_prefix: /v2/ }, pool: app, filters: [{ strip_prefix: /v2 }] }\n  \
         - { match: { path_regex: '^/user/(?P<name>[^/]+)$' }, pool: app, filters: [{ rewrite: { to: '/people?name=$capture_name&$query' } }] }\n  \
         - { match: { path_prefix: /img/ }, pool: app, filters: [{ rewrite: { path: '^/img/(.*)$', to: /images/$capture_1 } }] }\n",
        &[("app", &backend)],
    );
    for (sent, got) in [
        ("/v2/users?a=b", "/users?a=b"),
        ("/v2/a%2Fb", "/a%2Fb"),
        ("/img/a/b.png?x", "/images/a/b.png?x"),
        ("/img/%C3%A9 b".split(' ').next().unwrap(), "/images/%C3%A9"),
        ("/user/ada?x=1", "/people?name=ada&x=1"),
        ("/user/a%26b%3Fc", "/people?name=a%26b%3Fc&"),
    ] {
        assert_eq!(
            ask(&veil, &format!("GET {sent} HTTP/1.1\r\nHost: a.test")).status(),
            200,
            "{sent}"
        );
        let received = backend.received();
        assert_eq!(received.last().unwrap().path(), got, "{sent}");
    }
    // What the client asked for stays in the log.
    veil.process
        .stdout
        .wait_for("the line", |line| line.contains("\"path\":\"/v2/users\"").then_some(()));
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
    e2e::until::until("ada is out", e2e::until::SOON, || {
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
    assert_eq!([with_key(), with_key(), with_key()], [200, 200, 429]);
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
fn people_see_a_page_in_place_of_an_error() {
    let folder = folder(&[("oops.html", b"<p>$status for $path, $request_id</p>")]);
    let backend = Backend::start(|request| match request.path() {
        "/missing" => html(404, "the backend's words"),
        "/bare" => Answer::Whole {
            status: 500,
            body: Vec::new(),
        },
        _ => html(200, "fine"),
    });
    let page = format!(
        "{{ error_page: {{ status: [4xx, 5xx], template: {} }} }}",
        folder.path().join("oops.html").display()
    );
    let veil = veil_with(
        &format!(
            "  - {{ match: {{ path_prefix: /local/ }}, filters: [{page}, {{ respond: {{ status: 403, body: no }} }}] }}\n  \
             - {{ match: {{ path_prefix: / }}, pool: app, retry: {{ attempts: 1 }}, filters: [{page}] }}\n"
        ),
        &[("app", &backend)],
    );
    let mut one = Raw::connect(veil.public);
    for (path, status) in [("/missing", 404), ("/bare", 500), ("/local/x", 403)] {
        let asked = format!("{path} HTTP/1.1\r\nHost: a\r\nX-Request-Id: abc\r\nAccept: ");
        let seen = one.send(format!("GET {asked}text/html,*/*;q=0.8\r\n\r\n")).response();
        let page = format!("<p>{status} for {path}, abc</p>");
        assert_eq!(
            (seen.status(), String::from_utf8_lossy(&seen.body).into_owned()),
            (status, page),
            "{path}"
        );
        assert_eq!(
            (seen.header("content-type"), seen.header("etag")),
            (Some("text/html; charset=utf-8"), None)
        );
        let program = ask(&veil, &format!("GET {asked}application/json"));
        assert!(!program.body.starts_with(b"<p>"), "{path}");
        assert_eq!(program.status(), status);
        let mut head = Raw::connect(veil.public);
        let head = head
            .send(format!("HEAD {asked}text/html\r\nConnection: close\r\n\r\n"))
            .rest();
        assert!(head.ends_with(b"\r\n\r\n"), "{path}: HEAD has no body");
    }
    let fine = one
        .send("GET / HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n")
        .response();
    assert_eq!(fine.body, b"fine", "the connection carries on");
}

#[test]
fn files_go_out_whole_and_in_parts() {
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let folder = folder(&[("index.html", b"home"), ("large.bin", &large), (".secret", b"no")]);
    let veil = veil(
        &format!(
            "{{ cache_control: {{ max_age: 30d }} }}, {{ files: {{ root: {} }} }}",
            folder.path().display()
        ),
        None,
    );
    let home = veil.get("/");
    assert_eq!(home.headers()["content-type"], "text/html; charset=utf-8");
    assert_eq!(home.headers()["cache-control"], "max-age=2592000");
    let tag = home.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(home.text().unwrap(), "home");
    assert_eq!(veil.get("/large.bin").bytes().unwrap(), large);
    let part = client()
        .get(veil.url("/large.bin"))
        .header("Range", "bytes=1000000-2000000")
        .send()
        .unwrap();
    assert_eq!(
        (
            part.status().as_u16(),
            part.headers()["content-range"].to_str().unwrap()
        ),
        (206, "bytes 1000000-2000000/3000000")
    );
    assert_eq!(part.bytes().unwrap(), large[1_000_000..=2_000_000]);
    let same = client()
        .get(veil.url("/"))
        .header("If-None-Match", &tag)
        .send()
        .unwrap();
    assert_eq!(same.status(), 304);
    for path in ["/.secret", "/none", "/../etc/passwd", "/%2e%2e%2fetc/passwd"] {
        let answer = ask(&veil, &format!("GET {path} HTTP/1.1\r\nHost: a"));
        assert!(matches!(answer.status(), 400 | 404), "{path}");
    }
    let posted = ask(&veil, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0");
    assert_eq!(posted.status(), 405);
    let head = Raw::connect(veil.public)
        .send("HEAD /large.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .rest();
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    assert!(
        head.contains("content-length: 3000000") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
}

#[test]
fn answers_are_compressed_once_and_come_back_whole() {
    let text = "<p>a line of text that is much like the others</p>\n".repeat(2_000);
    let backend = Backend::start({
        let text = text.clone();
        move |request| match request.path() {
            "/twice" => {
                let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: br\r\nContent-Length: 4\r\n\r\nabcd";
                Answer::Pieces(vec![(Duration::ZERO, head.into())])
            }
            "/short" => html(200, "short"),
            "/chunks" => {
                let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n";
                let chunk = format!("{:x}\r\n{text}\r\n", text.len());
                Answer::Pieces(vec![(Duration::ZERO, [head, &chunk, "0\r\n\r\n"].concat().into())])
            }
            _ => html(200, &text),
        }
    });
    let veil = veil("{ compression: {} }", Some(&backend));
    let get = |path: &str, accepted: &str| {
        client()
            .get(veil.url(path))
            .header("Accept-Encoding", accepted)
            .send()
            .unwrap()
    };
    for path in ["/", "/chunks"] {
        let answer = get(path, "gzip");
        assert_eq!(answer.headers()["content-encoding"], "gzip", "{path}");
        assert_eq!(answer.headers()["vary"], "Accept-Encoding");
        if path == "/" {
            assert_eq!(answer.headers()["etag"], "W/\"one\"");
        }
        let packed = answer.bytes().unwrap();
        assert!(packed.len() < text.len() / 10, "{}", packed.len());
        assert_eq!(unpacked(&packed, "gzip"), text.as_bytes(), "{path}");
    }
    for coding in ["br", "zstd"] {
        let answer = get("/", coding);
        assert_eq!(answer.headers()["content-encoding"], coding);
        let packed = answer.bytes().unwrap();
        assert!(packed.len() < text.len() / 10, "{coding}: {}", packed.len());
    }
    assert_eq!(get("/twice", "br, gzip").bytes().unwrap(), b"abcd");
    assert!(!get("/short", "gzip").headers().contains_key("content-encoding"));
    assert!(!get("/", "identity").headers().contains_key("content-encoding"));
    // Nothing of one answer is left in the next one of the connection.
    let mut one = Raw::connect(veil.public);
    for _ in 0..3 {
        let answer = one
            .send("GET /short HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
            .response();
        assert_eq!(answer.body, b"short");
    }
}

/// What another program makes of it.
fn unpacked(packed: &[u8], program: &str) -> Vec<u8> {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut child = Command::new(program)
        .args(["-d", "-c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program is there");
    let mut input = child.stdin.take().expect("it has an input");
    let packed = packed.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&packed));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("the writer ends").expect("it reads all");
    assert!(output.status.success());
    output.stdout
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

#[test]
fn a_client_waits_for_its_turn_and_has_only_so_many() {
    let backend = Backend::named("app");
    let veil = veil("{ rate_limit: { rate: 10/s, burst: 3, at_once: 1 } }", Some(&backend));
    let began = Instant::now();
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let address = veil.public;
            std::thread::spawn(move || {
                Raw::connect(address)
                    .send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    .response()
                    .status()
            })
        })
        .collect();
    let statuses: Vec<u16> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert_eq!(statuses, [200, 200, 200]);
    assert!(
        began.elapsed() >= Duration::from_millis(190),
        "two of them waited for their turns: {:?}",
        began.elapsed()
    );
}

#[test]
fn a_client_has_only_so_many_requests_under_way() {
    let gate = e2e::backend::Gate::default();
    let parts = vec![
        e2e::backend::Part::Gate(gate.clone()),
        e2e::backend::Part::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec()),
    ];
    let backend = Backend::start(move |_| Answer::Parts(parts.clone()));
    let veil = veil("{ concurrency_limit: { most: 2 } }", Some(&backend));
    let mut first = Raw::connect(veil.public);
    let mut second = Raw::connect(veil.public);
    for client in [&mut first, &mut second] {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    e2e::until::until("both are there", e2e::until::SOON, || {
        (backend.received().len() == 2).then_some(())
    });
    assert_eq!(ask(&veil, "GET / HTTP/1.1\r\nHost: a").status(), 429);
    gate.open();
    assert_eq!((first.response().status(), second.response().status()), (200, 200));
    e2e::until::until("there is place again", e2e::until::SOON, || {
        (ask(&veil, "GET / HTTP/1.1\r\nHost: a").status() == 200).then_some(())
    });
}

#[test]
fn an_answer_goes_no_faster_than_allowed() {
    let text = "x".repeat(60_000);
    let (backend, files) = (
        Backend::start({
            let text = text.clone();
            move |_| Answer::ok(&text)
        }),
        folder(&[("a.txt", text.as_bytes())]),
    );
    let root = files.path().display();
    let veil = veil_with(
        &format!(
            "  - {{ match: {{ path_prefix: /files/ }}, filters: [{{ bandwidth: {{ rate: 40KiB }} }}, {{ strip_prefix: /files }}, {{ files: {{ root: {root} }} }}] }}\n  \
             - {{ match: {{ path_prefix: / }}, pool: app, filters: [{{ bandwidth: {{ rate: 40KiB, after: 20KiB }} }}] }}\n"
        ),
        &[("app", &backend)],
    );
    for (path, least) in [("/", 800), ("/files/a.txt", 1200)] {
        let began = Instant::now();
        assert_eq!(veil.get(path).text().unwrap(), text);
        assert!(
            began.elapsed() >= Duration::from_millis(least),
            "{path}: {:?}",
            began.elapsed()
        );
    }
    e2e::until::until("the backend is free", e2e::until::SOON, || {
        (veil.backend(backend.address)["in_flight"] == 0).then_some(())
    });
}

#[test]
fn no_worker_sees_what_is_no_picture() {
    let backend = Backend::named("worker");
    let veil = veil("{ image_guard: { max_pixels: 1000000 } }", Some(&backend));
    let post = |body: &[u8]| {
        let head = format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        Raw::connect(veil.public)
            .send([head.as_bytes(), body].concat())
            .response()
            .status()
    };
    let png = |width: u32| {
        [
            b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR",
            &width.to_be_bytes()[..],
            &width.to_be_bytes(),
            b"\x08\x02\0\0\0",
        ]
        .concat()
    };
    assert_eq!(post(&png(100)), 200);
    assert_eq!(post(&png(100_000)), 413);
    assert_eq!(post(b"text, renamed to .jpg"), 415);
    assert_eq!(backend.received().len(), 1);
}

#[test]
fn a_trace_goes_through() {
    let backend = Backend::named("app");
    let veil = veil("{ request_id: { traceparent: true } }", Some(&backend));
    let trace = "0af7651916cd43dd8448eb211c80319c";
    ask(
        &veil,
        &format!("GET / HTTP/1.1\r\nHost: a\r\ntraceparent: 00-{trace}-b7ad6b7169203331-01"),
    );
    let received = backend.received();
    let parent = received[0].header("traceparent").unwrap();
    assert!(
        parent.starts_with(&format!("00-{trace}-")) && !parent.contains("b7ad6b7169203331"),
        "{parent}"
    );
    veil.process.stdout.wait_for("the trace", |line| {
        line.contains(&format!("\"trace_id\":\"{trace}\"")).then_some(())
    });
}

#[test]
fn a_filter_whose_file_is_missing_is_told_and_never_runs() {
    let yaml = "version: 1\nlisteners: { public: { address: 127.0.0.1:0 } }\n\
        routes: [{ match: { path_prefix: / }, filters: [{ basic_auth: { file: nowhere } }, { respond: { status: 200 } }] }]\n";
    let folder = folder(&[("veil.yaml", yaml.as_bytes())]);
    let file = folder.path().join("veil.yaml");
    let file = file.to_str().unwrap();
    for (arguments, code) in [(&["check", file][..], 2), (&["run", "-c", file], 1)] {
        let mut process = e2e::process::Process::start("veil", arguments);
        assert_eq!(process.exit(e2e::until::SOON).code(), Some(code), "{arguments:?}");
        let told = process.stderr.all();
        assert!(told.contains("basic_auth") && told.contains("nowhere"), "{told}");
    }
}
