//! A client's byte stream as Pingora reads and writes it, plain or through TLS, with the connection's account kept.

use std::fmt;
use std::io;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use pingora::http::ResponseHeader;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufWriter, ReadBuf};
use tokio::net::TcpStream;

use super::Connection;
use crate::client::tls::TlsStream;

/// A connection's byte stream, as Pingora wants it.
pub struct Downstream {
    transport: Transport,
    connection: Arc<Connection>,
    socket: Arc<SocketDigest>,
    /// Carries the connection to [`Connection::of`].
    proxy: Arc<ProxyDigest>,
    tls: Option<Arc<SslDigest>>,
}

enum Transport {
    Plain(BufWriter<TcpStream>),
    Tls(Box<BufWriter<TlsStream>>),
}

/// Bytes of an answer's head and a small body that leave in one packet.
const WRITE_BUFFER: usize = 4096;

impl Downstream {
    pub fn plain(stream: TcpStream, connection: Arc<Connection>) -> Self {
        Self::new(
            stream.as_raw_fd(),
            None,
            connection,
            Transport::Plain(BufWriter::with_capacity(WRITE_BUFFER, stream)),
        )
    }

    pub fn tls(stream: TlsStream, connection: Arc<Connection>) -> Self {
        let (socket, session) = stream.get_ref();
        let name = |name: Option<&'static str>| name.unwrap_or_default();
        let digest = SslDigest::new(
            name(
                session
                    .negotiated_cipher_suite()
                    .and_then(|suite| suite.suite().as_str()),
            ),
            name(session.protocol_version().and_then(|version| version.as_str())),
            None,
            None,
            Vec::new(),
        );
        let transport = |stream| Transport::Tls(Box::new(BufWriter::with_capacity(WRITE_BUFFER, stream)));
        Self::new(
            socket.as_raw_fd(),
            Some(Arc::new(digest)),
            connection,
            transport(stream),
        )
    }

    fn new(fd: i32, tls: Option<Arc<SslDigest>>, connection: Arc<Connection>, transport: Transport) -> Self {
        let socket = SocketDigest::from_raw_fd(fd);
        let _ = socket.peer_addr.set(Some(connection.peer.into()));
        let nothing = ResponseHeader::build_no_case(200, Some(0)).expect("200 is a status");
        let proxy = ProxyDigest::new(Box::new(nothing), Some(Box::new(Arc::clone(&connection))));
        Self {
            transport,
            connection,
            socket: Arc::new(socket),
            proxy: Arc::new(proxy),
            tls,
        }
    }

    /// Whether the client begins with HTTP/2's preface (RFC 9113, 3.4). Waits for as many bytes as it takes to tell, and
    /// consumes none.
    pub async fn speaks_http2(&self) -> io::Result<bool> {
        let stream = match &self.transport {
            Transport::Plain(stream) => stream.get_ref(),
            Transport::Tls(stream) => return Ok(stream.get_ref().get_ref().1.alpn_protocol() == Some(b"h2")),
        };
        let mut seen = [0; PREFACE.len()];
        loop {
            let count = std::future::poll_fn(|cx| self.poll_peek(stream, cx, &mut seen)).await?;
            if count == PREFACE.len() || count == 0 || seen[..count] != PREFACE[..count] {
                return Ok(seen == *PREFACE);
            }
            // A part of the preface stays readable, so there is no event to wait for.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn poll_peek(&self, stream: &TcpStream, cx: &mut Context<'_>, seen: &mut [u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        let polled = stream.poll_peek(cx, &mut ReadBuf::new(seen));
        match polled {
            Poll::Pending => self.connection.park(cx),
            Poll::Ready(_) => self.connection.bytes_arrived(),
        }
        polled
    }

    fn check(&self) -> io::Result<()> {
        match self.connection.has_ended() {
            true => Err(io::ErrorKind::TimedOut.into()),
            false => Ok(()),
        }
    }

    fn written<T>(&self, polled: Poll<T>, cx: &Context<'_>) -> Poll<T> {
        if polled.is_pending() {
            self.connection.park(cx);
        }
        self.connection.note_write(polled.is_ready());
        polled
    }
}

const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

impl Transport {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

impl AsyncRead for Downstream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check()?;
        let polled = this.transport.poll_read(cx, buffer);
        match polled {
            Poll::Pending => this.connection.park(cx),
            Poll::Ready(_) => this.connection.bytes_arrived(),
        }
        polled
    }
}

impl AsyncWrite for Downstream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check()?;
        let polled = this.transport.poll_write(cx, bytes);
        this.written(polled, cx)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check()?;
        let polled = this.transport.poll_flush(cx);
        this.written(polled, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check()?;
        let polled = this.transport.poll_shutdown(cx);
        this.written(polled, cx)
    }
}

impl fmt::Debug for Downstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.connection.fmt(f)
    }
}

#[async_trait]
impl Shutdown for Downstream {
    async fn shutdown(&mut self) {
        // The client may be gone already, which is what is asked for.
        let _ = AsyncWriteExt::shutdown(self).await;
    }
}

impl UniqueID for Downstream {
    fn id(&self) -> i32 {
        match &self.transport {
            Transport::Plain(stream) => stream.get_ref().as_raw_fd(),
            Transport::Tls(stream) => stream.get_ref().get_ref().0.as_raw_fd(),
        }
    }
}

impl Ssl for Downstream {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.tls.clone()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        match &self.transport {
            Transport::Tls(stream) if stream.get_ref().get_ref().1.alpn_protocol() == Some(b"h2") => Some(ALPN::H2),
            _ => None,
        }
    }
}

impl GetTimingDigest for Downstream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Downstream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        Some(Arc::clone(&self.proxy))
    }
}

impl GetSocketDigest for Downstream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(Arc::clone(&self.socket))
    }
}

/// [`Downstream::speaks_http2`] looks ahead before Pingora has the stream.
impl Peek for Downstream {}
