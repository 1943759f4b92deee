//! HTTP/2 with prior knowledge, one connection each.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest, handshake};
use h2::{PingPong, Reason, RecvStream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::{sleep, timeout};

use crate::tls::Tls;

/// Posts `body`; gives the answer's status and its body.
pub fn post(address: SocketAddr, path: &str, body: Bytes) -> (u16, Vec<u8>) {
    let exchange = async {
        let (answer, mut sender) = connect(address)
            .await
            .send_request(request("POST", address, path), false)?;
        sender.send_data(body, true)?;
        let (head, chunks) = answer.await?.into_parts();
        let (said, reason) = read(chunks).await;
        assert_eq!(reason, None, "the answer broke off");
        Ok::<_, h2::Error>((head.status.as_u16(), said))
    };
    runtime().block_on(exchange).expect("the exchange goes well")
}

/// Posts a body and does not end it; gives the answer's status.
pub fn post_part(address: SocketAddr, path: &str, part: Bytes) -> u16 {
    let exchange = async {
        let (answer, mut sender) = connect(address)
            .await
            .send_request(request("POST", address, path), false)?;
        sender.send_data(part, false)?;
        Ok::<_, h2::Error>(answer.await?.status().as_u16())
    };
    runtime().block_on(exchange).expect("there is an answer")
}

/// Gets what there is of an answer; its status, its body, and why it broke off.
pub fn get_cut(address: SocketAddr, path: &str) -> (u16, Vec<u8>, Option<Reason>) {
    let exchange = async {
        let (answer, _) = connect(address)
            .await
            .send_request(request("GET", address, path), true)?;
        let (head, chunks) = answer.await?.into_parts();
        let (said, reason) = read(chunks).await;
        Ok::<_, h2::Error>((head.status.as_u16(), said, reason))
    };
    runtime().block_on(exchange).expect("the answer begins")
}

/// Gets an answer with all that belongs to it: how often it was announced, its body, and the fields after that.
pub fn get_whole(address: SocketAddr, path: &str) -> (usize, Vec<u8>, Option<http::HeaderMap>) {
    let exchange = async {
        let (mut answer, _) = connect(address)
            .await
            .send_request(request("GET", address, path), true)?;
        let mut hints = 0;
        let head = loop {
            let next = poll_fn(|cx| match answer.poll_informational(cx) {
                Poll::Ready(Some(hint)) => Poll::Ready(hint.map(|_| None)),
                _ => Pin::new(&mut answer).poll(cx).map_ok(Some),
            });
            match next.await? {
                Some(head) => break head,
                None => hints += 1,
            }
        };
        let mut chunks = head.into_body();
        let mut said = Vec::new();
        while let Some(chunk) = chunks.data().await {
            let chunk = chunk?;
            let _ = chunks.flow_control().release_capacity(chunk.len());
            said.extend_from_slice(&chunk);
        }
        Ok::<_, h2::Error>((hints, said, chunks.trailers().await?))
    };
    runtime().block_on(exchange).expect("the answer is whole")
}

/// Sends a request with these fields and this body, over TLS where a client for it is given; its answer's head and body, if
/// there is one.
pub fn send(
    address: SocketAddr,
    tls: Option<&Tls>,
    uri: &http::Uri,
    fields: &str,
    body: &'static str,
) -> Option<(http::response::Parts, Vec<u8>)> {
    runtime().block_on(async {
        let stream = TcpStream::connect(address).await.expect("the listener accepts");
        let mut client = match tls {
            None => start(stream).await,
            Some(tls) => start(tls.over(stream).await.expect("the handshake goes well")).await,
        };
        let mut request = http::Request::builder().uri(uri.clone());
        if !body.is_empty() {
            request = request.method("POST");
        }
        for field in fields.lines() {
            let (name, value) = field.split_once(':').expect("a field has a colon");
            request = request.header(name.to_ascii_lowercase(), value.trim());
        }
        let request = request.body(()).expect("the fields are fit");
        let (answer, mut sender) = client.send_request(request, body.is_empty()).ok()?;
        if !body.is_empty() {
            sender.send_data(body.into(), true).ok()?;
        }
        // A refusal may be a reset.
        let (head, chunks) = answer.await.ok()?.into_parts();
        Some((head, read(chunks).await.0))
    })
}

async fn start(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> SendRequest<Bytes> {
    let (client, connection) = handshake(stream).await.expect("HTTP/2 is spoken");
    tokio::spawn(connection);
    client.ready().await.expect("the connection is good")
}

/// Requests over one connection whose answers are not taken.
pub struct Stalled {
    runtime: Runtime,
    // Kept, or the connection would end.
    _client: SendRequest<Bytes>,
    answers: Vec<ResponseFuture>,
    pings: PingPong,
}

/// What a client does that takes nothing.
#[derive(Clone, Copy, Debug)]
pub enum Sign {
    None,
    Ping,
    /// Takes a byte, now and then.
    OneByte,
}

impl Stalled {
    /// One, with a window of so many bytes for the answer.
    pub fn open(address: SocketAddr, path: &str, window: u32) -> Self {
        Self::open_many(address, path, window, 1)
    }

    /// So many, with a window of so many bytes for the answer of each.
    pub fn open_many(address: SocketAddr, path: &str, window: u32, count: usize) -> Self {
        let runtime = runtime();
        let (client, answers, pings) = runtime.block_on(async {
            let stream = TcpStream::connect(address).await.expect("the listener accepts");
            let mut builder = Builder::new();
            builder.initial_window_size(window);
            let handshake = builder.handshake(stream).await;
            let (mut client, mut connection) = handshake.expect("HTTP/2 is spoken");
            let pings = connection.ping_pong().expect("nobody else has asked for it");
            tokio::spawn(connection);
            let mut answers = Vec::new();
            for _ in 0..count {
                client = client.ready().await.expect("the connection is good");
                let sent = client.send_request(request("GET", address, path), true);
                answers.push(sent.expect("the request can be sent").0);
            }
            (client, answers, pings)
        });
        Self {
            runtime,
            _client: client,
            answers,
            pings,
        }
    }

    /// Whether the last stream is reset within `time`, while the client gives signs of life.
    pub fn is_reset(&mut self, sign: Sign, time: Duration) -> bool {
        let (answer, pings) = (self.answers.pop().expect("there is one"), &mut self.pings);
        self.runtime.block_on(async {
            let Ok(answer) = answer.await else { return true };
            let mut chunks = answer.into_body();
            let watch = async {
                loop {
                    if let Ok(end) = timeout(BETWEEN_SIGNS, chunks.data()).await {
                        match end {
                            Some(Ok(_)) => sleep(BETWEEN_SIGNS).await,
                            Some(Err(_)) => return true,
                            None => return false,
                        }
                    }
                    match sign {
                        Sign::None => {}
                        Sign::Ping => {
                            let _ = pings.ping(h2::Ping::opaque()).await;
                        }
                        Sign::OneByte => {
                            let _ = chunks.flow_control().release_capacity(1);
                        }
                    }
                }
            };
            timeout(time, watch).await.unwrap_or(false)
        })
    }
}

const BETWEEN_SIGNS: Duration = Duration::from_millis(100);

fn runtime() -> Runtime {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    runtime.expect("a runtime can be made")
}

fn request(method: &str, address: SocketAddr, path: &str) -> http::Request<()> {
    let request = http::Request::builder().method(method);
    let request = request.uri(format!("http://{address}{path}")).body(());
    request.expect("the address and the path make a URL")
}

async fn connect(address: SocketAddr) -> SendRequest<Bytes> {
    start(TcpStream::connect(address).await.expect("the listener accepts")).await
}

async fn read(mut chunks: RecvStream) -> (Vec<u8>, Option<Reason>) {
    let mut said = Vec::new();
    loop {
        match poll_fn(|cx| chunks.poll_data(cx)).await {
            None => return (said, None),
            Some(Err(error)) => return (said, error.reason()),
            Some(Ok(chunk)) => {
                let _ = chunks.flow_control().release_capacity(chunk.len());
                said.extend_from_slice(&chunk);
            }
        }
    }
}
