//! One connection to a backend by what tells it apart, so that it can be ended by somebody who does not have it.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, RawFd};

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
        let socket = descriptor::duplicate(self.descriptor)?;
        if Identity::of(&socket)? == self.socket {
            shutdown(&socket, Shutdown::Both)?;
        }
        Ok(())
    }
}

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
