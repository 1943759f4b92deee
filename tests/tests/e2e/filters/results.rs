//! Answers that are kept for who sends the same again, in stores that work; those that do not: `failing_stores`.

mod failing_stores;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use e2e::backend::{Answer, Backend, Part};
use e2e::client;
use e2e::nginx::Nginx;
use e2e::raw::Raw;
use e2e::redis::Redis;
use e2e::skip;
use e2e::until::{SOON, until};
use e2e::veil::Veil;
use tempfile::TempDir;

use super::{folder, veil};

#[test]
fn a_tenant_that_backends_do_not_hear_of_is_told_apart_all_the_same() {
    let backend = counting();
    let veil = veil(
        "{ request_headers: { remove: [X-Tenant] } },
         { result_cache: { store: { memory: {} }, version: '1', tenant: $header_x_tenant } }",
        Some(&backend),
    );
    let post = |tenant: &str| {
        let request = client().post(veil.url("/")).header("x-tenant", tenant).body("same");
        request.send().unwrap().text().unwrap()
    };
    let kept = |tenant: &str| {
        let twice = || Some(post(tenant)).filter(|one| *one == post(tenant));
        until("it is kept", SOON, twice)
    };
    let (one, other) = (kept("a"), kept("b"));
    assert_ne!(one, other);
    assert_eq!((post("a"), post("b")), (one, other));
}

#[test]
fn a_pipe_among_the_answers_is_none() {
    let (home, backend) = (home(), counting());
    let veil = keeping(&in_folder(&home), &backend);
    let post = || {
        client()
            .post(veil.url("/"))
            .body("same")
            .send()
            .unwrap()
            .text()
            .unwrap()
    };
    let kept = || fs::read_dir(home.path().join("kept")).unwrap().next();
    // One that is still written has another name.
    until("it is kept", SOON, || (post() == post()).then_some(()));
    let file = until("it is there", SOON, || kept()?.ok()).path();
    fs::remove_file(&file).unwrap();
    let made = Command::new("mkfifo").arg(&file).status().unwrap();
    assert!(made.success());
    let before = post();
    until("an answer is in its place", SOON, || file.is_file().then_some(()));
    assert_eq!(post(), before);
}

/// Gives each request an answer of its own.
fn counting() -> Backend {
    let asked = AtomicUsize::new(0);
    Backend::start(move |_| Answer::ok(&format!("{SECRET} {}", asked.fetch_add(1, Ordering::Relaxed))))
}

fn keeping(store: &str, backend: &Backend) -> Veil {
    veil(
        &format!("{{ result_cache: {{ store: {{ {store} }}, version: '1' }} }}"),
        Some(backend),
    )
}

/// With a folder for answers, and a key.
fn home() -> TempDir {
    let home = folder(&[("key", &[7; 32])]);
    fs::create_dir(home.path().join("kept")).unwrap();
    home
}

fn in_folder(home: &TempDir) -> String {
    let home = home.path().display();
    format!("folder: {{ path: {home}/kept, key_file: {home}/key }}")
}

fn in_redis(home: &TempDir, address: SocketAddr) -> String {
    format!(
        "redis: {{ url: 'redis://{address}', key_file: {}/key }}",
        home.path().display()
    )
}

struct Said {
    text: String,
    is_kept: bool,
}

fn send(veil: &Veil, path: &str, fields: &[(&str, &str)], body: &str) -> Said {
    let request = client()
        .post(veil.url(path))
        .header("Host", "pictures.example")
        .body(body.to_owned());
    let request = fields
        .iter()
        .fold(request, |request, (name, value)| request.header(name, value));
    let answer = request.send().unwrap();
    assert_eq!(answer.status(), 200);
    Said {
        is_kept: answer.headers().contains_key("cache-status"),
        text: answer.text().unwrap(),
    }
}

/// Sends it until it is answered by the store; what that says. What is kept is kept after it was answered.
fn kept(veil: &Veil, body: &str) -> String {
    until("the answer is kept", SOON, || {
        Some(send(veil, "/", &[], body)).filter(|said| said.is_kept)
    })
    .text
}

#[test]
fn the_same_is_answered_from_every_store() {
    let home = home();
    let redis = Redis::binary().map(|binary| Redis::start(&binary, Nginx::free_address()));
    if redis.is_none() {
        skip("results: redis", "neither redis-server nor valkey-server is installed");
    }
    let stores = ["memory: {}".to_owned(), in_folder(&home)];
    for store in stores
        .into_iter()
        .chain(redis.iter().map(|redis| in_redis(&home, redis.address)))
    {
        let backend = counting();
        let veil = keeping(&store, &backend);
        let large = "x".repeat(3 << 20);
        for body in ["a", "b", &large] {
            let first = send(&veil, "/", &[], body);
            assert!(!first.is_kept, "{store}");
            assert_eq!(kept(&veil, body).split(' ').next(), Some(SECRET));
        }
        let (asked, a, b) = (backend.received().len(), kept(&veil, "a"), kept(&veil, "b"));
        assert_ne!(a, b);
        assert_eq!(backend.received().len(), asked, "{store}");
        assert!(veil.metric("veil_result_cache_total{result=\"hit\",route=\"/\"}") >= 5.0);
        assert!(veil.metric("veil_result_cache_total{result=\"miss\",route=\"/\"}") >= 3.0);
    }
}

