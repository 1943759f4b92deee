//! The connection of one attempt, new or kept from an earlier one. To Pingora each serves one request and ends with its
//! answer: what it gives back is judged and followed here before Pingora reads it, and whether it is kept is decided here,
//! by the one byte that Pingora asks for beyond an answer before it would keep a connection itself.

mod answer;
mod head;

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use pingora::connectors::L4Connect;
use pingora::protocols::l4::ext::set_tcp_keepalive;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use pingora::{Error, ErrorType};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

pub use self::answer::Answer;
use crate::body::Progress;
use crate::pool::{Backend, Connection};
use crate::program;

/// Connects one attempt to its backend.
pub struct Dial {
    pub backend: Arc<Backend>,
    /// How long an unused connection is kept.
    pub idle: Duration,
    /// The request's method is HEAD.
    pub to_head: bool,
    /// The request cannot simply be sent again where a kept connection turns out to have ended.
    pub is_precious: bool,
    /// Learns of what comes after the answer's body.
    pub progress: Arc<Progress>,
    /// Set once.
    pub made: OnceLock<Made>,
}

/// The connection that an attempt has got.
#[derive(Clone, Copy)]
pub struct Made {
    pub connection: Connection,
    /// It had been kept, so that the backend may just have closed it.
    pub is_kept: bool,
}

impl Dial {
    pub fn made(&self) -> Option<Made> {
        self.made.get().copied()
    }

    async fn reach(&self) -> io::Result<(TcpStream, Made)> {
        if let Some((stream, connection)) = self.backend.take_kept(self.idle, self.is_precious) {
            let is_kept = true;
            return Ok((stream, Made { connection, is_kept }));
        }
        let stream = TcpStream::connect(self.backend.address()).await?;
        stream.set_nodelay(true)?;
        let connection = Connection::of(&stream)?;
        let is_kept = false;
        Ok((stream, Made { connection, is_kept }))
    }
}

#[async_trait]
impl L4Connect for Dial {
    async fn connect(&self, _: &SocketAddr) -> pingora::Result<Stream> {
        let (stream, made) = self.reach().await.map_err(|error| {
            let kind = match program::lacks_means(&error) {
                true => ErrorType::InternalError,
                false => ErrorType::ConnectError,
            };
            Error::because(kind, "connecting to a backend", error)
        })?;
        let made = *self.made.get_or_init(|| made);
        let link = Link {
            stream: Some(stream),
            connection: made.connection,
            is_kept: made.is_kept,
            backend: Arc::clone(&self.backend),
            answer: Answer::new(self.to_head, Arc::clone(&self.progress)),
            is_to_be_kept: false,
        };
        Ok(VirtualSocketStream::new(Box::new(link)).into())
    }
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dial({})", self.backend.name())
    }
}

/// What Pingora takes for its connection.
struct Link {
    /// Until it is given back.
    stream: Option<TcpStream>,
    connection: Connection,
    /// From an earlier request.
    is_kept: bool,
    backend: Arc<Backend>,
    answer: Answer,
    /// Pingora would keep it.
    is_to_be_kept: bool,
}

impl Link {
    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.stream
            .as_mut()
            .map(Pin::new)
            .ok_or(io::ErrorKind::NotConnected.into())
    }
}

impl AsyncRead for Link {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.answer.is_over() {
            self.is_to_be_kept = true;
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        match self.answer.piece() {
            piece if piece < buffer.remaining() => {
                let mut part = ReadBuf::new(buffer.initialize_unfilled_to(piece));
                ready!(self.stream()?.poll_read(cx, &mut part))?;
                let length = part.filled().len();
                buffer.advance(length);
            }
            _ => ready!(self.stream()?.poll_read(cx, buffer))?,
        }
        if let Err(fault) = self.answer.pass(&buffer.filled()[before..]) {
            tracing::debug!(backend = self.backend.name(), %fault, "an answer is not passed on");
            buffer.set_filled(before);
            return Poll::Ready(Err(fault.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Link {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(cx, bytes)
    }

    /// TCP has nothing to flush.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_to_be_kept = false;
        self.stream()?.poll_shutdown(cx)
    }
}

impl VirtualSocket for Link {
    /// It sends at once what it is given. What was set on a connection that has been kept stays set.
    fn set_socket_option(&self, option: VirtualSockOpt) -> io::Result<()> {
        match (option, &self.stream) {
            (VirtualSockOpt::KeepAlive(probes), Some(stream)) if !self.is_kept => {
                set_tcp_keepalive(stream, &probes).map_err(io::Error::other)
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let (true, true, Some(stream)) = (self.is_to_be_kept, self.answer.is_over_cleanly(), self.stream.take()) {
            self.backend.keep(stream, self.connection);
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({})", self.backend.name())
    }
}
