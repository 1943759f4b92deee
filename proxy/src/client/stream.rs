//! A connection's bytes, over TCP or a Unix socket, towards clients and backends alike.

use std::future::pending;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use pingora::protocols::TcpKeepalive;
use pingora::protocols::l4::ext::set_tcp_keepalive;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream, UnixStream};

use super::endpoint::Endpoint;

#[derive(Debug)]
pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

macro_rules! each {
    ($stream:expr, $it:ident => $what:expr) => {
        match $stream {
            Stream::Tcp($it) => $what,
            Stream::Unix($it) => $what,
        }
    };
}

impl Stream {
    /// A new connection, which sends at once what it is given.
    ///
    /// # Errors
    /// Nobody takes it.
    pub async fn connect(endpoint: &Endpoint) -> io::Result<Self> {
        match endpoint {
            Endpoint::Inet(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Ok(Self::Tcp(stream))
            }
            Endpoint::Unix(path) => UnixStream::connect(path).await.map(Self::Unix),
        }
    }

    /// The same, from one of this host's addresses; a Unix socket has none.
    ///
    /// # Errors
    /// As of [`Stream::connect`], or the address is none of this host's, or of the other family.
    pub async fn connect_from(from: IpAddr, endpoint: &Endpoint) -> io::Result<Self> {
        let Endpoint::Inet(address) = endpoint else {
            return Self::connect(endpoint).await;
        };
        let socket = match from {
            IpAddr::V4(_) => TcpSocket::new_v4()?,
            IpAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.bind((from, 0).into())?;
        let stream = socket.connect(*address).await?;
        stream.set_nodelay(true)?;
        Ok(Self::Tcp(stream))
    }

    /// What has come, without waiting for more.
    ///
    /// # Errors
    /// `WouldBlock` where nothing has, or the connection's own.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        each!(self, it => it.try_read(buffer))
    }

    /// Waits until the other end leaves without having sent anything; in vain at a Unix socket, which cannot be looked into.
    pub async fn left_silently(&self) {
        if let Self::Tcp(stream) = self
            && !matches!(stream.peek(&mut [0]).await, Ok(1..))
        {
            return;
        }
        pending().await
    }

    /// Sends at once what it is given, as a Unix socket always does.
    pub fn set_nodelay(&self) {
        if let Self::Tcp(stream) = self {
            // One that has ended already is found out at the first read.
            let _ = stream.set_nodelay(true);
        }
    }

    /// Ends with a reset, as far as there is one.
    pub fn end_with_reset(&self) {
        if let Self::Tcp(stream) = self {
            // One that is gone already needs none.
            let _ = stream.set_zero_linger();
        }
    }

    /// Has the kernel find out whether the other end is still there.
    ///
    /// # Errors
    /// The system does not take it.
    pub fn probe(&self, probes: &TcpKeepalive) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => set_tcp_keepalive(stream, probes).map_err(io::Error::other),
            Self::Unix(_) => Ok(()),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each!(&mut *self, it => Pin::new(it).poll_read(cx, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        each!(&mut *self, it => Pin::new(it).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(&mut *self, it => Pin::new(it).poll_write_vectored(cx, buffers))
    }

    fn is_write_vectored(&self) -> bool {
        each!(self, it => it.is_write_vectored())
    }

    /// Neither has anything to flush.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(&mut *self, it => Pin::new(it).poll_shutdown(cx))
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        each!(self, it => it.as_fd())
    }
}

impl AsRawFd for Stream {
    fn as_raw_fd(&self) -> RawFd {
        each!(self, it => it.as_raw_fd())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_connection_comes_from_where_it_is_said_to() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Endpoint::from(listener.local_addr().unwrap());
        let _stays = Stream::connect_from([127, 0, 0, 9].into(), &endpoint).await.unwrap();
        assert_eq!(listener.accept().await.unwrap().1.ip().to_string(), "127.0.0.9");
        // Of a network for documents, which is nobody's.
        assert!(Stream::connect_from([192, 0, 2, 1].into(), &endpoint).await.is_err());
        assert!(Stream::connect_from("::1".parse().unwrap(), &endpoint).await.is_err());
    }

    #[tokio::test]
    async fn who_has_said_something_has_not_left_silently() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        for (word, leaves, is_gone) in [
            ("", true, true),
            ("x", true, false),
            ("x", false, false),
            ("", false, false),
        ] {
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (server, _) = listener.accept().await.unwrap();
            client.write_all(word.as_bytes()).await.unwrap();
            let _stays = (!leaves).then_some(client);
            // What does not come to pass is waited for a moment only.
            let patience = Duration::from_secs(if is_gone { 20 } else { 0 });
            let server = Stream::Tcp(server);
            assert_eq!(
                timeout(patience, server.left_silently()).await.is_ok(),
                is_gone,
                "{word:?} {leaves}"
            );
        }
    }
}
