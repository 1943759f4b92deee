//! The run loop: opens the listeners once the pools have been checked, obeys signals, reloads, and drains at the end.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};

use crate::accept::{Acceptor, Proxy, proxy};
use crate::admin::{Admin, ReloadRequest};
use crate::config::{self, Config, Source};
use crate::diagnostic::Diagnostic;
use crate::document::{Step, steps};
use crate::edge::Edge;
use crate::listener::{self, ListenError, Listener, ListenerConfig, Socket};
use crate::metrics::Metrics;
use crate::pool::Pool;
use crate::program;
use crate::signals::{Event, Signals};
use crate::state::{Shared, State, StateError};
use crate::takeover::{self, Predecessor, Sockets};

/// Why Veil does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("{}", lines(.0))]
    Config(Vec<Diagnostic>),
    /// A listener's address is taken or not ours, or its certificate cannot be used.
    #[error("{0}")]
    Listen(Diagnostic),
    #[error(transparent)]
    State(#[from] StateError),
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// This process was to replace another one.
    #[error("cannot take over: {0}")]
    TakeOver(#[source] io::Error),
    #[error(transparent)]
    System(#[from] io::Error),
}

/// Runs until told to stop, and until then serves what `source` says. `takes_over` says that the standard input is a
/// running Veil, whose sockets this one takes and which it then relieves.
pub fn run(source: &Source, takes_over: bool) -> Result<(), ServerError> {
    program::path()?;
    let inherited = takes_over.then(Predecessor::on_stdin).transpose();
    let (predecessor, sockets) = inherited.map_err(ServerError::TakeOver)?.unzip();
    let config = config::load(source).map_err(ServerError::Config)?;
    let threads = threads(&config);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name("veil")
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let mut server = Server::new(source, config, threads, sockets.unwrap_or_default())?;
        let served = server.serve(predecessor, &mut signals).await;
        server.drain(&mut signals).await;
        served
    })
}

/// As many as there are cores, unless the configuration says otherwise. Nginx: `worker_processes auto`.
fn threads(config: &Config) -> usize {
    let cores = || available_parallelism().map_or(1, NonZeroUsize::get);
    config.threads.map_or_else(cores, NonZeroUsize::get)
}

/// Veil while it runs.
struct Server {
    source: Source,
    shared: Arc<Shared>,
    proxy: Arc<Proxy>,
    doors: BTreeMap<String, Door>,
    admin: Option<AdminDoor>,
    pools: Vec<RunningPool>,
    /// From the process that this one replaces; empty once the listeners are open.
    inherited: Sockets,
    reload_requests: mpsc::Sender<ReloadRequest>,
    reloads: mpsc::Receiver<ReloadRequest>,
    /// Tells connections to end with the request at hand.
    shutdown: watch::Sender<bool>,
}

/// A listener that takes connections.
struct Door {
    listener: Arc<Listener>,
    /// The socket, for a successor.
    socket: OwnedFd,
    stop: oneshot::Sender<()>,
    acceptor: JoinHandle<TcpListener>,
}

/// The admin listener while it takes connections.
struct AdminDoor {
    /// For a successor.
    socket: OwnedFd,
    stop: oneshot::Sender<()>,
    server: JoinHandle<io::Result<()>>,
}

/// A listener that is about to.
struct Prepared {
    key: String,
    listener: Arc<Listener>,
    /// None where it takes over the socket of the door that has this key.
    socket: Option<Socket>,
}

