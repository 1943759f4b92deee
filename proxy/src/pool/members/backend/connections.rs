//! The connections to a backend that requests wait on, so that all can be ended at once when it is found to be down:
//! nobody need wait out a timeout then.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::pool::transport::Connection;

#[derive(Debug, Default)]
pub struct Connections(Mutex<Busy>);

#[derive(Debug, Default)]
struct Busy {
    next: u64,
    all: HashMap<u64, Connection>,
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

    /// Whether a request that has not left waits on a connection that has not been ended.
    pub fn has(&self, number: u64) -> bool {
        self.0.lock().all.contains_key(&number)
    }

    /// Ends those that requests wait on now; later ones live.
    pub fn cut(&self) {
        let all = std::mem::take(&mut self.0.lock().all);
        for connection in all.values() {
            // One that is no more needs no end.
            let _ = connection.cut();
        }
    }

    /// Ends those on which the other side hears nothing, see [`Connection::is_unheard`]; returns how many.
    pub fn cut_unheard(&self) -> usize {
        let mut busy = self.0.lock();
        let unheard = busy
            .all
            .extract_if(|_, connection| connection.is_unheard().unwrap_or(false));
        unheard.filter(|(_, connection)| connection.cut().is_ok()).count()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::{self, Read};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn connected() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (near, listener.accept().unwrap().0)
    }

    fn of(stream: &TcpStream) -> Connection {
        Connection::of(stream).unwrap()
    }

    #[test]
    fn a_cut_ends_what_is_waited_on_and_nothing_else() {
        let connections = Connections::default();
        let ((mut waited_on, _far), (left, mut far_of_left), (other, mut far_of_other)) =
            (connected(), connected(), connected());
        connections.join(of(&waited_on));
        let number = connections.join(of(&left));
        connections.leave(number);
        connections.join(of(&other).as_another(&of(&waited_on)));
        connections.cut();
        assert_eq!(waited_on.read(&mut [0]).unwrap(), 0);
        for far in [&mut far_of_left, &mut far_of_other] {
            far.set_nonblocking(true).unwrap();
            assert_eq!(far.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        }
    }
}
