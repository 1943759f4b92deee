//! Each line of strict framing, over a raw socket: the status, a closed connection, and nothing forwarded.

use super::harness::{Backend, HEAD_LIMIT, Proxy, Script, within};
use crate::body::BodyConfig;

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
];

#[tokio::test]
async fn refuses_what_two_readers_could_take_for_two_requests() {
    let backend = Backend::start(Script::Echo).await;
    let proxy = Proxy::start(BodyConfig::default(), &[&backend]).await;
    for (what, request) in MALFORMED {
        let mut client = proxy.connect().await;
        // A request behind it must not come through either.
        client
            .send(request)
            .await
            .send("GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n")
            .await;
        let answer = client.answer().await;
        assert!(
            answer.head.contains("application/problem+json"),
            "{what}: {}",
            answer.head
        );
        let document: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert!(document["reason"].is_string(), "{what}: {document}");
        let status = if document["reason"] == "unknown_coding" {
            501
        } else {
            400
        };
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        assert!(
            answer.head.to_lowercase().contains("connection: close"),
            "{what}: {}",
            answer.head
        );
        assert!(client.is_closed().await, "{what}");
        assert_eq!(backend.heads(), [""; 0], "{what}");
    }
}

#[tokio::test]
async fn refuses_it_however_the_bytes_arrive() {
    let backend = Backend::start(Script::Echo).await;
    let proxy = Proxy::start(BodyConfig::default(), &[&backend]).await;
    for (what, request) in MALFORMED {
        let mut client = proxy.connect().await;
        for byte in request.as_bytes() {
            client.send([*byte]).await;
            tokio::task::yield_now().await;
        }
        assert!(matches!(client.answer().await.status, 400 | 501), "{what}");
        assert!(client.is_closed().await, "{what}");
    }
    assert_eq!(backend.heads(), [""; 0]);
}

#[tokio::test]
async fn answers_what_came_before_and_refuses_the_rest() {
    let backend = Backend::start(Script::Echo).await;
    let proxy = Proxy::start(BodyConfig::default(), &[&backend]).await;
    let mut client = proxy.connect().await;
    let longer = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET /smuggled HTTP/1.1\r\nX: y\r\n\r\n";
    client.send(longer).await;
    assert_eq!(client.answer().await.body, "abc");
    assert_eq!(client.answer().await.status, 400, "no host in the second");
    assert!(client.is_closed().await);
    assert_eq!(backend.heads().len(), 1);
}

#[tokio::test]
async fn takes_unusual_requests_that_are_right() {
    let backend = Backend::start(Script::Echo).await;
    let proxy = Proxy::start(BodyConfig::default(), &[&backend]).await;
    let mut client = proxy.connect().await;
    for request in [
        "POST / HTTP/1.1\r\nhOsT:h\r\ncontent-length:\t0003 \r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: CHUNKED\r\n\r\n3;x=\"y\"\r\nabc\r\n00\r\nA: b\r\n\r\n",
        "\r\nPOST http://h/ HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
        "POST /\u{e4} HTTP/1.1\r\nHost: h\r\nX: \u{e4}\r\nContent-Length: 3\r\n\r\nabc",
    ] {
        let answer = client.send(request).await.answer().await;
        assert_eq!((answer.status, &answer.body[..]), (200, &b"abc"[..]), "{request}");
    }
    assert!(
        backend.heads()[2].starts_with("POST / HTTP/1.1"),
        "a backend gets the path alone"
    );
}

#[tokio::test]
async fn refuses_heads_that_are_too_long_or_too_late() {
    let backend = Backend::start(Script::Echo).await;
    let proxy = Proxy::start(BodyConfig::default(), &[&backend]).await;
    let long = format!("GET / HTTP/1.1\r\nHost: h\r\nA: {}\r\n\r\n", "b".repeat(20_000));
    let many = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "A: b\r\n".repeat(200));
    for request in [long, many] {
        let mut client = proxy.connect().await;
        assert_eq!(client.send(&request).await.answer().await.status, 431);
        assert!(client.is_closed().await);
    }
    for (length, status) in [(HEAD_LIMIT, 200), (HEAD_LIMIT + 1, 431)] {
        let fixed = "GET / HTTP/1.1\r\nHost: h\r\nA: \r\n\r\n".len();
        let request = format!("GET / HTTP/1.1\r\nHost: h\r\nA: {}\r\n\r\n", "b".repeat(length - fixed));
        let mut client = proxy.connect().await;
        assert_eq!(
            client.send(&request).await.answer().await.status,
            status,
            "{length} bytes"
        );
    }
    let mut dripping = proxy.connect().await;
    assert_eq!(dripping.send("GET / HTTP/1.1\r\nHo").await.answer().await.status, 408);
    assert!(dripping.is_closed().await);
    let mut extensions = proxy.connect().await;
    extensions
        .send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    extensions
        .send(format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(5_000)))
        .await;
    assert_eq!(extensions.answer().await.status, 400);
    assert_eq!(backend.heads().len(), 1, "the one that is as long as it may be");
}

#[tokio::test]
async fn steps_aside_once_a_connection_changes_its_protocol() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let backend = Backend {
        address: listener.local_addr().unwrap(),
        heads: Default::default(),
    };
    let proxy = Proxy::start(BodyConfig::default(), &[&backend]).await;
    let echo = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = vec![0; 4096];
        let length = stream.read(&mut head).await.unwrap();
        assert!(
            String::from_utf8_lossy(&head[..length])
                .to_lowercase()
                .contains("upgrade: websocket")
        );
        stream
            .write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
            .await
            .unwrap();
        let mut frame = [0; 4];
        stream.read_exact(&mut frame).await.unwrap();
        stream.write_all(&frame).await.unwrap();
    });
    let mut client = proxy.connect().await;
    client
        .send("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.status, 101);
    client.send([0x82, 0x02, 0x0a, 0x0a]).await;
    within(echo).await.unwrap();
}
