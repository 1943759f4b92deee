//! Filters that make answers, or others of them.

use std::time::Duration;

use e2e::backend::{Answer, Backend};
use e2e::client;
use e2e::raw::Raw;

use super::{ask, folder, html, veil, veil_with};

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
    assert_eq!((posted.status(), posted.header("Allow")), (405, Some("GET, HEAD")));
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
