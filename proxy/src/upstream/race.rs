//! A race between two backends for one request. To Pingora it is one connection: it writes the request to the first
//! backend, and where that takes unusually long, a copy of what was written goes to a second one. Whoever's answer
//! begins first is read from then on, and the other's connection is closed.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use parking_lot::Mutex;
use pingora::connectors::L4Connect;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::body::{Progress, Whole};
use crate::client::proxy_protocol::Ends;
use crate::pool::{Backend, Channel, Connection, Key, Lease, Outcome, Pool};
use crate::program;
use crate::upstream::link::Answer;
use crate::upstream::reach::{not_reached, reach};
use crate::upstream::retry::Budget;

/// One request's race; all clones are the same one.
#[derive(Clone)]
pub struct Race {
    plan: Arc<Plan>,
    verdict: Arc<Mutex<Verdict>>,
    /// To the first backend.
    connection: Arc<Mutex<Option<Connection>>>,
}

/// What a second copy takes.
pub struct Plan {
    pub pool: Arc<Pool>,
    pub incumbent: Arc<Backend>,
    /// On whose behalf.
    pub client: Ends,
    pub key: Key,
    /// Backends that are not to be asked, the first of this race among them.
    pub tried: Vec<Arc<Backend>>,
    /// Second copies are retries that did not wait for a failure.
    pub budget: Arc<Budget>,
    /// How long the first backend is waited for alone.
    pub after: Duration,
    /// How long a connection may take to come about.
    pub connect: Duration,
    /// None where the request has no body.
    pub body: Option<Weak<Whole>>,
    /// The request's method is HEAD.
    pub to_head: bool,
    pub progress: Arc<Progress>,
}

/// How a race went.
#[derive(Default)]
pub enum Verdict {
    /// No second copy was sent.
    #[default]
    Alone,
    /// One was; the first backend's answer was taken, or neither's.
    Kept { challenger: Arc<Backend> },
    /// The second backend's answer was taken.
    Overtaken {
        lease: Lease,
        /// When the second copy was sent.
        began: Instant,
        /// Whether the first backend failed, rather than being slow.
        failed: bool,
    },
}

impl Race {
    pub fn new(plan: Plan) -> Self {
        Self {
            plan: Arc::new(plan),
            verdict: Arc::default(),
            connection: Arc::default(),
        }
    }

    /// The first backend's connection, once there is one: Pingora knows of none that it could tell.
    pub fn connection(&self) -> Option<Connection> {
        *self.connection.lock()
    }

    /// How it went, once an answer has begun or nobody waits for one any more; only once.
    pub fn verdict(&self) -> Verdict {
        std::mem::take(&mut self.verdict.lock())
    }

    /// A place for the second copy, if there is one and the budget allows it.
    fn challenger(&self) -> Option<Lease> {
        let lease = self.plan.pool.pick_eligible(&self.plan.key, &self.plan.tried)?;
        if !self.plan.budget.withdraw(Instant::now()) {
            return None;
        }
        *self.verdict.lock() = Verdict::Kept {
            challenger: Arc::clone(lease.backend()),
        };
        Some(lease)
    }

    /// A connection that has not been kept: nobody would know whether it still lives.
    async fn runner(&self, backend: &Backend) -> io::Result<Runner> {
        let plan = &self.plan;
        let (channel, _) = reach(backend, plan.pool.transport(), plan.client, None, plan.connect).await?;
        Ok(Runner {
            channel,
            heard: Vec::new(),
        })
    }

    /// Sends the request to the second backend, and waits for the beginning of an answer worth having.
    async fn challenge(self, mut lease: Lease, head: Vec<u8>, body: Option<Arc<Whole>>) -> Option<Challenge> {
        let began = Instant::now();
        let outcome = match self.ask(&mut lease, &head, body).await {
            Ok((runner, status)) if status < 500 => return Some(Challenge { runner, lease, began }),
            Ok((_, 503)) => Outcome::Busy,
            Ok((_, status)) => Outcome::Answered {
                status,
                latency: began.elapsed(),
            },
            Err(outcome) => outcome,
        };
        lease.report(outcome);
        None
    }

