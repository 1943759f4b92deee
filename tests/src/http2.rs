//! HTTP/2 with prior knowledge, one connection each.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest, handshake};
use h2::{PingPong, Reason, RecvStream};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::until::SOON;

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

/// A request whose answer is not taken.
pub struct Stalled {
    runtime: Runtime,
    // Kept, or the connection would end.
    _client: SendRequest<Bytes>,
    answer: Option<ResponseFuture>,
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
    /// With a window of so many bytes for the answer.
    pub fn open(address: SocketAddr, path: &str, window: u32) -> Self {
        let runtime = runtime();
        let (client, answer, pings) = runtime.block_on(async {
            let stream = TcpStream::connect(address).await.expect("the listener accepts");
            let mut builder = Builder::new();
            builder.initial_window_size(window);
            let handshake = builder.handshake(stream).await;
            let (client, mut connection) = handshake.expect("HTTP/2 is spoken");
            let pings = connection.ping_pong().expect("nobody else has asked for it");
            tokio::spawn(connection);
            let mut client = client.ready().await.expect("the connection is good");
            let sent = client.send_request(request("GET", address, path), true);
            (client, sent.expect("the request can be sent").0, pings)
        });
        Self {
            runtime,
            _client: client,
            answer: Some(answer),
            pings,
        }
    }

    /// Whether the stream is reset before long, while the client gives signs of life.
    pub fn is_reset(&mut self, sign: Sign) -> bool {
        let (answer, pings) = (self.answer.take().expect("asked once"), &mut self.pings);
        self.runtime.block_on(async {
            let Ok(answer) = answer.await else { return true };
            let mut chunks = answer.into_body();
            let watch = async {
                loop {
                    if let Ok(end) = timeout(BETWEEN_SIGNS, chunks.data()).await {
                        match end {
                            Some(Ok(_)) => {}
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
            timeout(SOON, watch).await.unwrap_or(false)
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
    let stream = TcpStream::connect(address).await.expect("the listener accepts");
    let (client, connection) = handshake(stream).await.expect("HTTP/2 is spoken");
    tokio::spawn(connection);
    client.ready().await.expect("the connection is good")
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
