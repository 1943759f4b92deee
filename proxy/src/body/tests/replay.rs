//! Whole bodies, sent again to the next backend.

use bytes::Bytes;

use super::harness::{Backend, Proxy, Script, header, until};
use crate::body::BodyConfig;

fn picture(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index / 251 + index) as u8).collect()
}

fn counted(body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST /v1/blur HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

fn chunked(body: &[u8], chunk: usize) -> Vec<u8> {
    let mut request = b"POST /v1/blur HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for chunk in body.chunks(chunk) {
        request.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        request.extend_from_slice(chunk);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    request
}

#[tokio::test]
async fn the_third_backend_answers_where_two_die() {
    let body = picture(3 << 20);
    let spilling = BodyConfig {
        spill_above: "1MiB".parse().unwrap(),
        ..BodyConfig::default()
    };
    for config in [BodyConfig::default(), spilling] {
        for first in [
            Script::DieBeforeBody,
            Script::DieAmidBody(1 << 20),
            Script::DieAmidHead,
            Script::Busy,
        ] {
            let backends = [
                Backend::refusing().await,
                Backend::start(first).await,
                Backend::start(Script::DieAfterBody).await,
                Backend::start(Script::Echo).await,
            ];
            let proxy = Proxy::start(config.clone(), &backends.each_ref()).await;
            let mut client = proxy.connect().await;
            for request in [
                counted(&body),
                chunked(&body, 10_000),
                counted(b"small"),
                chunked(&body, 1 << 20),
            ] {
                let answer = client.send(&request).await.answer().await;
                assert_eq!(answer.status, 200);
                assert_eq!(header(&answer.head, "connection"), Some("keep-alive"));
                assert!(answer.body == body || answer.body == b"small"[..]);
            }
            let heads = backends[3].heads();
            assert_eq!(heads.len(), 4, "one connection carried all");
            for head in heads {
                assert!(header(&head, "content-length").is_some(), "{head}");
                assert!(header(&head, "transfer-encoding").is_none(), "{head}");
            }
            until(|| proxy.budget.in_use() == 0).await;
        }
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let backend = Backend::start(Script::Echo).await;
    let proxy = Proxy::start(BodyConfig::default(), &[&backend]).await;
    let mut client = proxy.connect().await;
    let bodies = [picture(200_000), picture(1), picture(70_000), picture(300_000)];
    let mut requests = Vec::new();
    for (index, body) in bodies.iter().enumerate() {
        requests.extend(if index % 2 == 0 {
            counted(body)
        } else {
            chunked(body, 999)
        });
        requests.extend(b"GET /next HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    let sender = tokio::spawn({
        let mut writer = proxy.connect().await;
        std::mem::swap(&mut writer, &mut client);
        async move {
            writer.send(&requests).await;
            writer
        }
    });
    let mut client = sender.await.unwrap();
    for body in &bodies {
        assert_eq!(client.answer().await.body, body);
        assert_eq!(client.answer().await.body.len(), 0);
    }
}

#[tokio::test]
async fn a_request_that_comes_while_another_waits_is_answered_after_it() {
    let backend = Backend::start(Script::Echo).await;
    let proxy = Proxy::start(BodyConfig::default(), &[&backend]).await;
    let mut client = proxy.connect().await;
    for piece in [
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab",
        "POST / HTT",
        "P/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r",
        "\nc",
    ] {
        client.send(piece).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(client.answer().await.body, "ab");
    assert_eq!(client.answer().await.body, "c");
}

#[tokio::test]
async fn works_over_http2_in_the_clear() {
    let backends = [
        Backend::start(Script::DieAmidBody(9)).await,
        Backend::start(Script::DieAfterBody).await,
        Backend::start(Script::Echo).await,
    ];
    let proxy = Proxy::start(BodyConfig::default(), &backends.each_ref()).await;
    let stream = tokio::net::TcpStream::connect(proxy.address).await.unwrap();
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let body = picture(1 << 20);
    for _ in 0..2 {
        let request = http::Request::post("http://h/v1/blur").body(()).unwrap();
        let (answer, mut send) = client.send_request(request, false).unwrap();
        let mut rest = Bytes::from(body.clone());
        while !rest.is_empty() {
            send.reserve_capacity(rest.len());
            let granted = std::future::poll_fn(|cx| send.poll_capacity(cx))
                .await
                .unwrap()
                .unwrap();
            let part = rest.split_to(granted.min(rest.len()));
            send.send_data(part, rest.is_empty()).unwrap();
        }
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), 200);
        let (mut back, mut stream) = (Vec::new(), answer.into_body());
        while let Some(part) = stream.data().await {
            let part = part.unwrap();
            stream.flow_control().release_capacity(part.len()).unwrap();
            back.extend_from_slice(&part);
        }
        assert!(back == body);
    }
    let heads = backends[2].heads();
    assert_eq!(header(&heads[0], "host"), Some("h"));
    assert!(heads[0].starts_with("POST /v1/blur HTTP/1.1\r\n"), "{}", heads[0]);
}

#[tokio::test]
async fn a_client_that_leaves_frees_its_memory() {
    let backend = Backend::start(Script::Hang).await;
    let proxy = Proxy::start(BodyConfig::default(), &[&backend]).await;
    let mut waits = proxy.connect().await;
    waits.send(counted(&picture(1 << 20))).await;
    let mut sends = proxy.connect().await;
    sends
        .send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2000000\r\n\r\nsome")
        .await;
    until(|| !backend.heads().is_empty() && proxy.budget.in_use() >= 3_000_000).await;
    drop(waits);
    drop(sends);
    until(|| proxy.budget.in_use() == 0).await;
}

#[tokio::test]
async fn streams_where_buffering_is_off() {
    let backend = Backend::start(Script::Echo).await;
    let config = BodyConfig {
        buffering: crate::body::Buffering::Off,
        ..BodyConfig::default()
    };
    let proxy = Proxy::start(config, &[&backend]).await;
    let mut client = proxy.connect().await;
    client
        .send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc")
        .await;
    until(|| !backend.heads().is_empty()).await;
    assert_eq!(proxy.budget.in_use(), 0);
    assert_eq!(client.send("def").await.answer().await.body, "abcdef");
}
