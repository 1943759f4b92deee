//! The run loop: opens the listeners once the pools have been checked, obeys signals, reloads, and drains at the end.

pub mod accept;
pub mod admin;
mod admin_listener;
mod http2;
mod launch;
mod listeners;
mod live;
mod pools;
mod proxy;
mod quiesce;
mod serve;
mod service_manager;
pub mod signals;
pub mod takeover;
mod upgrade;
mod user;

use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use service_notify::Notice;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use self::accept::Stop;
use self::admin::{NotReloaded, ReloadRequest};
use self::launch::PidFile;
pub use self::launch::{Launch, arguments};
use self::listeners::Listeners;
use self::pools::RunningPools;
use self::proxy::Proxy;
use self::signals::{Event, Signals};
use self::takeover::{Legacy, Predecessor, Sockets, UpgradeError};
use self::upgrade::Upgrade;
use crate::client::tickets::tickets;
use crate::client::tls::{TrustError, check_trust};
use crate::config::check;
use crate::config::{self, Config, Source, mistake};
use crate::memory;
use crate::observe::metrics::Metrics;
use crate::program;
use crate::state::{Shared, State, StateError};
use crate::yaml::diagnostic::Diagnostic;

/// Why Veil does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("{}", lines(.0))]
    Config(Vec<Diagnostic>),
    /// A listener's address is taken or not ours, or its certificate cannot be used.
    #[error("{0}")]
    Listen(Diagnostic),
    /// The user to serve as.
    #[error("{0}")]
    User(Diagnostic),
    #[error(transparent)]
    State(#[from] StateError),
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// This process was to replace another one.
    #[error("cannot take over: {0}")]
    TakeOver(#[source] io::Error),
    #[error("cannot write the process's number to {}: {source}", path.display())]
    PidFile { path: PathBuf, source: io::Error },
    #[error(transparent)]
    System(#[from] io::Error),
}

/// Runs until told to stop, and until then serves what the launch's source says, which is `read` again at each reload, and at
/// the start unless that has happened. `takes_over` says that the standard input is a running Veil, whose sockets this one takes
/// and which it then relieves.
pub fn run(launch: Launch, read: Option<Config>, takes_over: bool) -> Result<(), ServerError> {
    program::path()?;
    memory::take_small_pages();
    allow_many_files();
    let inherited = takes_over.then(Predecessor::on_stdin).transpose();
    let (predecessor, sockets) = inherited.map_err(ServerError::TakeOver)?.unzip();
    if let Some(predecessor) = &predecessor {
        tickets().inherit(predecessor.legacy.ticket_keys.clone());
    }
    let config = read.map_or_else(|| load(&launch.source), |config| Ok(doubted(&launch.source, config)))?;
    let mut sockets = sockets.unwrap_or_default();
    let mut pid_file = None;
    if let Some(name) = &config.user {
        // Where only root may write.
        pid_file = launch.write_pid()?;
        let become_user = user::become_user(name, &config, &mut sockets);
        become_user.map_err(|(at, what)| ServerError::User(mistake(&launch.source, &at, what)))?;
    }
    launch.log.start()?;
    let threads = threads(&config);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name("veil")
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut signals = Signals::listen(launch.source.ends_at_once())?;
        let mut server = Server::new(launch, config, threads, sockets)?;
        server.pid_file = pid_file;
        let served = tokio::select! {
            served = server.serve(predecessor, &mut signals) => served,
            never = service_manager::beat() => match never {},
        };
        let relieved = matches!(served, Ok(End::Relieved));
        if !relieved {
            service_manager::tell(Notice::Stopping);
            server.quiesce(&mut signals).await;
            // Not where a successor serves: who asks meanwhile is not to hear otherwise.
            server.shared.set_draining();
            server.linger(&mut signals).await;
        }
        server.drain(&mut signals, relieved).await;
        served.map(|_| ())
    })
}

/// Reads the configuration, and warns of what is doubtful in it.
fn load(source: &Source) -> Result<Config, ServerError> {
    let config = config::load(source).map_err(ServerError::Config)?;
    Ok(doubted(source, config))
}

