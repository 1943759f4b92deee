//! HTTP/2 towards backends: a connection that many requests share, each as a channel on which HTTP/1.1 is spoken. What
//! follows an answer or a failure is then the same for both protocols.

mod answer;
mod line;
mod request;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use parking_lot::Mutex;
use pingora::protocols::TcpKeepalive;
use tokio::io::{AsyncWriteExt, BufReader, DuplexStream, duplex, split};

use self::line::Reader;
use self::request::Head;
use super::channel::{Channel, Io};
use super::connection::Connection;
use crate::client::endpoint::Endpoint;

/// A connection of HTTP/2; all clones are the same one. It ends when nobody has it and no request is on it.
#[derive(Clone, Debug)]
pub struct Trunk {
    sender: SendRequest<Bytes>,
    connection: Connection,
    endpoint: Endpoint,
    transport: u64,
    is_secure: bool,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    ended: AtomicBool,
    /// Each request on it has one.
    requests: Arc<()>,
    used: Mutex<Instant>,
}

impl Trunk {
    /// Shakes hands.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn over(channel: Channel, is_secure: bool) -> io::Result<Self> {
        let Channel {
            io,
            connection,
            endpoint,
            transport,
        } = channel;
        if let Some(socket) = io.socket() {
            socket.probe(&PROBES)?;
        }
        let handshake = Builder::new()
            .enable_push(false)
            .initial_window_size(WINDOW)
            .initial_connection_window_size(ALL_WINDOWS)
            .max_header_list_size(LONGEST_HEAD)
            .handshake(io);
        let (sender, driver) = handshake.await.map_err(io::Error::other)?;
        let shared = Arc::new(Shared {
            ended: AtomicBool::new(false),
            requests: Arc::new(()),
            used: Mutex::new(Instant::now()),
        });
        let watched = Arc::clone(&shared);
        tokio::spawn(async move {
            // Who was on it hears of the error.
            let _ = driver.await;
            watched.ended.store(true, Ordering::Release);
        });
        Ok(Self {
            sender,
            connection,
            endpoint,
            transport,
            is_secure,
            shared,
        })
    }

    pub fn connection(&self) -> Connection {
        self.connection
    }

    /// Whether it leads where it is to lead.
    pub fn is_to(&self, endpoint: &Endpoint, transport: u64) -> bool {
        self.endpoint == *endpoint && self.transport == transport
    }

    pub fn has_ended(&self) -> bool {
        self.shared.ended.load(Ordering::Acquire)
    }

    /// Whether a further request would be begun at once.
    pub fn has_room(&self) -> bool {
        !self.has_ended() && self.requests() < MOST_STREAMS.min(self.sender.current_max_send_streams())
    }

    /// Whether nobody has used it for so long.
    pub fn idles_for(&self, most: Duration) -> bool {
        self.requests() == 0 && self.shared.used.lock().elapsed() > most
    }

    fn requests(&self) -> usize {
        Arc::strong_count(&self.shared.requests) - 1
    }

    /// A channel for one request.
    ///
    /// # Errors
    /// The connection has ended, or takes no further ones.
    pub async fn open(&self) -> io::Result<Channel> {
        let guard = Arc::clone(&self.shared.requests);
        *self.shared.used.lock() = Instant::now();
        let sender = self.sender.clone().ready().await.map_err(|error| {
            self.shared.ended.store(true, Ordering::Release);
            io::Error::other(error)
        })?;
        let (near, far) = duplex(LINE);
        let (scheme, shared) = (if self.is_secure { "https" } else { "http" }, Arc::clone(&self.shared));
        tokio::spawn(async move {
            carry(far, sender, scheme).await;
            *shared.used.lock() = Instant::now();
            drop(guard);
        });
        Ok(Channel {
            io: Io::Stream(near),
            connection: self.connection,
            endpoint: self.endpoint.clone(),
            transport: self.transport,
        })
    }
}

/// One request, from HTTP/1.1 into HTTP/2, and its answer back; until it has come, or nobody wants it any more.
async fn carry(line: DuplexStream, mut sender: SendRequest<Bytes>, scheme: &str) {
    let (read, mut write) = split(line);
    let mut read = BufReader::new(read);
    let Ok(head) = Head::read(&mut read).await else { return };
    let (to_head, body) = (head.is_to_head(), head.body());
    let Some(request) = head.into_request(scheme) else {
        return;
    };
    let Ok((answer, upload)) = sender.send_request(request, body.is_none()) else {
        return;
    };
    let uploading = async {
        // Whether the backend takes all of it, its answer tells.
        let _ = request::send(&mut read, body, upload).await;
        until_gone(&mut read).await;
    };
    tokio::pin!(uploading);
    tokio::select! {
        // Dropping the answer takes the request back.
        () = &mut uploading => return,
        answered = answer::pass(answer, &mut write, to_head) => {
            if answered.is_err() || write.shutdown().await.is_err() {
                return;
            }
        }
    }
    uploading.await;
}

/// Reads what nobody wants any more, until the other end is gone.
async fn until_gone(read: &mut Reader) {
    let _ = tokio::io::copy(read, &mut tokio::io::sink()).await;
}

/// Bytes that are on their way between the two protocols, each way.
const LINE: usize = 64 << 10;

/// Bytes that a backend may send of one answer before they are read, and of all on one connection.
const WINDOW: u32 = 256 << 10;
const ALL_WINDOWS: u32 = 4 << 20;

/// Requests on one connection, where the backend allows as many.
const MOST_STREAMS: usize = 100;

/// Bytes of an answer's fields.
const LONGEST_HEAD: u32 = 64 << 10;

/// A way that swallows packets says nothing of it, nor does a host that is gone.
const PROBES: TcpKeepalive = TcpKeepalive {
    idle: Duration::from_secs(10),
    interval: Duration::from_secs(3),
    count: 3,
    user_timeout: Duration::from_secs(10),
};
