//! A connection's bytes, over TCP or a Unix socket, towards clients and backends alike.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use pingora::protocols::TcpKeepalive;
use pingora::protocols::l4::ext::set_tcp_keepalive;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

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

    /// What has come, without waiting for more.
    ///
    /// # Errors
    /// `WouldBlock` where nothing has, or the connection's own.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        each!(self, it => it.try_read(buffer))
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
