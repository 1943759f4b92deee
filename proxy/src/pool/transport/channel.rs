//! A connection to a backend, whatever it goes over. Whoever has one speaks HTTP/1.1 on it: where the backend is spoken
//! to in HTTP/2, a channel is one stream of a connection, and is translated.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use pingora::protocols::l4::virt::{VirtualSockOpt, VirtualSocket};
use pingora_rustls::ClientTlsStream;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

use super::connection::Connection;
use crate::client::endpoint::Endpoint;
use crate::client::stream::Stream;

#[derive(Debug)]
pub struct Channel {
    pub io: Io,
    pub connection: Connection,
    /// Where it leads.
    pub endpoint: Endpoint,
    /// What made it, by its number.
    pub transport: u64,
}

pub enum Io {
    Plain(Stream),
    Tls(Box<ClientTlsStream<Stream>>),
    /// Of HTTP/2.
    Stream(DuplexStream),
}

impl Channel {
    /// Nobody speaks on it, neither to say something unasked nor to end it.
    pub fn is_silent(&mut self) -> bool {
        let said = match &mut self.io {
            Io::Plain(stream) => stream.try_read(&mut [0]),
            // What TLS says to itself, such as a ticket for later, is read on the way.
            Io::Tls(_) => {
                let (mut space, mut cx) = ([0], Context::from_waker(Waker::noop()));
                return Pin::new(self)
                    .poll_read(&mut cx, &mut ReadBuf::new(&mut space))
                    .is_pending();
            }
            Io::Stream(_) => return false,
        };
        matches!(said, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Whether the system knows of something to read, or of the end.
    pub fn has_news(&self) -> bool {
        let Some(socket) = self.io.socket() else { return true };
        let peeked = recv(socket, &mut [0; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT);
        !matches!(peeked, Err(Errno::WOULDBLOCK))
    }

    /// Whether it is a connection of its own, which can serve a further request.
    pub fn can_be_kept(&self) -> bool {
        self.io.socket().is_some()
    }
}

impl Io {
    /// None where it is shared.
    pub fn socket(&self) -> Option<&Stream> {
        match self {
            Self::Plain(socket) => Some(socket),
            Self::Tls(stream) => Some(stream.get_ref().0),
            Self::Stream(_) => None,
        }
    }
}

macro_rules! each {
    ($io:expr, $stream:ident => $what:expr) => {
        match &mut $io {
            Io::Plain($stream) => $what,
            Io::Tls($stream) => $what,
            Io::Stream($stream) => $what,
        }
    };
}

impl AsyncRead for Io {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each!(*self, stream => Pin::new(stream).poll_read(cx, buffer))
    }
}

impl AsyncWrite for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        each!(*self, stream => Pin::new(stream).poll_write(cx, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(*self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(*self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}

impl AsyncRead for Channel {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Channel {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl VirtualSocket for Channel {
    /// It sends at once what it is given.
    fn set_socket_option(&self, option: VirtualSockOpt) -> io::Result<()> {
        match (option, self.io.socket()) {
            (VirtualSockOpt::KeepAlive(probes), Some(socket)) => socket.probe(&probes),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "plain",
            Self::Tls(_) => "TLS",
            Self::Stream(_) => "a stream of HTTP/2",
        })
    }
}
