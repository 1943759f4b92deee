//! Connections to a backend that no request is on, kept for those that come. Nginx: `keepalive`.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::pool::transport::Channel;

/// Those that were used last are at the end.
#[derive(Debug, Default)]
pub struct Kept(Mutex<Vec<Idle>>);

#[derive(Debug)]
struct Idle {
    channel: Channel,
    since: Instant,
}

impl Kept {
    /// The one that was used last, unless its backend has ended it or it has been idle for longer than `most`. With `ask` the
    /// system is asked, which may know of an end that we have yet to hear of.
    pub fn take(&self, most: Duration, ask: bool) -> Option<Channel> {
        loop {
            let mut idle = self.0.lock().pop()?;
            if idle.lives(most) && !(ask && idle.channel.has_news()) {
                return Some(idle.channel);
            }
        }
    }

    pub fn keep(&self, channel: Channel) {
        let since = Instant::now();
        let mut all = self.0.lock();
        if all.len() < MOST {
            all.push(Idle { channel, since });
        }
    }

    /// Ends those that nobody will use.
    pub fn sweep(&self, most: Duration) {
        let mut all = self.0.lock();
        all.retain_mut(|idle| idle.lives(most));
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
    fn lives(&mut self, most: Duration) -> bool {
        self.since.elapsed() <= most && self.channel.is_silent()
    }
}

/// To one backend. What is beyond is closed.
const MOST: usize = 128;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::client::endpoint::Endpoint;
    use crate::pool::transport::{Target, Transport, TransportConfig};

    const LONG: Duration = Duration::from_secs(60);

    async fn connected() -> (Channel, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Endpoint::Inet(listener.local_addr().unwrap());
        let transport = Transport::new(TransportConfig::default()).unwrap();
        let target = Target {
            endpoint: &endpoint,
            host: None,
        };
        let near = transport.open(target, None).await.unwrap();
        (near, listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn a_connection_comes_back_while_it_lives() {
        let kept = Kept::default();
        let (near, _far) = connected().await;
        let endpoint = near.endpoint.clone();
        kept.keep(near);
        kept.sweep(LONG);
        let near = kept.take(LONG, false).unwrap();
        assert_eq!(near.endpoint, endpoint);
        assert!(kept.take(LONG, false).is_none());
        kept.keep(near);
        assert!(kept.take(Duration::ZERO, false).is_none());
    }

    #[tokio::test]
    async fn the_system_knows_of_an_end_first() {
        let kept = Kept::default();
        let (near, far) = connected().await;
        kept.keep(near);
        // Nothing has been waited for since, so that nobody here has heard of it.
        drop(far);
        assert!(kept.take(LONG, true).is_none());
    }

    #[tokio::test]
    async fn one_that_was_ended_or_speaks_unasked_does_not() {
        for speaks in [false, true] {
            let kept = Kept::default();
            let (near, mut far) = connected().await;
            match speaks {
                true => far.write_all(b"HTTP/1.1 408").await.unwrap(),
                false => drop(far),
            }
            until(|| near.has_news()).await;
            kept.keep(near);
            assert!(kept.take(LONG, true).is_none());
        }
    }

    async fn until(mut holds: impl FnMut() -> bool) {
        while !holds() {
            tokio::task::yield_now().await;
        }
    }
}