fn doubted(source: &Source, config: Config) -> Config {
    for doubt in check::doubts(source, &config) {
        tracing::warn!("{doubt}");
    }
    config
}

/// Why Veil does not serve any longer.
enum End {
    /// A signal says so.
    Told,
    /// Its successor serves.
    Relieved,
}

/// As many as there are cores, unless the configuration says otherwise. Nginx: `worker_processes auto`.
fn threads(config: &Config) -> usize {
    let cores = || available_parallelism().map_or(1, NonZeroUsize::get);
    config.threads.map_or_else(cores, NonZeroUsize::get)
}

/// Veil while it runs.
struct Server {
    launch: Launch,
    pid_file: Option<PidFile>,
    shared: Arc<Shared>,
    listeners: Listeners,
    pools: RunningPools,
    reloads: mpsc::Receiver<ReloadRequest>,
}

impl Server {
    /// After a successor has taken over, connections that idle for less than this may send one more request: its answer
    /// tells them to go elsewhere, and none is lost because a connection closes in the moment it comes.
    const FAREWELL: Duration = Duration::from_secs(5);
    /// As above, while the virtual address waits for it.
    const LAST_WORD: Duration = Duration::from_millis(250);
    /// How long pools may take to end their workers.
    const POOLS_GRACE: Duration = Duration::from_secs(10);

    fn new(launch: Launch, config: Config, threads: usize, inherited: Sockets) -> Result<Self, ServerError> {
        check_trust()?;
        let shared = Shared::new(State::build(config, None)?, Metrics::new()?);
        let proxy = Proxy::new(Arc::clone(&shared), threads);
        let (reload_requests, reloads) = mpsc::channel(1);
        Ok(Self {
            listeners: Listeners::new(&launch.source, &shared, proxy, reload_requests, inherited),
            launch,
            pid_file: None,
            shared,
            pools: RunningPools::default(),
            reloads,
        })
    }

    /// Opens everything, then obeys signals and the admin until one says to stop or a successor serves.
    async fn serve(&mut self, predecessor: Option<Predecessor>, signals: &mut Signals) -> Result<End, ServerError> {
        let connections = Arc::clone(&self.shared.connections);
        tokio::spawn(async move { connections.sweep().await });
        let state = self.shared.state.load_full();
        let opened = tokio::select! {
            opened = self.open(&state, predecessor) => opened,
            () = signals.stop() => return Ok(End::Told),
        };
        opened?;
        self.say_what_to_try(&state.config);
        let mut upgrade = Upgrade::default();
        loop {
            let (event, request) = tokio::select! {
                event = signals.next() => (event, None),
                Some(request) = self.reloads.recv() => (Event::Reload, Some(request)),
                outcome = upgrade.outcome() => {
                    if self.is_relieved(outcome).await {
                        return Ok(End::Relieved);
                    }
                    match std::mem::take(&mut upgrade).keeps_reload {
                        true => (Event::Reload, None),
                        false => continue,
                    }
                }
            };
            match event {
                Event::Stop => return Ok(End::Told),
                Event::Upgrade if upgrade.is_under_way() => tracing::warn!("an upgrade is under way already"),
                Event::Upgrade => upgrade = self.upgrade(),
                Event::ReopenLogs => self.reopen_logs(),
                Event::Reload if upgrade.is_under_way() => upgrade.keep_reload(request),
                Event::Reload => {
                    let reloaded = tokio::select! {
                        reloaded = self.reload() => reloaded,
                        () = signals.stop() => return Ok(End::Told),
                    };
                    if let Some(request) = request {
                        // The admin's client may have left.
                        let _ = request.send(reloaded.map_err(|error| NotReloaded::Refused(error.to_string())));
                    }
                }
            }
        }
    }

