//! Uploads over HTTP/2 with prior knowledge, one connection each.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::handshake;
use tokio::net::TcpStream;

/// Posts `body`; gives the answer's status and its body.
pub fn post(address: SocketAddr, path: &str, body: Bytes) -> (u16, Vec<u8>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    let exchange = runtime
        .expect("a runtime can be made")
        .block_on(exchange(address, path, body));
    exchange.expect("the exchange goes well")
}

async fn exchange(address: SocketAddr, path: &str, body: Bytes) -> Result<(u16, Vec<u8>), h2::Error> {
    let stream = TcpStream::connect(address).await.expect("the listener accepts");
    let (client, connection) = handshake(stream).await?;
    tokio::spawn(connection);
    let request = http::Request::post(format!("http://{address}{path}"));
    let request = request.body(()).expect("the address and the path make a URL");
    let (answer, mut sender) = client.ready().await?.send_request(request, false)?;
    sender.send_data(body, true)?;
    let (head, mut chunks) = answer.await?.into_parts();
    let mut said = Vec::new();
    while let Some(chunk) = chunks.data().await {
        let chunk = chunk?;
        chunks.flow_control().release_capacity(chunk.len())?;
        said.extend_from_slice(&chunk);
    }
    Ok((head.status.as_u16(), said))
}