#[test]
fn whatever_a_backend_may_look_at_tells_requests_apart() {
    let backend = counting();
    let filters = "{ request_headers: { remove: [Accept-Language], set: { X-Made: '$header_accept_language' } }, when: 'header(\"x-make\") == \"1\"' }, \
        { result_cache: { store: { memory: {} }, version: '1' } }";
    let veil = veil(filters, Some(&backend));
    let base = kept(&veil, "a");
    for (path, fields) in [
        ("/?effect=blur", &[][..]),
        ("/other", &[]),
        ("/", &[("X-Original-Host", "evil")]),
        ("/", &[("Cookie", "session=1")]),
        ("/", &[("Authorization", "Basic YTpi")]),
        ("/", &[("Accept", "image/webp")]),
        ("/", &[("Content-Type", "image/png")]),
        ("/", &[("Content-Encoding", "gzip")]),
        ("/", &[("Range", "bytes=0-0")]),
        ("/", &[("X-Make", "1"), ("Accept-Language", "en")]),
        ("/", &[("X-Make", "1"), ("Accept-Language", "zh")]),
    ] {
        assert!(!send(&veil, path, fields, "a").is_kept, "{path} {fields:?}");
    }
    // The last is only believed of proxies, and reaches no backend.
    for way in [
        ("User-Agent", "another"),
        ("X-Request-Id", "1"),
        ("X-Forwarded-For", "192.0.2.1"),
        ("X-Forwarded-Host", "evil"),
    ] {
        assert_eq!(send(&veil, "/", &[way], "a").text, base, "{way:?}");
    }
}

#[test]
fn a_form_is_the_same_whatever_its_boundary() {
    let backend = counting();
    let veil = keeping("memory: {}", &backend);
    let form = |boundary: &str, picture: &str| {
        let media_type = format!("multipart/form-data; boundary={boundary}");
        let head = "Content-Disposition: form-data; name=\"image\"; filename=\"a\"";
        let body = format!("--{boundary}\r\n{head}\r\n\r\n{picture}\r\n--{boundary}--\r\n");
        send(&veil, "/", &[("Content-Type", &media_type)], &body)
    };
    let large = "p".repeat(1 << 20);
    let first = form("one", &large).text;
    until("it is kept", SOON, || form("one", &large).is_kept.then_some(()));
    assert!(form("another", &large).is_kept);
    assert!(!form("another", "q").is_kept);
    assert_ne!(form("another", "q").text, first);
    assert!(!form("x", "x").is_kept);
    assert!(!form("x", "x").is_kept, "who knows where its parts end");
    assert_eq!(
        veil.metric("veil_result_cache_total{result=\"bypass\",route=\"/\"}"),
        2.0
    );
}

#[test]
fn what_is_not_a_good_and_whole_answer_is_not_kept() {
    let whole = |head: &str| {
        Answer::Parts(vec![
            Part::Bytes(format!("HTTP/1.1 {head}\r\n\r\nok").into_bytes()),
            Part::Close,
        ])
    };
    let backend = Backend::start(move |request| match request.path() {
        "/missing" => Answer::status(404),
        "/cookie" => whole("200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 2"),
        "/partial" => whole("206 Partial\r\nContent-Range: bytes 0-1/9\r\nContent-Length: 2"),
        "/until-the-end" => whole("200 OK\r\nConnection: close"),
        "/vary" => whole("200 OK\r\nVary: User-Agent\r\nContent-Length: 2"),
        "/broken" => whole("200 OK\r\nContent-Length: 1000"),
        _ => Answer::ok("good"),
    });
    let veil = keeping("memory: {}", &backend);
    for path in ["/missing", "/cookie", "/partial", "/until-the-end", "/vary", "/broken"] {
        for _ in 0..3 {
            let _ = client().post(veil.url(path)).body("a").send().map(e2e::Response::bytes);
        }
    }
    kept(&veil, "something else");
    assert_eq!(veil.metric("veil_result_cache_total{result=\"hit\",route=\"/\"}"), 1.0);
    assert!(!send(&veil, "/vary", &[], "a").is_kept);
}

#[test]
fn proxies_share_what_they_keep_and_nobody_else_can_read_it() {
    let (home, backend) = (home(), counting());
    let (one, other) = (
        keeping(&in_folder(&home), &backend),
        keeping(&in_folder(&home), &backend),
    );
    let said = kept(&one, BODY);
    assert_eq!(kept(&other, BODY), said);
    for file in files(&home) {
        let bytes = fs::read(file).unwrap();
        let shows = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(!shows(SECRET) && !shows(BODY) && !shows("content-length"));
    }
    let newer = super::veil(
        &format!(
            "{{ result_cache: {{ store: {{ {} }}, version: '2' }} }}",
            in_folder(&home)
        ),
        Some(&backend),
    );
    assert!(!send(&newer, "/", &[], BODY).is_kept, "of another model");
    fs::write(home.path().join("key"), [8; 32]).unwrap();
    let stranger = keeping(&in_folder(&home), &backend);
    assert!(!send(&stranger, "/", &[], BODY).is_kept, "another key");
}