    /// The first time: what cannot be bound is found before the pools are checked, and clients come in after. The admin
    /// answers as soon as it can, but while another process is to be relieved, that one answers for both.
    async fn open(&mut self, state: &Arc<State>, predecessor: Option<Predecessor>) -> Result<(), ServerError> {
        let prepared = self.listeners.prepare(&state.config)?;
        let admin = self.listeners.prepare_admin(&state.config)?;
        let Some(predecessor) = predecessor else {
            self.listeners.change_admin(admin);
            self.pools.start(state).await;
            let ready = self.listeners.listen(prepared)?;
            self.shared.set_listening();
            self.listeners.open(ready).await;
            self.write_pid()?;
            service_manager::tell(Notice::Ready);
            return Ok(());
        };
        self.pools.start(state).await;
        // By now those are known, too, that had to be discovered.
        state.obey(&predecessor.legacy.overrides);
        let ready = self.listeners.listen(prepared)?;
        self.shared.set_listening();
        self.listeners.open(ready).await;
        self.listeners.change_admin(admin);
        self.listeners.forget_inherited();
        self.write_pid()?;
        self.shared.metrics.changes().upgraded::<ServerError>(Ok(()));
        predecessor.relieve().map_err(ServerError::TakeOver)
    }

    fn reopen_logs(&self) {
        self.shared.state.load().logs.reopen();
        self.launch.log.reopen();
    }

    /// From now on others find this process by its number.
    fn write_pid(&mut self) -> Result<(), ServerError> {
        if self.pid_file.is_none() {
            self.pid_file = self.launch.write_pid()?;
        }
        Ok(())
    }

    /// If `shutdown.quiesce` says so, lets nobody in and waits for the requests in flight, so that a virtual address can
    /// move without taking any of them along; then gives it up. No longer after another signal.
    async fn quiesce(&mut self, signals: &mut Signals) {
        let most = self.shared.state.load().config.shutdown.quiesce.get();
        if most.is_zero() || self.listeners.url().is_none() {
            return;
        }
        self.listeners.quiesce().await;
        let drained = self.shared.connections.drain(Self::LAST_WORD.min(most));
        tokio::select! {
            drained = timeout(most, drained) => if drained.is_err() {
                let connections = self.shared.connections.counts().active;
                tracing::warn!(connections, "the virtual address goes with requests in flight");
            },
            () = signals.stop() => {}
        }
        quiesce::give_up_virtual_address();
        self.listeners.admit_locals();
    }

    /// If it serves, keeps doing so for `shutdown.delay`, while `/readyz` says that it will not for long; no longer after another signal.
    async fn linger(&self, signals: &mut Signals) {
        let delay = self.shared.state.load().config.shutdown.delay.get();
        if delay.is_zero() || self.listeners.url().is_none() {
            return;
        }
        tokio::select! {
            () = sleep(delay) => {}
            () = signals.stop() => {}
        }
    }

    /// Starts the program's file anew and hands the listeners over, while this one goes on.
    fn upgrade(&self) -> Upgrade {
        let sockets = match self.listeners.sockets() {
            Ok(sockets) => sockets,
            Err(error) => {
                tracing::error!(%error, "upgrade failed, this program serves on");
                self.shared.metrics.upgrade(Err(&error));
                return Upgrade::default();
            }
        };
        let legacy = Legacy {
            overrides: self.shared.state.load().overrides(),
            ticket_keys: tickets().keys(),
        };
        tracing::info!("upgrade: the new program starts");
        self.shared.metrics.changes().upgrades();
        Upgrade::begun(Box::pin(takeover::hand_over(self.launch.arguments(), sockets, legacy)))
    }

    /// Whether a successor serves now.
    async fn is_relieved(&mut self, outcome: Result<u32, UpgradeError>) -> bool {
        self.shared.metrics.upgrade(outcome.as_ref().map(|_| ()));
        match outcome {
            Ok(pid) => {
                service_manager::tell(Notice::MainProcess(pid));
                tracing::info!(pid, "the new program serves, this one ends");
            }
            Err(error) => {
                tracing::error!(%error, "upgrade failed, this program serves on");
                return false;
            }
        }
        self.listeners.close_admin().await;
        true
    }

