//! A client's byte stream as Pingora reads and writes it, plain or through TLS.

use std::fmt;
use std::io;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use pingora::http::ResponseHeader;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID,
};
use pingora_rustls::ServerTlsStream;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::{Connection, Socket};

/// A connection's byte stream, as Pingora wants it.
pub struct Downstream {
    transport: Transport,
    /// Written, and to leave in one packet with what follows; there is no memory for it while nothing is.
    unsent: Vec<u8>,
    connection: Arc<Connection>,
    socket: Arc<SocketDigest>,
    /// Carries the connection to [`Connection::of`].
    proxy: Arc<ProxyDigest>,
    tls: Option<Arc<SslDigest>>,
}

/// A client's connection once its handshake is done.
type TlsStream = ServerTlsStream<Socket>;

enum Transport {
    Plain(Socket),
    Tls(Box<TlsStream>),
}

/// Bytes of an answer's head and a small body that leave in one packet.
const WRITE_BUFFER: usize = 4096;

impl Downstream {
    pub fn plain(socket: Socket) -> Self {
        let connection = Arc::clone(socket.connection());
        Self::new(socket.as_raw_fd(), None, connection, Transport::Plain(socket))
    }

    pub fn tls(stream: ServerTlsStream<Socket>) -> Self {
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
        let (fd, connection) = (socket.as_raw_fd(), Arc::clone(socket.connection()));
        let transport = Transport::Tls(Box::new(stream));
        Self::new(fd, Some(Arc::new(digest)), connection, transport)
    }

    fn new(fd: i32, tls: Option<Arc<SslDigest>>, connection: Arc<Connection>, transport: Transport) -> Self {
        let socket = SocketDigest::from_raw_fd(fd);
        let _ = socket.peer_addr.set(Some(connection.peer().into()));
        let nothing = ResponseHeader::build_no_case(200, Some(0)).expect("200 is a status");
        let proxy = ProxyDigest::new(Box::new(nothing), Some(Box::new(Arc::clone(&connection))));
        Self {
            transport,
            unsent: Vec::new(),
            connection,
            socket: Arc::new(socket),
            proxy: Arc::new(proxy),
            tls,
        }
    }

    /// Whether HTTP/2 was agreed on in the TLS handshake.
    pub fn has_agreed_on_http2(&self) -> bool {
        match &self.transport {
            Transport::Plain(_) => false,
            Transport::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }

    /// Ready once all that was written is with the transport.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut sent = 0;
        let polled = loop {
            if sent == self.unsent.len() {
                break Poll::Ready(Ok(()));
            }
            match self.transport.poll_write(cx, &self.unsent[sent..]) {
                Poll::Ready(Ok(0)) => break Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => sent += count,
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Pending => break Poll::Pending,
            }
        };
        self.unsent.drain(..sent);
        polled
    }
}

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
        self.get_mut().transport.poll_read(cx, buffer)
    }
}

impl AsyncWrite for Downstream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.connection.check()?;
        this.connection.answers();
        if this.unsent.len() + bytes.len() > WRITE_BUFFER {
            ready!(this.poll_send(cx))?;
        }
        if bytes.len() >= WRITE_BUFFER {
            return this.transport.poll_write(cx, bytes);
        }
        if this.unsent.capacity() == 0 {
            this.unsent.reserve_exact(WRITE_BUFFER);
        }
        this.unsent.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_send(cx))?;
        this.unsent = Vec::new();
        this.transport.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.connection.closes();
        ready!(this.poll_send(cx))?;
        if this.connection.is_cut() {
            // TLS would say that this is the end.
            ready!(this.transport.poll_flush(cx))?;
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        this.transport.poll_shutdown(cx)
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
            Transport::Plain(socket) => socket.as_raw_fd(),
            Transport::Tls(stream) => stream.get_ref().0.as_raw_fd(),
        }
    }
}

impl Ssl for Downstream {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.tls.clone()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.has_agreed_on_http2().then_some(ALPN::H2)
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

/// The watch over the stream finds out what the client speaks.
impl Peek for Downstream {}