    async fn ask(&self, lease: &mut Lease, head: &[u8], body: Option<Arc<Whole>>) -> Result<(Runner, u16), Outcome> {
        let mut runner = self
            .runner(lease.backend())
            .await
            .map_err(|error| match program::lacks_means(&error) {
                true => Outcome::Cancelled,
                false => Outcome::ConnectFailed,
            })?;
        lease.connected(runner.channel.connection);
        let answered = async {
            runner.channel.write_all(head).await?;
            for piece in body.iter().flat_map(|whole| whole.pieces()) {
                runner.channel.write_all(&piece?).await?;
            }
            runner.channel.flush().await?;
            // Kept no longer than needed: it counts among the memory for bodies.
            drop(body);
            loop {
                if let Some(status) = runner.status() {
                    return Ok(status);
                }
                let mut buffer = [0; 1024];
                match runner.channel.read(&mut buffer).await? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    length => runner.heard.extend_from_slice(&buffer[..length]),
                }
            }
        };
        let status = answered.await.map_err(|_: io::Error| Outcome::Reset)?;
        Ok((runner, status))
    }
}

/// A second copy whose answer has begun.
struct Challenge {
    runner: Runner,
    lease: Lease,
    began: Instant,
}

#[async_trait]
impl L4Connect for Race {
    async fn connect(&self, _: &SocketAddr) -> pingora::Result<Stream> {
        let incumbent = self.runner(&self.plan.incumbent).await;
        let incumbent = incumbent.map_err(|error| not_reached(error, "connecting to the first backend of a race"))?;
        *self.connection.lock() = Some(incumbent.channel.connection);
        let track = Track {
            race: self.clone(),
            head: Vec::new(),
            front: incumbent,
            stage: Stage::Alone(Box::pin(sleep(self.plan.after))),
            failed: false,
            answer: Answer::new(self.plan.to_head, Arc::clone(&self.plan.progress)),
        };
        Ok(VirtualSocketStream::new(Box::new(track)).into())
    }
}

impl fmt::Debug for Race {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Race({})", self.plan.pool.name())
    }
}

/// A connection, and what has been read from it but not been asked for.
struct Runner {
    channel: Channel,
    heard: Vec<u8>,
}

impl Runner {
    /// The answer's status, once its whole head has been heard. An answer that is none counts as one that nobody wants.
    fn status(&self) -> Option<u16> {
        let whole = end_of_head(&self.heard).is_some() || self.heard.len() >= LONGEST_HEAD;
        let digits = |head: &[u8]| std::str::from_utf8(head.get(9..12)?).ok()?.parse().ok();
        whole.then(|| digits(&self.heard).unwrap_or(599))
    }

    /// The answer's status; none if the connection ended before it.
    fn poll_status(&mut self, cx: &mut Context<'_>) -> Poll<Option<u16>> {
        while self.status().is_none() {
            let mut space = [0; 1024];
            let mut buffer = ReadBuf::new(&mut space);
            let read = ready!(Pin::new(&mut self.channel).poll_read(cx, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                return Poll::Ready(None);
            }
            self.heard.extend_from_slice(buffer.filled());
        }
        Poll::Ready(self.status())
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.heard.is_empty() {
            return Pin::new(&mut self.channel).poll_read(cx, buffer);
        }
        let length = self.heard.len().min(buffer.remaining());
        buffer.put_slice(&self.heard[..length]);
        self.heard.drain(..length);
        Poll::Ready(Ok(()))
    }
}

/// What Pingora takes for its connection.
struct Track {
    race: Race,
    /// The request's head, as far as it has been written.
    head: Vec<u8>,
    /// The first backend; the second once its answer is the one to read.
    front: Runner,
    stage: Stage,
    /// The first backend will give no answer worth having.
    failed: bool,
    /// As it is read.
    answer: Answer,
}

enum Stage {
    /// Until the second copy is due.
    Alone(Pin<Box<Sleep>>),
    Racing(Pin<Box<dyn Future<Output = Option<Challenge>> + Send + Sync>>),
    /// The first backend it is.
    Kept,
    /// The second one, which has the whole request already.
    Overtaken,
}

impl Track {
    /// Ready once it is clear whose answer is read.
    fn poll_settled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if matches!(self.stage, Stage::Kept | Stage::Overtaken) {
            return Poll::Ready(());
        }
        if !self.failed
            && let Poll::Ready(status) = self.front.poll_status(cx)
        {
            self.failed = status.is_none_or(|status| status >= 500);
            if !(self.failed && matches!(self.stage, Stage::Racing(_))) {
                self.stage = Stage::Kept;
                return Poll::Ready(());
            }
        }
        if let Stage::Alone(due) = &mut self.stage {
            ready!(due.as_mut().poll(cx));
            self.stage = self.second_copy();
        }
        if let Stage::Racing(challenge) = &mut self.stage {
            match ready!(challenge.as_mut().poll(cx)) {
                Some(challenge) => self.overtake(challenge),
                None => self.stage = Stage::Kept,
            }
        }
        match self.stage {
            // Its answer is still to come; whoever reads waits for it there.
            Stage::Kept | Stage::Overtaken => Poll::Ready(()),
            Stage::Alone(_) | Stage::Racing(_) => Poll::Pending,
        }
    }

