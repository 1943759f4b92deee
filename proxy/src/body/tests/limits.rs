//! What a body has to keep to.

use std::time::Duration;

use tokio::task::JoinSet;

use super::harness::{Backend, Proxy, Script, until, within};
use crate::body::BodyConfig;

fn config(yaml: &str) -> BodyConfig {
    serde_yaml::from_str(yaml).unwrap()
}

#[tokio::test]
async fn refuses_a_body_that_is_too_large() {
    let backend = Backend::start(Script::Echo).await;
    let proxy = Proxy::start(config("{ max_size: 10B }"), &[&backend]).await;
    for request in [
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n6\r\nabcdef\r\n",
    ] {
        let mut client = proxy.connect().await;
        let answer = client.send(request).await.answer().await;
        assert_eq!(answer.status, 413, "{request}");
        assert!(answer.body.windows(14).any(|part| part == b"body_too_large"));
        assert!(client.is_closed().await);
    }
    assert!(backend.heads().is_empty());
    let exact = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n0123456789";
    assert_eq!(proxy.connect().await.send(exact).await.answer().await.status, 200);
}

#[tokio::test]
async fn the_client_gets_its_413_while_it_still_sends() {
    let backend = Backend::start(Script::Echo).await;
    let proxy = Proxy::start(config("{ max_size: 1KiB }"), &[&backend]).await;
    let mut client = proxy.connect().await;
    client
        .send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 20000000\r\n\r\n")
        .await;
    client.send(vec![7; 20_000_000]).await;
    assert_eq!(client.answer().await.status, 413);
}

#[tokio::test]
async fn answers_expect_before_the_body_comes() {
    let backend = Backend::start(Script::Echo).await;
    let dead = Backend::start(Script::DieAfterBody).await;
    let proxy = Proxy::start(BodyConfig::default(), &[&dead, &backend]).await;
    let mut client = proxy.connect().await;
    for _ in 0..2 {
        client
            .send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
            .await;
        assert_eq!(client.answer().await.status, 100);
        let answer = client.send("abc").await.answer().await;
        assert_eq!((answer.status, &answer.body[..]), (200, &b"abc"[..]));
    }
    assert!(
        backend
            .heads()
            .iter()
            .all(|head| !head.to_lowercase().contains("expect"))
    );
}

#[tokio::test]
async fn refuses_a_client_that_is_too_slow() {
    let backend = Backend::start(Script::Echo).await;
    for limits in ["{ patience: 50ms, least_rate: 1MiB }", "{ deadline: 50ms }"] {
        let proxy = Proxy::start(config(limits), &[&backend]).await;
        let mut client = proxy.connect().await;
        let answer = client
            .send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc")
            .await
            .answer()
            .await;
        assert_eq!(answer.status, 408);
        assert!(client.is_closed().await);
        until(|| proxy.budget.in_use() == 0).await;
    }
    assert!(backend.heads().is_empty());
}

#[tokio::test]
async fn a_streamed_body_keeps_to_the_same_limits() {
    let counted = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc";
    let chunked = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n6\r\nabcdef\r\n";
    for (limits, request, status) in [
        ("{ buffering: off, patience: 50ms, least_rate: 1MiB }", counted, 408),
        ("{ buffering: off, deadline: 50ms }", counted, 408),
        ("{ buffering: off, max_size: 10B }", chunked, 413),
    ] {
        let backend = Backend::start(Script::Hang).await;
        let proxy = Proxy::start(config(limits), &[&backend]).await;
        let mut client = proxy.connect().await;
        assert_eq!(client.send(request).await.answer().await.status, status, "{limits}");
        assert!(client.is_closed().await);
        until(|| !backend.heads().is_empty()).await;
    }
}

#[tokio::test]
async fn a_streamed_body_that_drips_is_too_slow() {
    let backend = Backend::start(Script::Hang).await;
    let proxy = Proxy::start(
        config("{ buffering: off, patience: 50ms, least_rate: 1KiB }"),
        &[&backend],
    )
    .await;
    let mut client = proxy.connect().await;
    client
        .send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n")
        .await;
    // Each byte comes long before any timeout between two reads.
    while !client.has_answer_within(Duration::from_millis(5)).await {
        client.send("x").await;
    }
    assert_eq!(client.answer().await.status, 408);
}

#[tokio::test]
async fn a_streamed_body_over_http2_keeps_to_them_too() {
    let backend = Backend::start(Script::Hang).await;
    let proxy = Proxy::start(config("{ buffering: off, patience: 50ms }"), &[&backend]).await;
    let stream = tokio::net::TcpStream::connect(proxy.address).await.unwrap();
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::post("http://h/").body(()).unwrap();
    let (answer, mut send) = client.send_request(request, false).unwrap();
    send.send_data("abc".into(), false).unwrap();
    assert_eq!(within(answer).await.unwrap().status(), 408);
}

#[tokio::test]
async fn waits_for_memory_and_then_says_busy() {
    let backend = Backend::start(Script::Echo).await;
    let proxy = Proxy::start(config("{ memory: 64KiB, memory_wait: 100ms }"), &[&backend]).await;
    let mut first = proxy.connect().await;
    first
        .send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 40000\r\n\r\n")
        .await;
    until(|| proxy.budget.in_use() > 0).await;

    let mut second = proxy.connect().await;
    let whole = format!(
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 40000\r\n\r\n{}",
        "x".repeat(40_000)
    );
    let answer = second.send(&whole).await.answer().await;
    assert_eq!(answer.status, 503);
    assert!(
        answer.head.contains("etry-After: 1") || answer.head.contains("etry-after: 1"),
        "{}",
        answer.head
    );
    assert!(second.is_closed().await);

    let mut third = proxy.connect().await;
    third.send(&whole).await;
    first.send(vec![b'y'; 40_000]).await;
    assert_eq!(first.answer().await.status, 200);
    assert_eq!(third.answer().await.status, 200, "it was waiting");
}

#[tokio::test]
async fn what_can_never_fit_is_too_large() {
    let backend = Backend::start(Script::Echo).await;
    let proxy = Proxy::start(config("{ memory: 64KiB }"), &[&backend]).await;
    let mut client = proxy.connect().await;
    client
        .send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 70000\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.status, 413);
}

#[tokio::test]
async fn many_uploads_at_once_stay_within_the_budget() {
    let backend = Backend::start(Script::Echo).await;
    let proxy = Proxy::start(
        config("{ memory: 8MiB, memory_wait: 60s, spill_above: 512KiB }"),
        &[&backend],
    )
    .await;
    let mut clients = Vec::new();
    for _ in 0..40 {
        let mut client = proxy.connect().await;
        client
            .send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n")
            .await;
        clients.push(client);
    }
    until(|| proxy.budget.in_use() >= 7 << 20).await;
    let mut uploads = JoinSet::new();
    for mut client in clients {
        uploads.spawn(async move { client.send(vec![b'x'; 1_000_000]).await.answer().await.status });
    }
    until(|| {
        assert!(proxy.budget.in_use() <= 8 << 20);
        while let Some(status) = uploads.try_join_next() {
            assert_eq!(status.unwrap(), 200);
        }
        uploads.is_empty()
    })
    .await;
    until(|| proxy.budget.in_use() == 0).await;
}
