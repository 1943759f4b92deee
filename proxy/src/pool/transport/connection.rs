//! One connection to a backend by what tells it apart, so that it can be ended by somebody who does not have it.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use pingora::protocols::l4::ext::get_tcp_info;
use rustix::fs::fstat;
use rustix::net::{Shutdown, SocketAddrAny, getpeername, getsockname, shutdown};

use super::descriptor;

#[derive(Clone, Copy, Debug)]
pub struct Connection {
    /// It belongs to whoever made the connection, and may be another one's by the time it is looked at.
    descriptor: RawFd,
    socket: Identity,
}

/// What no two sockets have in common that are open at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Identity {
    Inet { local: SocketAddr, remote: SocketAddr },
    Unix { inode: u64 },
}

impl Connection {
    /// # Errors
    /// The system does not know it any more.
    pub fn of(socket: &(impl AsFd + AsRawFd)) -> io::Result<Self> {
        Ok(Self {
            descriptor: socket.as_raw_fd(),
            socket: Identity::of(socket)?,
        })
    }

    /// As it is once its descriptor's number has come to mean another connection.
    #[cfg(test)]
    pub fn as_another(self, other: &Self) -> Self {
        Self {
            socket: other.socket,
            ..self
        }
    }

    /// # Errors
    /// There is no such connection any more.
    pub fn cut(&self) -> io::Result<()> {
        shutdown(self.socket()?, Shutdown::Both)?;
        Ok(())
    }

    /// Whether the other side's system has not acknowledged what was sent, however often it was sent again: the way there
    /// swallows it. A process that takes nothing is another matter, since its system acknowledges.
    ///
    /// # Errors
    /// There is no such connection any more, or it is none of TCP.
    pub fn is_unheard(&self) -> io::Result<bool> {
        let socket = self.socket()?;
        let info = get_tcp_info(socket.as_raw_fd()).map_err(io::Error::other)?;
        Ok(info.tcpi_retransmits >= UNHEARD || info.tcpi_probes >= UNHEARD_PROBES)
    }

    fn socket(&self) -> io::Result<OwnedFd> {
        let socket = descriptor::duplicate(self.descriptor)?;
        match Identity::of(&socket)? == self.socket {
            true => Ok(socket),
            false => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

/// So many timeouts in a row, each twice as long as the one before: after three seconds where the way takes a millisecond.
const UNHEARD: u8 = 4;

/// So many probes, a second apart, while nothing was sent.
const UNHEARD_PROBES: u8 = 2;

impl Identity {
    fn of(socket: impl AsFd) -> io::Result<Self> {
        let inet = |address: SocketAddrAny| SocketAddr::try_from(address).ok();
        let (local, remote) = (getsockname(&socket)?, getpeername(&socket)?);
        match (inet(local), remote.and_then(inet)) {
            (Some(local), Some(remote)) => Ok(Self::Inet { local, remote }),
            _ => Ok(Self::Unix {
                inode: fstat(&socket)?.st_ino,
            }),
        }
    }
}