/// A pool's checks and workers.
struct RunningPool {
    pool: Arc<Pool>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Server {
    /// Connections that were opened less than this ago may still send their first request when Veil drains.
    const FRESH: Duration = Duration::from_secs(1);
    /// How long pools may take to end their workers.
    const POOLS_GRACE: Duration = Duration::from_secs(10);
    /// How long the admin's clients may take to get the answers they have asked for.
    const ADMIN_GRACE: Duration = Duration::from_secs(1);

    fn new(source: &Source, config: Config, threads: usize, inherited: Sockets) -> Result<Self, ServerError> {
        let shared = Shared::new(State::build(config, None)?, Metrics::new()?);
        let proxy = Arc::new(proxy(Edge::new(Arc::clone(&shared)), threads));
        let (reload_requests, reloads) = mpsc::channel(1);
        Ok(Self {
            source: source.clone(),
            shared,
            proxy,
            doors: BTreeMap::new(),
            admin: None,
            inherited,
            pools: Vec::new(),
            reload_requests,
            reloads,
            shutdown: watch::Sender::new(false),
        })
    }

    /// Opens everything, then obeys signals and the admin until one says to stop or a successor serves.
    async fn serve(&mut self, predecessor: Option<Predecessor>, signals: &mut Signals) -> Result<(), ServerError> {
        let connections = Arc::clone(&self.shared.connections);
        tokio::spawn(async move { connections.sweep().await });
        let state = self.shared.state.load_full();
        let opened = tokio::select! {
            opened = self.open(&state, predecessor) => opened,
            () = signals.stop() => return Ok(()),
        };
        opened?;
        self.say_what_to_try(&state.config);
        loop {
            let (event, request) = tokio::select! {
                event = signals.next() => (event, None),
                Some(request) = self.reloads.recv() => (Event::Reload, Some(request)),
            };
            match event {
                Event::Stop => {
                    self.linger(signals).await;
                    return Ok(());
                }
                Event::Upgrade => {
                    let upgraded = tokio::select! {
                        upgraded = self.upgrade() => upgraded,
                        () = signals.stop() => return Ok(()),
                    };
                    if upgraded {
                        return Ok(());
                    }
                }
                Event::ReopenLogs => self.shared.state.load().access_log.reopen(),
                Event::Reload => {
                    let reloaded = tokio::select! {
                        reloaded = self.reload() => reloaded,
                        () = signals.stop() => return Ok(()),
                    };
                    if let Some(request) = request {
                        // The admin's client may have left.
                        let _ = request.send(reloaded.map_err(|error| error.to_string()));
                    }
                }
            }
        }
    }

    /// The first time: what cannot be bound is found before the pools are checked, and clients come in after. The admin
    /// answers as soon as it can, but while another process is to be relieved, that one answers for both.
    async fn open(&mut self, state: &Arc<State>, predecessor: Option<Predecessor>) -> Result<(), ServerError> {
        let prepared = self.prepare(&state.config)?;
        let admin = self.prepare_admin(&state.config)?;
        let Some(predecessor) = predecessor else {
            self.open_admin(admin)?;
            self.run_pools(state).await;
            self.open_doors(prepared).await?;
            self.shared.set_listening();
            return Ok(());
        };
        self.run_pools(state).await;
        self.open_doors(prepared).await?;
        self.shared.set_listening();
        self.open_admin(admin)?;
        self.inherited.clear();
        predecessor.relieve().map_err(ServerError::TakeOver)
    }

    /// Keeps serving for `shutdown.delay`, while `/readyz` says that it will not for long; no longer after another signal.
    async fn linger(&self, signals: &mut Signals) {
        let delay = self.shared.state.load().config.shutdown.delay.get();
        if delay.is_zero() {
            return;
        }
        self.shared.set_draining();
        tokio::select! {
            () = sleep(delay) => {}
            () = signals.stop() => {}
        }
    }

    /// Starts the program's file anew and hands the listeners over; says whether a successor serves now.
    async fn upgrade(&mut self) -> bool {
        let doors = self
            .doors
            .iter()
            .map(|(key, door)| (door_name(key), door.socket.as_fd()));
        let admin = self.admin.iter().map(|admin| (ADMIN.to_owned(), admin.socket.as_fd()));
        match takeover::hand_over(&self.source, &doors.chain(admin).collect()).await {
            Ok(pid) => tracing::info!(pid, "the new program serves, this one ends"),
            Err(error) => {
                tracing::error!("upgrade failed, this program serves on: {error}");
                return false;
            }
        }
        self.close_admin().await;
        true
    }

    /// Reads the configuration anew, and puts it to work as a whole or not at all.
    async fn reload(&mut self) -> Result<(), ServerError> {
        let reloaded = self.try_reload().await;
        self.shared.metrics.reload(reloaded.is_ok());
        match &reloaded {
            Ok(()) => tracing::info!(source = %self.source, "reloaded"),
            Err(error) => tracing::error!("reload refused, all stays as it was: {error}"),
        }
        reloaded
    }

    async fn try_reload(&mut self) -> Result<(), ServerError> {
        let config = config::load(&self.source).map_err(ServerError::Config)?;
        let old = self.shared.state.load_full();
        let build = {
            let old = Arc::clone(&old);
            move || State::build(config, Some(&old))
        };
        let state = Arc::new(spawn_blocking(build).await.map_err(io::Error::other)??);
        let prepared = self.prepare(&state.config)?;
        self.run_pools(&state).await;
        self.shared.state.store(Arc::clone(&state));
        self.open_doors(prepared).await?;
        let kept: Vec<String> = state
            .config
            .listeners
            .iter()
            .map(|(name, config)| key(name, config))
            .collect();
        let gone: Vec<String> = self.doors.keys().filter(|key| !kept.contains(key)).cloned().collect();
        for key in gone {
            self.close_door(&key).await;
        }
        self.retire_pools(old, &state);
        Ok(())
    }

    /// Binds what is new, and reads certificates; says what is wrong before anything has changed.
    fn prepare(&mut self, config: &Config) -> Result<Vec<Prepared>, ServerError> {
        let mut prepared = Vec::new();
        for (name, settings) in &config.listeners {
            let key = key(name, settings);
            let door = self.doors.get(&key);
            // A certificate may have been renewed in its place.
            if door.is_some_and(|door| door.listener.config == *settings && settings.tls.is_none()) {
                continue;
            }
            let bound = match door {
                Some(door) => Ok((None, door.listener.address)),
                None => self
                    .socket(&door_name(&key), settings.address)
                    .map(|(socket, address)| (Some(socket), address)),
            };
            let refused_heads = &self.shared.connections.refused_heads;
            let made = bound
                .and_then(|(socket, address)| Ok((socket, Listener::new(name, settings, address, refused_heads)?)));
            let (socket, listener) =
                made.map_err(|error| self.misplaced(&steps!["listeners", name.as_str()], &error))?;
            prepared.push(Prepared {
                key,
                listener: Arc::new(listener),
                socket,
            });
        }
        Ok(prepared)
    }

    async fn open_doors(&mut self, prepared: Vec<Prepared>) -> Result<(), ServerError> {
        for Prepared { key, listener, socket } in prepared {
            let socket = match socket {
                Some(socket) => {
                    let at = steps!["listeners", listener.name.as_str()];
                    let socket =
                        listener::listen(socket, listener.address).map_err(|error| self.misplaced(&at, &error))?;
                    say(&format!("listening on {} ({})", listener.url(), listener.name));
                    Some(socket)
                }
                None => self.close_door(&key).await,
            };
            if let Some(socket) = socket {
                self.doors.insert(key, self.door(listener, socket)?);
            }
        }
        Ok(())
    }

    fn door(&self, listener: Arc<Listener>, socket: TcpListener) -> io::Result<Door> {
        let acceptor = Acceptor {
            listener: Arc::clone(&listener),
            connections: Arc::clone(&self.shared.connections),
            proxy: Arc::clone(&self.proxy),
            shutdown: self.shutdown.subscribe(),
        };
        let (stop, stopped) = oneshot::channel();
        Ok(Door {
            listener,
            socket: socket.as_fd().try_clone_to_owned()?,
            stop,
            acceptor: tokio::spawn(acceptor.run(socket, stopped)),
        })
    }

    /// Takes no further connections; gives the socket back. Those that are open live on.
    async fn close_door(&mut self, key: &str) -> Option<TcpListener> {
        let door = self.doors.remove(key)?;
        // It listens for this until its end.
        let _ = door.stop.send(());
        door.acceptor.await.ok()
    }

    /// The socket that a predecessor listened on under this name, or a new one.
    fn socket(&mut self, name: &str, address: SocketAddr) -> Result<(Socket, SocketAddr), ListenError> {
        match self.inherited.remove(name) {
            Some(socket) => listener::inherit(socket, address),
            None => listener::bind(address),
        }
    }

    fn prepare_admin(&mut self, config: &Config) -> Result<Option<(Socket, SocketAddr)>, ServerError> {
        let bound = config.admin.as_ref().map(|admin| self.socket(ADMIN, admin.address));
        bound
            .transpose()
            .map_err(|error| self.misplaced(&steps!["admin"], &error))
    }

    fn open_admin(&mut self, prepared: Option<(Socket, SocketAddr)>) -> Result<(), ServerError> {
        let Some((socket, address)) = prepared else {
            return Ok(());
        };
        let socket = listener::listen(socket, address).map_err(|error| self.misplaced(&steps!["admin"], &error))?;
        let admin = Admin {
            shared: Arc::clone(&self.shared),
            reloads: self.reload_requests.clone(),
        };
        let (stop, stopped) = oneshot::channel::<()>();
        self.admin = Some(AdminDoor {
            socket: socket.as_fd().try_clone_to_owned()?,
            stop,
            server: tokio::spawn(async move {
                // An end of the sender is a word to stop as well.
                let stopped = async { drop(stopped.await) };
                axum::serve(socket, admin.router())
                    .with_graceful_shutdown(stopped)
                    .await
            }),
        });
        say(&format!("admin on http://{address}"));
        Ok(())
    }

    async fn close_admin(&mut self) {
        if let Some(admin) = self.admin.take() {
            // It listens for this until its end.
            let _ = admin.stop.send(());
            let _ = timeout(Self::ADMIN_GRACE, admin.server).await;
        }
    }

    /// Starts the pools that do not run yet, and waits for their first round of checks.
    async fn run_pools(&mut self, state: &State) {
        let mut new = Vec::new();
        for pool in state.pools.values() {
            if self.pools.iter().any(|running| Arc::ptr_eq(&running.pool, pool)) {
                continue;
            }
            let (stop, stopped) = watch::channel(false);
            let task = tokio::spawn(Arc::clone(pool).run(stopped));
            self.pools.push(RunningPool {
                pool: Arc::clone(pool),
                stop,
                task,
            });
            new.push(Arc::clone(pool));
        }
        let mut rounds: JoinSet<()> = new
            .into_iter()
            .map(|pool| async move { pool.first_round().await })
            .collect();
        while rounds.join_next().await.is_some() {}
    }

    /// Stops the pools that the new state has no use for, once no request is left that began under the old one.
    fn retire_pools(&mut self, old: Arc<State>, new: &State) {
        let used = |running: &RunningPool| new.pools.values().any(|pool| Arc::ptr_eq(pool, &running.pool));
        let (kept, retired) = std::mem::take(&mut self.pools).into_iter().partition(used);
        self.pools = kept;
        tokio::spawn(async move {
            while Arc::strong_count(&old) > 1 {
                sleep(Duration::from_millis(50)).await;
            }
            stop_pools(retired).await;
        });
    }

    /// Takes no more connections, lets the requests in flight end, and stops the pools: at once when nothing is left to
    /// wait for, after `shutdown.grace` at the latest, and immediately on a second signal.
    async fn drain(&mut self, signals: &mut Signals) {
        self.shared.set_draining();
        for key in self.doors.keys().cloned().collect::<Vec<_>>() {
            self.close_door(&key).await;
        }
        self.shutdown.send_replace(true);
        let grace = self.shared.state.load().config.shutdown.grace.get();
        let drained = async {
            while !self.shared.connections.is_empty() {
                self.shared.connections.end_waiting(Self::FRESH);
                sleep(Duration::from_millis(10)).await;
            }
        };
        let left = tokio::select! {
            drained = timeout(grace, drained) => drained.is_err(),
            () = signals.stop() => true,
        };
        if left {
            let connections = self.shared.connections.counts().active;
            tracing::warn!(connections, "stopping with requests in flight");
        }
        tokio::select! {
            _ = timeout(Self::POOLS_GRACE, stop_pools(std::mem::take(&mut self.pools))) => {}
            () = signals.stop() => {}
        }
        self.shared.state.load().access_log.finish();
    }

    /// A listener's error with its place in the configuration.
    fn misplaced(&self, at: &[Step], error: &ListenError) -> ServerError {
        ServerError::Listen(config::mistake(&self.source, at, error.to_string()))
    }

    fn say_what_to_try(&self, config: &Config) {
        let spawns = config.pools.values().any(|pool| pool.spawn.is_some());
        if let (true, Some(door)) = (spawns, self.doors.values().next()) {
            let url = door.listener.url();
            say(&format!(
                "try: curl -f --data-binary @photo.jpg {url}/v1/blur -o out.jpg, or open {url}/"
            ));
        }
    }
}

/// What the admin's socket is called when it is handed over.
const ADMIN: &str = "admin";

/// What a door's socket is called when it is handed over.
fn door_name(key: &str) -> String {
    format!("listener {key}")
}

/// What tells doors apart: the address, or for a free port the name.
fn key(name: &str, config: &ListenerConfig) -> String {
    match config.address.port() {
        0 => name.to_owned(),
        _ => config.address.to_string(),
    }
}

async fn stop_pools(pools: Vec<RunningPool>) {
    for running in &pools {
        running.stop.send_replace(true);
    }
    for running in pools {
        // A pool that panicked has said so.
        let _ = running.task.await;
    }
}

/// A line for whoever started the program, person or test.
fn say(line: &str) {
    use std::io::Write;
    // Nobody may be reading, which is no reason to stop.
    let _ = writeln!(io::stdout(), "{line}");
}

fn lines(diagnostics: &[Diagnostic]) -> String {
    diagnostics
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}
