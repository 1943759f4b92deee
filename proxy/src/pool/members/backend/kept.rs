//! Connections to a backend that no request is on, kept for those that come. Nginx: `keepalive`.

use std::io;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use tokio::net::TcpStream;

use super::Connection;

/// Those that were used last are at the end.
#[derive(Debug, Default)]
pub struct Kept(Mutex<Vec<Idle>>);

#[derive(Debug)]
struct Idle {
    stream: TcpStream,
    connection: Connection,
    since: Instant,
}

impl Kept {
    /// The one that was used last, unless its backend has ended it or it has been idle for longer than `most`. With `ask` the
    /// system is asked, which may know of an end that we have yet to hear of.
    pub fn take(&self, most: Duration, ask: bool) -> Option<(TcpStream, Connection)> {
        loop {
            let idle = self.0.lock().pop()?;
            if idle.lives(most) && !(ask && idle.has_news()) {
                return Some((idle.stream, idle.connection));
            }
        }
    }

    pub fn keep(&self, stream: TcpStream, connection: Connection) {
        let since = Instant::now();
        let mut all = self.0.lock();
        if all.len() < MOST {
            all.push(Idle {
                stream,
                connection,
                since,
            });
        }
    }

    /// Ends those that nobody will use.
    pub fn sweep(&self, most: Duration) {
        let mut all = self.0.lock();
        all.retain(|idle| idle.lives(most));
        if all.is_empty() {
            *all = Vec::new();
        }
    }

    /// Ends all.
    pub fn clear(&self) {
        drop(std::mem::take(&mut *self.0.lock()));
    }
}

impl Idle {
    /// Nobody speaks on it, neither to say something unasked nor to end it.
    fn lives(&self, most: Duration) -> bool {
        let silent = matches!(self.stream.try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        silent && self.since.elapsed() <= most
    }

    /// Whether there is something to read, or the end.
    fn has_news(&self) -> bool {
        let peeked = recv(&self.stream, &mut [0; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT);
        !matches!(peeked, Err(Errno::WOULDBLOCK))
    }
}

/// To one backend. What is beyond is closed.
const MOST: usize = 128;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    async fn connected() -> (TcpStream, Connection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let connection = Connection::of(&near).unwrap();
        (near, connection, listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn a_connection_comes_back_while_it_lives() {
        let kept = Kept::default();
        let (near, connection, _far) = connected().await;
        kept.keep(near, connection);
        kept.sweep(LONG);
        let (near, again) = kept.take(LONG, false).unwrap();
        assert_eq!(again.local, connection.local);
        assert!(kept.take(LONG, false).is_none());
        kept.keep(near, connection);
        assert!(kept.take(Duration::ZERO, false).is_none());
    }

    #[tokio::test]
    async fn the_system_knows_of_an_end_first() {
        let kept = Kept::default();
        let (near, connection, far) = connected().await;
        kept.keep(near, connection);
        // Nothing has been waited for since, so that nobody here has heard of it.
        drop(far);
        assert!(kept.take(LONG, true).is_none());
    }

    #[tokio::test]
    async fn one_that_was_ended_or_speaks_unasked_does_not() {
        for speaks in [false, true] {
            let kept = Kept::default();
            let (near, connection, mut far) = connected().await;
            match speaks {
                true => far.write_all(b"HTTP/1.1 408").await.unwrap(),
                false => drop(far),
            }
            near.readable().await.unwrap();
            kept.keep(near, connection);
            assert!(kept.take(LONG, false).is_none());
        }
    }
}
