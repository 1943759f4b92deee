//! Requests whose length can be read in two ways are refused, closed, and never seen by a worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use e2e::backend::{Answer, Backend, digest};
use e2e::raw::Raw;
use e2e::veil::Veil;

const REFUSED: &[(&str, &str)] = &[
    (
        "Content-Length with Transfer-Encoding",
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "Transfer-Encoding with Content-Length",
        "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n",
    ),
    (
        "repeated Transfer-Encoding",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    ("a list of codings", "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    ("chunked twice", "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    (
        "identity",
        "Transfer-Encoding: identity\r\nContent-Length: 6\r\n\r\nupload",
    ),
    ("an unknown coding", "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    (
        "a coding behind a tab and a dot",
        "Transfer-Encoding: \tchunked.\r\n\r\n0\r\n\r\n",
    ),
    (
        "repeated Content-Length, equal",
        "Content-Length: 6\r\nContent-Length: 6\r\n\r\nupload",
    ),
    (
        "repeated Content-Length, unequal",
        "Content-Length: 6\r\nContent-Length: 5\r\n\r\nupload",
    ),
    ("a list of lengths", "Content-Length: 6, 6\r\n\r\nupload"),
    ("a signed length", "Content-Length: +6\r\n\r\nupload"),
    ("a negative length", "Content-Length: -6\r\n\r\nupload"),
    ("a hexadecimal length", "Content-Length: 0x6\r\n\r\nupload"),
    (
        "a length with a space inside",
        "Content-Length: 1 2\r\n\r\nupload upload",
    ),
    ("an empty length", "Content-Length: \r\n\r\nupload"),
    (
        "a length beyond 64 bits",
        "Content-Length: 99999999999999999999999\r\n\r\nupload",
    ),
    ("a space before the colon", "Content-Length : 6\r\n\r\nupload"),
    ("a folded header", "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"),
    (
        "a Host that Connection says not to pass on",
        "Connection: host\r\nContent-Length: 6\r\n\r\nupload",
    ),
    ("a malformed Connection", "Connection: \"\r\n\r\n"),
    (
        "a chunk size that is no number",
        "Transfer-Encoding: chunked\r\n\r\nxyz\r\nupload\r\n0\r\n\r\n",
    ),
    (
        "a chunk size with 0x",
        "Transfer-Encoding: chunked\r\n\r\n0x6\r\nupload\r\n0\r\n\r\n",
    ),
    (
        "a negative chunk size",
        "Transfer-Encoding: chunked\r\n\r\n-6\r\nupload\r\n0\r\n\r\n",
    ),
    (
        "a chunk size beyond 64 bits",
        "Transfer-Encoding: chunked\r\n\r\n10000000000000006\r\nupload\r\n0\r\n\r\n",
    ),
    (
        "an empty chunk size",
        "Transfer-Encoding: chunked\r\n\r\n\r\nupload\r\n0\r\n\r\n",
    ),
    (
        "a chunk longer than its size",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nupload\r\n0\r\n\r\n",
    ),
    (
        "a chunk without its end",
        "Transfer-Encoding: chunked\r\n\r\n6\r\nupload0\r\n\r\n",
    ),
    (
        "a chunk that ends in a bare LF",
        "Transfer-Encoding: chunked\r\n\r\n6\r\nupload\n0\r\n\r\n",
    ),
    (
        "a chunk size that ends in a bare LF",
        "Transfer-Encoding: chunked\r\n\r\n6\nupload\r\n0\r\n\r\n",
    ),
];

#[test]
fn refuses_framing_that_can_be_read_in_two_ways() {
    let (backend, heads) = counting_backend();
    let veil = Veil::over(&format!("{{ backends: [{{ address: {} }}] }}", backend.address));
    for (what, rest) in REFUSED {
        let mut client = Raw::connect(veil.public);
        let response = client
            .send(format!("POST /v1/blur HTTP/1.1\r\nHost: test\r\n{rest}"))
            .response();
        let document: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
        let status = if document["reason"] == "unknown_coding" {
            501
        } else {
            400
        };
        assert_eq!(response.status(), status, "{what}: {}", response.head);
        assert!(document["reason"].is_string(), "{what}: {document}");
        assert!(client.rest().is_empty(), "{what}: something follows the refusal");
    }
    assert_eq!(heads.load(Ordering::Relaxed), 0, "a worker saw one of them");
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
