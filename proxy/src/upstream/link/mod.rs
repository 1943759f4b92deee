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
use bytes::{Buf, Bytes};
use pingora::connectors::L4Connect;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub use self::answer::Answer;
use crate::body::Progress;
use crate::client::proxy_protocol::Ends;
use crate::pool::{Backend, Channel, Connection, Transport};
use crate::request::spelling::Spelling;
use crate::request::traffic::Traffic;
use crate::upstream::reach::{Idle, not_reached, reach};

/// Connects one attempt to its backend.
pub struct Dial {
    pub backend: Arc<Backend>,
    pub transport: Arc<Transport>,
    /// On whose behalf.
    pub client: Ends,
    /// Only a new connection will do unless given.
    pub idle: Option<Idle>,
    /// How long a new connection may take to come about.
    pub patience: Duration,
    /// The request's method is HEAD.
    pub to_head: bool,
    /// Learns of what comes after the answer's body.
    pub progress: Arc<Progress>,
    /// Counts what passes, where somebody wants to know.
    pub traffic: Option<Arc<Traffic>>,
    /// How the target is to be written, unless it has become another one.
    pub spelling: Option<Arc<Spelling>>,
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
    async fn reach(&self) -> io::Result<(Channel, bool)> {
        reach(&self.backend, &self.transport, self.client, self.idle, self.patience).await
    }

    pub fn made(&self) -> Option<Made> {
        self.made.get().copied()
    }
}

#[async_trait]
impl L4Connect for Dial {
    async fn connect(&self, _: &SocketAddr) -> pingora::Result<Stream> {
        let reached = self.reach().await;
        let (channel, is_kept) = reached.map_err(|error| not_reached(error, "connecting to a backend"))?;
        if let Some(traffic) = &self.traffic {
            traffic.connects();
        }
        let made = Made {
            connection: channel.connection,
            is_kept,
        };
        let made = *self.made.get_or_init(|| made);
        let link = Link {
            channel: Some(channel),
            is_kept: made.is_kept,
            backend: Arc::clone(&self.backend),
            keeps: self.transport.keeps(),
            answer: Answer::new(self.to_head, Arc::clone(&self.progress)),
            traffic: self.traffic.clone(),
            spelling: self.spelling.clone(),
            respelt: None,
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
    channel: Option<Channel>,
    /// From an earlier request.
    is_kept: bool,
    backend: Arc<Backend>,
    /// It may serve further requests.
    keeps: bool,
    answer: Answer,
    traffic: Option<Arc<Traffic>>,
    /// Until the head is written.
    spelling: Option<Arc<Spelling>>,
    /// What is left of a head that is written in the place of Pingora's.
    respelt: Option<Bytes>,
    /// Pingora would keep it.
    is_to_be_kept: bool,
}

impl Link {
    fn channel(&mut self) -> io::Result<Pin<&mut Channel>> {
        self.channel
            .as_mut()
            .map(Pin::new)
            .ok_or(io::ErrorKind::NotConnected.into())
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let sent = ready!(self.channel()?.poll_write(cx, bytes))?;
        if let Some(traffic) = &self.traffic {
            traffic.sends(sent);
        }
        Poll::Ready(Ok(sent))
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
                ready!(self.channel()?.poll_read(cx, &mut part))?;
                let length = part.filled().len();
                buffer.advance(length);
            }
            _ => ready!(self.channel()?.poll_read(cx, buffer))?,
        }
        if let Err(fault) = self.answer.pass(&buffer.filled()[before..]) {
            tracing::debug!(backend = self.backend.name(), %fault, "an answer is not passed on");
            buffer.set_filled(before);
            return Poll::Ready(Err(fault.into()));
        }
        if let Some(traffic) = &self.traffic {
            let bytes = buffer.filled().len() - before;
            traffic.receives(bytes, self.answer.heads(), bytes == 0 || self.answer.is_over());
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Link {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(spelling) = self.spelling.take() {
            self.respelt = spelling.restored(bytes).map(Bytes::from);
        }
        let Some(mut left) = self.respelt.take() else {
            return self.poll_send(cx, bytes);
        };
        while !left.is_empty() {
            match self.poll_send(cx, &left) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(sent)) => left.advance(sent),
                unsent => {
                    self.respelt = Some(left);
                    return unsent;
                }
            }
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.channel()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_to_be_kept = false;
        self.channel()?.poll_shutdown(cx)
    }
}

impl VirtualSocket for Link {
    /// It sends at once what it is given. What was set on a connection that has been kept stays set.
    fn set_socket_option(&self, option: VirtualSockOpt) -> io::Result<()> {
        match &self.channel {
            Some(channel) if !self.is_kept => channel.set_socket_option(option),
            _ => Ok(()),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let is_free = self.keeps && self.is_to_be_kept && self.answer.is_over_cleanly();
        if let (true, Some(channel)) = (is_free, self.channel.take()) {
            self.backend.keep(channel);
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({})", self.backend.name())
    }
}
