//! Requests whose length can be read in two ways are refused, closed, and never seen by a worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use e2e::backend::{Answer, Backend, Gate, Part, digest};
use e2e::raw::{Raw, Response};
use e2e::veil::{Veil, configuration};

/// Requests that no two readers may take for different ones.
const MALFORMED: &[(&str, &str)] = &[
    (
        "length and coding",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "coding and length",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    ),
    (
        "coding twice",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "coding listed twice",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "another coding first",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "identity",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\nContent-Length: 1\r\n\r\na",
    ),
    (
        "an unknown coding",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "a coding hidden by a control character",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "a coding on HTTP/1.0",
        "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "length twice, the same",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
    ),
    (
        "length twice, different",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    ),
    (
        "length as a list",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1, 1\r\n\r\na",
    ),
    (
        "length with a plus",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +1\r\n\r\na",
    ),
    (
        "length with a minus",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\na",
    ),
    (
        "length with a space within",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1 1\r\n\r\na",
    ),
    (
        "length beyond 64 bits",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551617\r\n\r\na",
    ),
    (
        "hexadecimal length",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x1\r\n\r\na",
    ),
    ("empty length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n"),
    (
        "chunk size of no digits",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\r\n\r\n",
    ),
    (
        "chunk size with a sign",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n",
    ),
    (
        "chunk size with a prefix",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
    ),
    (
        "chunk size with a space",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1 \r\na\r\n0\r\n\r\n",
    ),
    (
        "chunk size beyond 64 bits",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\na\r\n0\r\n\r\n",
    ),
    (
        "chunk size with a bare LF",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n",
    ),
    (
        "bare LF in an extension",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;a\nb\r\na\r\n0\r\n\r\n",
    ),
    (
        "chunk longer than its size",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
    ),
    (
        "chunk ended by LF",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\n0\r\n\r\n",
    ),
    (
        "chunk ended by CR",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r0\r\n\r\n",
    ),
    (
        "chunk not ended",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na0\r\n\r\n",
    ),
    (
        "last chunk ended by LF",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\n",
    ),
    (
        "malformed trailer",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nno colon\r\n\r\n",
    ),
    ("folded field", "GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n"),
    (
        "folded length",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n 1\r\n\r\na",
    ),
    ("bare LF after a field", "GET / HTTP/1.1\r\nHost: h\nA: b\r\n\r\n"),
    ("bare LF everywhere", "GET / HTTP/1.1\nHost: h\n\n"),
    ("bare CR in a field", "GET / HTTP/1.1\r\nHost: h\r\nA: b\rc\r\n\r\n"),
    (
        "space before a colon",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length : 1\r\n\r\na",
    ),
    (
        "tab before a colon",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
    ),
    ("field without a name", "GET / HTTP/1.1\r\nHost: h\r\n: b\r\n\r\n"),
    ("field without a colon", "GET / HTTP/1.1\r\nHost: h\r\nabc\r\n\r\n"),
    ("parenthesis in a name", "GET / HTTP/1.1\r\nHost: h\r\nA(b): c\r\n\r\n"),
    ("zero byte in a name", "GET / HTTP/1.1\r\nHost: h\r\nA\0: c\r\n\r\n"),
    ("zero byte in a value", "GET / HTTP/1.1\r\nHost: h\r\nA: \0\r\n\r\n"),
    ("field before the first name", "GET / HTTP/1.1\r\n Host: h\r\n\r\n"),
    ("no host", "GET / HTTP/1.1\r\n\r\n"),
    ("two hosts", "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n"),
    ("two different hosts", "GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n"),
    ("two names in a host", "GET / HTTP/1.1\r\nHost: h, i\r\n\r\n"),
    ("user information in a host", "GET / HTTP/1.1\r\nHost: u@h\r\n\r\n"),
    ("empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n"),
    (
        "user information in a target",
        "GET http://u@h/ HTTP/1.1\r\nHost: h\r\n\r\n",
    ),
    ("space in a target", "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("two spaces", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("control character in a target", "GET /\x01 HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("target that is no path", "GET a HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("method with a colon", "GE:T / HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("no version", "GET /\r\nHost: h\r\n\r\n"),
    ("lower case version", "GET / http/1.1\r\nHost: h\r\n\r\n"),
    ("version 2", "GET / HTTP/2.0\r\nHost: h\r\n\r\n"),
    ("version 1.2", "GET / HTTP/1.2\r\nHost: h\r\n\r\n"),
    ("TLS", "\x16\x03\x01\x02"),
    (
        "a coding behind a tab and a dot",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \tchunked.\r\n\r\n0\r\n\r\n",
    ),
    (
        "a length with a space inside",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1 2\r\n\r\nupload upload",
    ),
    (
        "an empty length",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \r\n\r\nupload",
    ),
    (
        "a length beyond 64 bits",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999999\r\n\r\nupload",
    ),
    (
        "a folded header",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "a Host that Connection says not to pass on",
        "POST / HTTP/1.1\r\nHost: h\r\nConnection: host\r\nContent-Length: 6\r\n\r\nupload",
    ),
    (
        "a malformed Connection",
        "POST / HTTP/1.1\r\nHost: h\r\nConnection: \"\r\n\r\n",
    ),
    (
        "a chunk size that is no number",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nupload\r\n0\r\n\r\n",
    ),
    (
        "a negative chunk size",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n-6\r\nupload\r\n0\r\n\r\n",
    ),
    (
        "a chunk size beyond 64 bits",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000006\r\nupload\r\n0\r\n\r\n",
    ),
];

#[test]
fn refuses_what_two_readers_could_take_for_two_requests() {
    let (backend, heads) = counting_backend();
    let veil = veil(&backend);
    for (what, request) in MALFORMED {
        let mut client = Raw::connect(veil.public);
        // A request behind it must not come through either.
        client.send(request).send("GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_malformed(&mut client, what);
    }
    assert_eq!(heads.load(Ordering::Relaxed), 0, "a worker saw one of them");
}

#[test]
fn refuses_it_however_the_bytes_arrive() {
    let (backend, heads) = counting_backend();
    let veil = veil(&backend);
    for (what, request) in MALFORMED {
        let mut client = Raw::connect(veil.public);
        for byte in request.as_bytes() {
            client.send([*byte]);
        }
        assert_malformed(&mut client, what);
    }
    assert_eq!(heads.load(Ordering::Relaxed), 0, "a worker saw one of them");
}

#[test]
fn answers_what_came_before_and_refuses_the_rest() {
    let backend = Backend::start(|_| Answer::Echo);
    let veil = veil(&backend);
    let mut client = Raw::connect(veil.public);
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET /smuggled HTTP/1.1\r\nX: y\r\n\r\n");
    assert_eq!(client.response().body, b"abc");
    assert_refused(&mut client, 400, "no host in the second");
    assert_eq!(backend.received().len(), 1);
}

#[test]
fn takes_unusual_requests_that_are_right() {
    let backend = Backend::start(|_| Answer::Echo);
    let veil = veil(&backend);
    let mut client = Raw::connect(veil.public);
    for request in [
        "POST / HTTP/1.1\r\nhOsT:h\r\ncontent-length:\t0003 \r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: CHUNKED\r\n\r\n3;x=\"y\"\r\nabc\r\n00\r\nA: b\r\n\r\n",
        "\r\nPOST http://h/ HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
        "POST /\u{e4} HTTP/1.1\r\nHost: h\r\nX: \u{e4}\r\nContent-Length: 3\r\n\r\nabc",
    ] {
        let response = client.send(request).response();
        assert_eq!((response.status(), &response.body[..]), (200, &b"abc"[..]), "{request}");
    }
    assert_eq!(backend.received()[2].path(), "/", "a backend gets the path alone");
}

#[test]
fn refuses_heads_that_are_too_long_or_too_late() {
    const HEAD_LIMIT: usize = 8 << 10;
    let backend = Backend::start(|_| Answer::Echo);
    let configuration = configuration(&format!("{{ backends: [{{ address: {} }}] }}", backend.address));
    let limits = "127.0.0.1:0, max_head: 8KiB, timeouts: { head: 500ms } } }\nadmin";
    let veil = Veil::start(&configuration.replace("127.0.0.1:0 } }\nadmin", limits));
    let long = format!("GET / HTTP/1.1\r\nHost: h\r\nA: {}\r\n\r\n", "b".repeat(20_000));
    let many = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "A: b\r\n".repeat(200));
    for request in [long, many] {
        assert_refused(Raw::connect(veil.public).send(request), 431, "a long head");
    }
    for (length, status) in [(HEAD_LIMIT, 200), (HEAD_LIMIT + 1, 431)] {
        let fixed = "GET / HTTP/1.1\r\nHost: h\r\nA: \r\n\r\n".len();
        let request = format!("GET / HTTP/1.1\r\nHost: h\r\nA: {}\r\n\r\n", "b".repeat(length - fixed));
        let response = Raw::connect(veil.public).send(request).response();
        assert_eq!(response.status(), status, "{length} bytes");
    }
    assert_refused(
        Raw::connect(veil.public).send("GET / HTTP/1.1\r\nHo"),
        408,
        "half a head",
    );
    let mut extensions = Raw::connect(veil.public);
    extensions
        .send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        .send(format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(5_000)));
    assert_refused(&mut extensions, 400, "long extensions");
    assert_eq!(backend.received().len(), 1, "the one that is as long as it may be");
}

#[test]
fn steps_aside_once_a_connection_changes_its_protocol() {
    let switched = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    let gate = Gate::default();
    let parts = vec![
        Part::Bytes(switched.to_vec()),
        Part::Gate(gate.clone()),
        Part::Bytes(vec![0x82, 0x02, 0x0a, 0x0a]),
    ];
    let backend = Backend::start(move |request| {
        assert_eq!(request.header("upgrade"), Some("websocket"));
        Answer::Parts(parts.clone())
    });
    let veil = veil(&backend);
    let mut client = Raw::connect(veil.public);
    client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert!(client.head().starts_with("HTTP/1.1 101"));
    client.send([0x82, 0x02, 0x0a, 0x0a]);
    gate.open();
    assert_eq!(client.read(4), [0x82, 0x02, 0x0a, 0x0a]);
}

#[test]
fn gives_the_rest_of_a_refused_request_to_nobody() {
    let (backend, heads) = counting_backend();
    let veil = Veil::over(&format!("{{ backends: [{{ address: {} }}] }}", backend.address));
    let smuggled = "GET /admin HTTP/1.1\r\nHost: test\r\n\r\n";
    let request = format!(
        "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}",
        5 + smuggled.len()
    );
    let mut client = Raw::connect(veil.public);
    assert_eq!(client.send(request).response().status(), 400);
    assert!(client.rest().is_empty());
    assert_eq!(heads.load(Ordering::Relaxed), 0);
}

#[test]
fn answers_pipelined_requests_in_order() {
    let backend = Backend::start(|request| Answer::ok(request.path()));
    let veil = Veil::over(&format!("{{ backends: [{{ address: {} }}] }}", backend.address));
    let mut client = Raw::connect(veil.public);
    client.send(
        "GET /first HTTP/1.1\r\nHost: test\r\n\r\n\
         POST /second HTTP/1.1\r\nHost: test\r\nContent-Length: 6\r\n\r\nupload\
         POST /third HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nupload\r\n0\r\n\r\n\
         GET /fourth HTTP/1.1\r\nHost: test\r\n\r\n",
    );
    for path in ["/first", "/second", "/third", "/fourth"] {
        let response = client.response();
        assert_eq!(
            (response.status(), String::from_utf8_lossy(&response.body).as_ref()),
            (200, path)
        );
    }
}

#[test]
fn asks_for_the_body_that_a_client_holds_back() {
    let backend = Backend::named("backend");
    let veil = Veil::over(&format!("{{ backends: [{{ address: {} }}] }}", backend.address));
    let mut client = Raw::connect(veil.public);
    client.send("POST / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 6\r\n\r\n");
    assert_eq!(client.response().status(), 100);
    assert_eq!(client.send("upload").response().status(), 200);
    assert_eq!(backend.received()[0].body_digest, digest(b"upload"));
}

fn veil(backend: &Backend) -> Veil {
    Veil::over(&format!("{{ backends: [{{ address: {} }}] }}", backend.address))
}

/// The connection's answer is a problem document that names the rule, and its last.
fn assert_refused(client: &mut Raw, status: u16, what: &str) {
    let response = client.response();
    assert_eq!(response.status(), status, "{what}: {}", response.head);
    assert_is_refusal(client, &response, what);
}

/// A coding that is only unknown is refused as such.
fn assert_malformed(client: &mut Raw, what: &str) {
    let response = client.response();
    let document: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
    let is_unknown = document["reason"] == "unknown_coding";
    let status = if is_unknown { 501 } else { 400 };
    assert_eq!(response.status(), status, "{what}: {}", response.head);
    assert_is_refusal(client, &response, what);
}

fn assert_is_refusal(client: &mut Raw, response: &Response, what: &str) {
    assert_eq!(
        response.header("content-type"),
        Some("application/problem+json"),
        "{what}"
    );
    assert_eq!(response.header("connection"), Some("close"), "{what}");
    if matches!(response.status(), 400 | 501) {
        let document: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
        assert!(document["reason"].is_string(), "{what}: {document}");
    }
    assert!(client.rest().is_empty(), "{what}: something follows the refusal");
}

/// A backend, and how many heads it has seen.
fn counting_backend() -> (Backend, Arc<AtomicUsize>) {
    let heads = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&heads);
    let backend = Backend::start(move |_| {
        seen.fetch_add(1, Ordering::Relaxed);
        Answer::ok("served")
    });
    (backend, heads)
}