    fn second_copy(&self) -> Stage {
        let body = self.race.plan.body.as_ref().map(Weak::upgrade);
        let (true, Some(lease)) = (
            is_complete(&self.head) && !matches!(body, Some(None)),
            self.race.challenger(),
        ) else {
            return Stage::Kept;
        };
        let challenge = self.race.clone().challenge(lease, self.head.clone(), body.flatten());
        Stage::Racing(Box::pin(challenge))
    }

    fn overtake(&mut self, challenge: Challenge) {
        *self.race.verdict.lock() = Verdict::Overtaken {
            lease: challenge.lease,
            began: challenge.began,
            failed: self.failed,
        };
        self.front = challenge.runner;
        self.stage = Stage::Overtaken;
    }

    fn remember(&mut self, written: &[u8]) {
        if !is_complete(&self.head) {
            // A few bytes of the body may come along; they are cut off again.
            self.head.extend_from_slice(written);
            if let Some(end) = end_of_head(&self.head) {
                self.head.truncate(end);
            }
        }
    }
}

const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// Bytes of an answer's head that are waited for; Pingora's own bound comes to bear after that.
const LONGEST_HEAD: usize = 64 << 10;

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let start = bytes.windows(END_OF_HEAD.len()).position(|end| end == END_OF_HEAD)?;
    Some(start + END_OF_HEAD.len())
}

fn is_complete(head: &[u8]) -> bool {
    head.ends_with(END_OF_HEAD)
}

impl AsyncRead for Track {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_settled(cx));
        let before = buffer.filled().len();
        ready!(self.front.poll_read(cx, buffer))?;
        let heard = self.answer.pass(&buffer.filled()[before..]);
        if heard.is_err() {
            buffer.set_filled(before);
        }
        Poll::Ready(heard.map_err(io::Error::from))
    }
}

impl AsyncWrite for Track {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Stage::Overtaken = self.stage {
            return Poll::Ready(Ok(bytes.len()));
        }
        match Pin::new(&mut self.front.channel).poll_write(cx, bytes) {
            Poll::Ready(Ok(length)) => {
                self.remember(&bytes[..length]);
                Poll::Ready(Ok(length))
            }
            // What the first backend does not take any more may not be needed.
            Poll::Ready(Err(_)) if matches!(self.stage, Stage::Racing(_)) => Poll::Ready(Ok(bytes.len())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            // A backend that hangs is told by its taking no more, too.
            Poll::Pending => match self.poll_settled(cx) {
                Poll::Ready(()) if matches!(self.stage, Stage::Overtaken) => Poll::Ready(Ok(bytes.len())),
                _ => Poll::Pending,
            },
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.front.channel).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.front.channel).poll_shutdown(cx)
    }
}

impl VirtualSocket for Track {
    /// Both connections send at once what they are given; keep-alive probes are for connections that are kept.
    fn set_socket_option(&self, _: VirtualSockOpt) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Track({:?})", self.race)
    }
}
