//! The connections to a backend that requests wait on, so that all can be ended at once when it is found to be down:
//! nobody need wait out a timeout then.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};

use parking_lot::Mutex;
use rustix::net::{Shutdown, getpeername, getsockname, shutdown};
use tokio::net::TcpStream;

use super::descriptor;

#[derive(Debug, Default)]
pub struct Connections(Mutex<Busy>);

#[derive(Debug, Default)]
struct Busy {
    next: u64,
    all: HashMap<u64, Connection>,
}

/// One connection, by what tells it apart.
#[derive(Clone, Copy, Debug)]
pub struct Connection {
    /// It belongs to whoever made the connection, and may be another one's by the time it is looked at.
    pub descriptor: RawFd,
    pub local: SocketAddr,
    pub remote: SocketAddr,
}

impl Connections {
    /// A request waits on this one; returns what [`Connections::leave`] takes.
    pub fn join(&self, connection: Connection) -> u64 {
        let mut busy = self.0.lock();
        busy.next += 1;
        let number = busy.next;
        busy.all.insert(number, connection);
        number
    }

    pub fn leave(&self, number: u64) {
        self.0.lock().all.remove(&number);
    }

    /// Ends those that requests wait on now; later ones live.
    pub fn cut(&self) {
        let all = std::mem::take(&mut self.0.lock().all);
        for connection in all.values() {
            // One that is no more needs no end.
            let _ = connection.cut();
        }
    }
}

impl Connection {
    pub fn of(stream: &TcpStream) -> io::Result<Self> {
        Ok(Self {
            descriptor: stream.as_raw_fd(),
            local: stream.local_addr()?,
            remote: stream.peer_addr()?,
        })
    }

    fn cut(&self) -> io::Result<()> {
        let socket = descriptor::duplicate(self.descriptor)?;
        let is_address = |found: rustix::net::SocketAddrAny, wanted| SocketAddr::try_from(found) == Ok(wanted);
        if is_address(getsockname(&socket)?, self.local)
            && getpeername(&socket)?.is_some_and(|found| is_address(found, self.remote))
        {
            shutdown(&socket, Shutdown::Both)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Read;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    use super::*;

    fn connected() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (near, listener.accept().unwrap().0)
    }

    fn of(stream: &TcpStream) -> Connection {
        Connection {
            descriptor: stream.as_raw_fd(),
            local: stream.local_addr().unwrap(),
            remote: stream.peer_addr().unwrap(),
        }
    }

    #[test]
    fn a_cut_ends_what_is_waited_on_and_nothing_else() {
        let connections = Connections::default();
        let ((mut waited_on, _far), (left, mut far_of_left), (other, mut far_of_other)) =
            (connected(), connected(), connected());
        connections.join(of(&waited_on));
        let number = connections.join(of(&left));
        connections.leave(number);
        // Its descriptor's number has come to mean another connection.
        connections.join(Connection {
            local: of(&waited_on).local,
            ..of(&other)
        });
        connections.cut();
        assert_eq!(waited_on.read(&mut [0]).unwrap(), 0);
        for far in [&mut far_of_left, &mut far_of_other] {
            far.set_nonblocking(true).unwrap();
            assert_eq!(far.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        }
    }
}