    /// Reads the configuration anew, and puts it to work as a whole or not at all.
    async fn reload(&mut self) -> Result<(), ServerError> {
        service_manager::tell(Notice::Reloading);
        let reloaded = self.try_reload().await;
        service_manager::tell(Notice::Ready);
        self.shared.metrics.reload(reloaded.as_ref().copied());
        match &reloaded {
            Ok(()) => tracing::info!(source = %self.launch.source, "reloaded"),
            Err(error) => tracing::error!(%error, "reload refused, all stays as it was"),
        }
        reloaded
    }

    async fn try_reload(&mut self) -> Result<(), ServerError> {
        let config = load(&self.launch.source)?;
        let old = self.shared.state.load_full();
        let build = {
            let old = Arc::clone(&old);
            move || State::build(config, Some(&old))
        };
        let state = Arc::new(spawn_blocking(build).await.map_err(io::Error::other)??);
        let prepared = self.listeners.prepare(&state.config)?;
        let ready = self.listeners.listen(prepared)?;
        let admin = self.listeners.prepare_admin(&state.config)?;
        // Nothing can be refused from here on.
        self.pools.start(&state).await;
        self.shared.state.store(Arc::clone(&state));
        self.listeners.open(ready).await;
        self.listeners.close_others(&state.config).await;
        self.listeners.change_admin(admin);
        if state.config.threads != old.config.threads {
            tracing::warn!("another number of threads holds from the next start");
        }
        self.pools.retire(old, &state);
        Ok(())
    }

    /// Takes no more connections, lets the requests in flight end, and stops the pools: at once when nothing is left to
    /// wait for, after `shutdown.grace` at the latest, and immediately on a second signal.
    async fn drain(&mut self, signals: &mut Signals, relieved: bool) {
        let (stop, patience) = match relieved {
            true => (Stop::Relieved, Self::FAREWELL),
            false => (Stop::Last, Duration::ZERO),
        };
        self.listeners.close_all(stop).await;
        let grace = self.shared.state.load().config.shutdown.grace.get();
        let drained = self.shared.connections.drain(patience);
        let left = tokio::select! {
            drained = timeout(grace, drained) => drained.is_err(),
            () = signals.stop() => true,
        };
        if left {
            let connections = self.shared.connections.counts().active;
            tracing::warn!(connections, "stopping with requests in flight");
            self.shared.connections.stop().await;
        }
        tokio::select! {
            _ = timeout(Self::POOLS_GRACE, std::mem::take(&mut self.pools).stop()) => {}
            () = signals.stop() => {}
        }
        if !relieved {
            self.listeners.forget_admin();
        }
        let state = self.shared.state.load();
        state.logs.finish();
        state.traces.iter().for_each(|traces| traces.finish());
    }

    fn say_what_to_try(&self, config: &Config) {
        let spawns = config.pools.values().any(|pool| pool.spawn.is_some());
        if let (true, Some(url)) = (spawns, self.listeners.url()) {
            say(&format!(
                "try: curl -f --data-binary @photo.jpg {url}/v1/blur -o out.jpg, or open {url}/"
            ));
        }
    }
}

/// As many files as the system lets this process open: clients and backends take one each.
fn allow_many_files() {
    let limits = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: limits.maximum,
        ..limits
    };
    if let Err(error) = setrlimit(Resource::Nofile, most) {
        tracing::debug!(%error, "the limit of open files stays");
    }
}

/// A line for whoever started the program, person or test. Nobody may be reading, which is no reason to wait or to stop.
fn say(line: &str) {
    use std::io::Write;
    let stdout = io::stdout();
    let is_read = poll(&mut [PollFd::new(&stdout, PollFlags::OUT)], Some(&Timespec::default()));
    if is_read.is_ok_and(|ready| ready > 0) {
        let _ = writeln!(io::stdout(), "{line}");
    }
}

fn lines(diagnostics: &[Diagnostic]) -> String {
    diagnostics
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}
