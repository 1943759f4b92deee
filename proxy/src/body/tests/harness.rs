//! A proxy with nothing but the body's parts in it, backends that fail by script, and a client that sends raw bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pingora::apps::{HttpServerApp, HttpServerOptions, ServerApp};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::ServerSession;
use pingora::protocols::l4::stream::Stream as L4Stream;
use pingora::proxy::{FailToProxy, ProxyHttp, Session, http_proxy};
use pingora::server::configuration::ServerConf;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, Result};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::body::{self, BodyConfig, Budget, HeadLimits, Limits, Next, ReadError, RouteBodyConfig, Taken, Watch};
use crate::request::RequestId;
use crate::request::deadline::Patience;
use crate::request::problem::Problem;

/// Bytes.
pub const HEAD_LIMIT: usize = 8 << 10;

pub struct Proxy {
    pub address: SocketAddr,
    pub budget: Arc<Budget>,
    /// Keeps the server from taking the end of this sender for a shutdown.
    _stop: watch::Sender<bool>,
}

impl Proxy {
    pub async fn start(config: BodyConfig, backends: &[&Backend]) -> Self {
        let budget = Budget::new(&config, None);
        let app = App {
            limits: Limits::new(&config, &RouteBodyConfig::default()),
            budget: budget.clone(),
            backends: backends.iter().map(|backend| backend.address).collect(),
        };
        let mut app = http_proxy(&Arc::new(ServerConf::default()), app);
        let mut options = HttpServerOptions::default();
        options.h2c = true;
        app.server_options = Some(options);

        let limits = HeadLimits {
            max_size: HEAD_LIMIT,
            deadline: Duration::from_millis(300),
        };
        let (app, watch) = (Arc::new(app), Watch::new(limits, Arc::default()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (app, stopped, watch) = (app.clone(), stopped.clone(), watch.clone());
                tokio::spawn(async move {
                    let mut wire = Box::new(watch.over_new(Box::new(L4Stream::from(stream))));
                    match wire.next().await {
                        Next::Request => {}
                        Next::Http2 => {
                            app.process_new(Box::new(wire.multiplexed()), &stopped).await;
                            return;
                        }
                        Next::Gone => return,
                    }
                    let mut session = ServerSession::new_http1(wire);
                    session.set_keepalive(Some(60));
                    while let Some(reusable) = app.process_new_http(session, &stopped).await {
                        let (stream, settings) = reusable.consume();
                        session = ServerSession::new_http1(stream);
                        settings.unwrap().apply_to_session(&mut session);
                    }
                });
            }
        });
        Self {
            address,
            budget,
            _stop: stop,
        }
    }

    pub async fn connect(&self) -> Client {
        Client(BufReader::new(TcpStream::connect(self.address).await.unwrap()))
    }
}

struct App {
    limits: Limits,
    budget: Arc<Budget>,
    backends: Vec<SocketAddr>,
}

#[derive(Default)]
struct Ctx {
    taken: Option<Taken>,
    tried: usize,
}

#[async_trait]
impl ProxyHttp for App {
    type CTX = Ctx;

    fn new_ctx(&self) -> Ctx {
        Ctx::default()
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut Ctx) -> Result<bool> {
        let error = match body::take(
            &mut session.downstream_session,
            &self.limits,
            &self.budget,
            Patience::default(),
        )
        .await
        {
            Ok(taken) => {
                ctx.taken = Some(taken);
                return Ok(false);
            }
            Err(error) => error,
        };
        if let Some(problem) = error.problem() {
            refuse(session, problem).await?;
        }
        Ok(true)
    }

    async fn upstream_peer(&self, _session: &mut Session, ctx: &mut Ctx) -> Result<Box<HttpPeer>> {
        let address = self.backends[ctx.tried];
        ctx.tried += 1;
        Ok(Box::new(HttpPeer::new(address, false, String::new())))
    }

    async fn upstream_request_filter(
        &self,
        _session: &mut Session,
        head: &mut RequestHeader,
        _ctx: &mut Ctx,
    ) -> Result<()> {
        body::settle_authority(head)
    }

    fn fail_to_connect(&self, _: &mut Session, _: &HttpPeer, ctx: &mut Ctx, mut error: Box<Error>) -> Box<Error> {
        error.set_retry(ctx.tried < self.backends.len());
        error
    }

    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        ctx: &mut Ctx,
        _reused: bool,
    ) -> Box<Error> {
        let answered = session
            .response_written()
            .is_some_and(|response| !response.status.is_informational());
        error.set_retry(!answered && ctx.tried < self.backends.len());
        error
    }

    async fn upstream_response_filter(
        &self,
        _session: &mut Session,
        response: &mut ResponseHeader,
        _ctx: &mut Ctx,
    ) -> Result<()> {
        if response.status == 503 {
            Error::e_explain(pingora::HTTPStatus(503), "a status to retry on")
        } else {
            Ok(())
        }
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, ctx: &mut Ctx) -> FailToProxy {
        if let Some(problem) = ReadError::problem_in(error) {
            ctx.release(session);
            // The client may have left.
            let _ = refuse(session, problem).await;
        }
        FailToProxy {
            error_code: 0,
            can_reuse_downstream: false,
        }
    }

    async fn logging(&self, session: &mut Session, _error: Option<&Error>, ctx: &mut Ctx) {
        ctx.release(session);
    }
}