#[test]
fn an_answer_that_was_changed_is_none() {
    let (home, backend) = (home(), counting());
    let veil = keeping(&in_folder(&home), &backend);
    let changes: [&dyn Fn(&Path); 5] = [
        &|file| fs::write(file, "").unwrap(),
        &|file| fs::write(file, [0; 1000]).unwrap(),
        &|file| {
            let mut bytes = fs::read(file).unwrap();
            bytes[20] ^= 1;
            fs::write(file, bytes).unwrap();
        },
        &|file| {
            let bytes = fs::read(file).unwrap();
            fs::write(file, &bytes[..bytes.len() - 1]).unwrap();
        },
        &|file| fs::remove_file(file).unwrap(),
    ];
    for change in changes {
        let before = kept(&veil, "a");
        files(&home).iter().for_each(|file| change(file));
        let after = send(&veil, "/", &[], "a");
        assert!(!after.is_kept && after.text != before);
    }
    // An answer under another's name.
    kept(&veil, "a");
    kept(&veil, "b");
    let both = files(&home);
    fs::copy(&both[0], &both[1]).unwrap();
    let kept = ["a", "b"].map(|body| send(&veil, "/", &[], body).is_kept);
    assert_eq!(kept.iter().filter(|kept| **kept).count(), 1);
}

#[test]
fn only_what_is_asked_for_or_posted_is_kept() {
    let backend = counting();
    let veil = veil(
        "{ result_cache: { store: { memory: {} }, version: '1' } }",
        Some(&backend),
    );
    let twice = |method: &str| {
        [(); 2].map(|()| {
            let head = format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nConnection: close\r\n\r\na");
            let answer = Raw::connect(veil.public).send(head).rest();
            String::from_utf8(answer)
                .unwrap()
                .rsplit("\r\n")
                .next()
                .unwrap()
                .to_owned()
        })
    };
    for method in ["DELETE", "PUT", "PATCH"] {
        let [one, other] = twice(method);
        assert_ne!(one, other, "{method}");
    }
    for method in ["GET", "POST"] {
        twice(method);
        until(method, SOON, || {
            let [one, other] = twice(method);
            (one == other).then_some(())
        });
    }
}

/// Others' caches have kept what a client that left has not waited for, half compressed, or beside the request that came next.
#[test]
fn what_others_got_wrong_comes_whole() {
    let text = "what-nobody-else-may-read ".repeat(40_000);
    let answer = Answer::ok(&text);
    let backend = Backend::start(move |_| answer.clone());
    let veil = veil(
        "{ compression: { least_size: 1B, types: [text/plain] } }, { response_headers: { default: { Content-Type: text/plain } } }, \
         { result_cache: { store: { memory: {} }, version: '1' } }",
        Some(&backend),
    );
    let request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n";
    for _ in 0..5 {
        let mut leaving = Raw::connect_slow(veil.public);
        leaving.send(format!("{request}a")).read(100);
    }
    let mut connection = Raw::connect(veil.public);
    for body in ["a", "b", "a", "b", "a"] {
        let said = connection.send(format!("{request}{body}")).response();
        assert_eq!((said.status(), said.body.len()), (200, text.len()));
    }
    let packed = || {
        let request = client().post(veil.url("/")).header("Accept-Encoding", "gzip").body("a");
        let answer = request.send().unwrap();
        assert_eq!(answer.headers()["content-encoding"], "gzip");
        (
            answer.headers().contains_key("cache-status"),
            unpacked(&answer.bytes().unwrap()),
        )
    };
    assert!(packed().1 == text);
    until("it is kept", SOON, || packed().0.then_some(()));
    assert!(packed().1 == text);
    let both = connection.send(format!("{request}a{request}b"));
    assert_eq!([both.response().status(), both.response().status()], [200, 200]);
}

#[test]
fn many_of_the_same_at_once_are_all_answered() {
    let backend = counting();
    let veil = keeping("memory: {}", &backend);
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| (0..5).for_each(|_| assert!(send(&veil, "/", &[], "a").text.starts_with(SECRET))));
        }
    });
    kept(&veil, "a");
}

fn unpacked(bytes: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, bytes).unwrap();
    let gzip = Command::new("gzip")
        .arg("-dc")
        .stdin(file.reopen().unwrap())
        .output()
        .unwrap();
    String::from_utf8(gzip.stdout).unwrap()
}

fn files(home: &TempDir) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(home.path().join("kept")).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

const SECRET: &str = "what-nobody-else-may-read";
const BODY: &str = "nor-may-anybody-read-this";