impl Ctx {
    fn release(&mut self, session: &mut Session) {
        if let Some(taken) = self.taken.take() {
            taken.release(&mut session.downstream_session);
        }
    }
}

async fn refuse(session: &mut Session, problem: Problem) -> Result<()> {
    let (head, text) = problem.response(&RequestId::random())?;
    session.set_keepalive(None);
    session.write_response_header(Box::new(head), false).await?;
    session.write_response_body(Some(text), true).await
}

/// What a backend does with each request.
#[derive(Clone, Copy)]
pub enum Script {
    /// Ends the connection when the head has come.
    DieBeforeBody,
    /// Ends it when so many bytes of the body have come.
    DieAmidBody(usize),
    /// Reads all, says nothing.
    DieAfterBody,
    /// Sends a part of an answer's head.
    DieAmidHead,
    /// Answers 503 before it reads the body.
    Busy,
    /// Reads all and gives it back.
    Echo,
    /// Reads all and never answers.
    Hang,
}

pub struct Backend {
    pub address: SocketAddr,
    /// The heads of all requests that came, as they came.
    pub heads: Arc<Mutex<Vec<String>>>,
}

impl Backend {
    pub async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let seen = heads.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // The client of a dying backend finds out by itself.
                tokio::spawn(serve(BufReader::new(stream), script, seen.clone()));
            }
        });
        Self { address, heads }
    }

    /// An address nobody listens on.
    pub async fn refusing() -> Self {
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        Self {
            address,
            heads: Arc::default(),
        }
    }

    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn serve(mut stream: BufReader<TcpStream>, script: Script, seen: Arc<Mutex<Vec<String>>>) -> std::io::Result<()> {
    loop {
        let Some(head) = read_head(&mut stream).await? else {
            return Ok(());
        };
        seen.lock().unwrap().push(head.clone());
        let length = header(&head, "content-length").map_or(0, |value| value.parse().unwrap());
        let mut body = vec![0; length];
        match script {
            Script::DieBeforeBody => return Ok(()),
            Script::DieAmidBody(bytes) => {
                stream.read_exact(&mut body[..bytes]).await?;
                return Ok(());
            }
            Script::Busy => {
                stream
                    .write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
                    .await?;
                return Ok(());
            }
            _ => stream.read_exact(&mut body).await?,
        };
        match script {
            Script::DieAmidHead => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-").await?;
                return Ok(());
            }
            Script::Echo => {
                stream
                    .write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes())
                    .await?;
                stream.write_all(&body).await?;
            }
            Script::Hang => std::future::pending().await,
            _ => return Ok(()),
        }
    }
}

/// A connection to the proxy that sends what it is told to, good or bad.
pub struct Client(BufReader<TcpStream>);

impl Client {
    /// What the other side makes of a broken connection shows in its answer.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let _ = self.0.write_all(bytes.as_ref()).await;
        self
    }

    pub async fn answer(&mut self) -> Answer {
        within(async {
            let head = read_head(&mut self.0).await.unwrap().expect("an answer");
            let length = header(&head, "content-length").map_or(0, |value| value.parse().unwrap());
            let mut body = vec![0; length];
            self.0.read_exact(&mut body).await.unwrap();
            let status = head[9..12].parse().unwrap();
            Answer {
                status,
                head,
                body: body.into(),
            }
        })
        .await
    }

    /// Whether an answer begins within this time.
    pub async fn has_answer_within(&mut self, time: Duration) -> bool {
        timeout(time, self.0.fill_buf()).await.is_ok()
    }

    /// Whether the proxy closes the connection and sends nothing more.
    pub async fn is_closed(&mut self) -> bool {
        within(async { matches!(self.0.read(&mut [0; 1]).await, Ok(0) | Err(_)) }).await
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Bytes,
}

async fn read_head(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<String>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_until(b'\n', &mut head).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(String::from_utf8(head).unwrap()))
}

pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find_map(|(found, value)| found.eq_ignore_ascii_case(name).then_some(value))
}

/// The test fails rather than hangs.
pub async fn within<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), what).await.expect("an end in time")
}

/// Waits until something is so.
pub async fn until(mut is_so: impl FnMut() -> bool) {
    within(async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
