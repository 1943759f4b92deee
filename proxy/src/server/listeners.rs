//! The listening sockets, clients' and the admin's: bound before anything changes, opened, handed over, closed.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::{ServerError, say};
use crate::client::endpoint::Endpoint;
use crate::client::listener::{ListenError, Listener, ListenerConfig};
use crate::client::listening::{self, Bound, Listening, Making};
use crate::client::places::Places;
use crate::config::{self, Config, Source};
use crate::server::accept::{Acceptor, Entrance, Stop};
use crate::server::admin::{Admin, ReloadRequest};
use crate::server::admin_listener::{AdminListener, Gate};
use crate::server::proxy::Proxy;
use crate::server::quiesce;
use crate::server::takeover::Sockets;
use crate::state::Shared;
use crate::yaml::document::{Step, steps};

/// All that takes connections.
pub struct Listeners {
    /// For errors that have a place in it.
    source: Source,
    shared: Arc<Shared>,
    proxy: Arc<Proxy>,
    reloads: mpsc::Sender<ReloadRequest>,
    /// From the process that this one replaces; empty once the listeners are open.
    inherited: Sockets,
    open: BTreeMap<String, OpenListener>,
    /// By the listener's name, from its first settings on.
    places: BTreeMap<String, Arc<Places>>,
    admin: Option<AdminListener>,
    /// Unix sockets at which nobody is let in for a while.
    quiet: Vec<Quiet>,
    /// Tells connections to end with the request at hand.
    shutdown: watch::Sender<bool>,
}

/// A listener that takes connections.
struct OpenListener {
    listener: Arc<Listener>,
    /// The socket, for a successor.
    socket: OwnedFd,
    stop: oneshot::Sender<Stop>,
    acceptor: JoinHandle<Entrance>,
}

/// A listener that takes no connections; who connects waits in the kernel.
struct Quiet {
    key: String,
    listener: Arc<Listener>,
    entrance: Entrance,
    socket: OwnedFd,
}

/// A listener that is about to.
pub struct Prepared {
    key: String,
    listener: Arc<Listener>,
    /// None where it takes over the socket of the listener that has this key.
    socket: Option<Bound>,
}

/// One whose socket listens, so that nothing can go wrong any more.
pub struct Ready {
    key: String,
    listener: Arc<Listener>,
    /// With a copy for a successor; none as above.
    socket: Option<(Listening, OwnedFd)>,
}

/// What becomes of the admin listener.
pub enum AdminChange {
    Stay,
    Close,
    Open {
        configured: Endpoint,
        address: Endpoint,
        socket: Listening,
        copy: OwnedFd,
    },
}

impl Listeners {
    /// None is open yet.
    pub fn new(
        source: &Source,
        shared: &Arc<Shared>,
        proxy: Arc<Proxy>,
        reloads: mpsc::Sender<ReloadRequest>,
        inherited: Sockets,
    ) -> Self {
        Self {
            source: source.clone(),
            shared: Arc::clone(shared),
            proxy,
            reloads,
            inherited,
            open: BTreeMap::new(),
            places: BTreeMap::new(),
            admin: None,
            quiet: Vec::new(),
            shutdown: watch::Sender::new(false),
        }
    }

    /// Binds what is new, and reads certificates; says what is wrong before anything has changed.
    pub fn prepare(&mut self, config: &Config) -> Result<Vec<Prepared>, ServerError> {
        let mut prepared = Vec::new();
        for (name, settings) in &config.listeners {
            for address in settings.address.iter() {
                let made = self.prepare_one(name, settings, address);
                prepared.extend(made.map_err(|error| self.misplaced(&steps!["listeners", name.as_str()], &error))?);
            }
        }
        Ok(prepared)
    }

    /// None where it is open as it is to be.
    fn prepare_one(
        &mut self,
        name: &str,
        settings: &ListenerConfig,
        address: &Endpoint,
    ) -> Result<Option<Prepared>, ListenError> {
        let key = key(name, address);
        let open = self.open.get(&key);
        // A certificate may have been renewed in its place.
        if open.is_some_and(|open| open.listener.config == *settings && settings.tls.is_none()) {
            return Ok(None);
        }
        let (socket, address) = match open {
            Some(open) => (None, open.listener.address.clone()),
            None => {
                let making = Making {
                    v6_only: settings.address.have_ipv4_beside(address),
                    unix: &settings.unix,
                };
                let (socket, address) = self.socket(&handover_name(&key), address, &making)?;
                (Some(socket), address)
            }
        };
        let places = self.places.get(name).cloned();
        let places = places.unwrap_or_else(|| Places::new(settings.max_connections));
        // Those of further addresses share them.
        self.places.insert(name.to_owned(), Arc::clone(&places));
        let refused_heads = &self.shared.connections.refused_heads;
        let listener = Arc::new(Listener::new(name, settings, address, places, refused_heads)?);
        Ok(Some(Prepared { key, listener, socket }))
    }

    /// Lets clients connect to what is new; they wait until [`Listeners::open`].
    pub fn listen(&self, prepared: Vec<Prepared>) -> Result<Vec<Ready>, ServerError> {
        let listen = |Prepared { key, listener, socket }| {
            let at = steps!["listeners", listener.name.as_str()];
            let socket = socket
                .map(|socket| self.listening(socket, &listener.address, &at))
                .transpose()?;
            Ok(Ready { key, listener, socket })
        };
        prepared.into_iter().map(listen).collect()
    }

    /// Takes connections. A listener whose settings have changed goes on with the new ones at its socket.
    pub async fn open(&mut self, ready: Vec<Ready>) {
        for Ready { key, listener, socket } in ready {
            let entrance = match socket {
                Some((socket, copy)) => {
                    say(&format!("listening on {} ({})", listener.url(), listener.name));
                    Some((Entrance::new(socket), copy))
                }
                None => self.relieve(&key, &listener.config).await,
            };
            listener.places.set_limit(listener.config.max_connections);
            self.places.insert(listener.name.clone(), Arc::clone(&listener.places));
            if let Some((entrance, copy)) = entrance {
                self.open.insert(key, self.accept(listener, entrance, copy));
            }
        }
    }

    fn accept(&self, listener: Arc<Listener>, entrance: Entrance, copy: OwnedFd) -> OpenListener {
        self.shared.set_tls(&listener.name, listener.tls.as_ref());
        let connections = &self.shared.connections;
        let acceptor = Acceptor::new(&listener, connections, &self.proxy, self.shutdown.subscribe());
        let (stop, stopped) = oneshot::channel();
        OpenListener {
            listener,
            socket: copy,
            stop,
            acceptor: tokio::spawn(acceptor.run(entrance, stopped)),
        }
    }

    /// Has a listener with these settings go on at its socket.
    async fn relieve(&mut self, key: &str, settings: &ListenerConfig) -> Option<(Entrance, OwnedFd)> {
        let before = self.open.get(key).map(|open| Arc::clone(&open.listener));
        let entrance = self.close(key, Stop::Continued).await;
        let changed = before.iter().filter(|before| before.config != *settings);
        changed.for_each(|before| self.shared.connections.outdate(before));
        entrance
    }

    /// Closes those that the configuration does not name.
    pub async fn close_others(&mut self, config: &Config) {
        let named = |key: &String| {
            config.listeners.iter().any(|(name, config)| {
                let mut keys = config.address.iter().map(|address| self::key(name, address));
                keys.any(|named| named == *key)
            })
        };
        let others: Vec<String> = self.open.keys().filter(|key| !named(key)).cloned().collect();
        for key in others {
            let listener = self.open.get(&key).map(|open| Arc::clone(&open.listener));
            self.close(&key, Stop::Last).await;
            listener
                .iter()
                .for_each(|listener| self.shared.connections.outdate(listener));
        }
    }

    /// Takes no further connections, and tells those that are open to end with the request at hand. Those that wait to be
    /// accepted are left to a successor, or taken as well.
    pub async fn close_all(&mut self, stop: Stop) {
        for key in self.open.keys().cloned().collect::<Vec<_>>() {
            self.close(&key, stop).await;
        }
        self.shutdown.send_replace(true);
    }

    /// Leaves further attempts to connect without an answer, and tells connections to end with the request at hand. Who comes
    /// by a Unix socket is of this host and finds no other one: he waits until [`Listeners::admit_locals`].
    pub async fn quiesce(&mut self) {
        for listener in self
            .open
            .values()
            .filter(|listener| listener.listener.address.inet().is_some())
        {
            if let Err(error) = quiesce::ignore_newcomers(&listener.socket) {
                tracing::warn!(listener = listener.listener.name, %error, "clients can connect to the end");
            }
        }
        let unix = self
            .open
            .iter()
            .filter(|(_, open)| open.listener.address.inet().is_none());
        let unix: Vec<_> = unix
            .map(|(key, open)| (key.clone(), Arc::clone(&open.listener)))
            .collect();
        for (key, listener) in unix {
            if let Some((entrance, socket)) = self.close(&key, Stop::Continued).await {
                self.quiet.push(Quiet {
                    key,
                    listener,
                    entrance,
                    socket,
                });
            }
        }
        self.shutdown.send_replace(true);
    }

    /// Lets those in who have waited at Unix sockets meanwhile.
    pub fn admit_locals(&mut self) {
        for Quiet {
            key,
            listener,
            entrance,
            socket,
        } in std::mem::take(&mut self.quiet)
        {
            let open = self.accept(listener, entrance, socket);
            self.open.insert(key, open);
        }
    }

    /// Takes no further connections; gives the socket and its copy back. Those that are open live on.
    async fn close(&mut self, key: &str, stop: Stop) -> Option<(Entrance, OwnedFd)> {
        let listener = self.open.remove(key)?;
        if stop != Stop::Continued {
            self.shared.set_tls(&listener.listener.name, None);
        }
        // It listens for this until its end.
        let _ = listener.stop.send(stop);
        if let (Stop::Last, Endpoint::Unix(path)) = (stop, &listener.listener.address) {
            // Somebody may have taken it away already.
            let _ = std::fs::remove_file(path);
        }
        Some((listener.acceptor.await.ok()?, listener.socket))
    }

    /// Binds the admin listener where it is to be another one.
    pub fn prepare_admin(&mut self, config: &Config) -> Result<AdminChange, ServerError> {
        let configured = config.admin.as_ref().map(|admin| &admin.address);
        if configured == self.admin.as_ref().map(|admin| &admin.configured) {
            return Ok(AdminChange::Stay);
        }
        let Some(admin) = &config.admin else {
            return Ok(AdminChange::Close);
        };
        let configured = admin.address.clone();
        let at = steps!["admin"];
        let making = Making {
            v6_only: false,
            unix: &admin.unix(),
        };
        let (socket, address) = self
            .socket(ADMIN, &configured, &making)
            .map_err(|error| self.misplaced(&at, &error))?;
        let (socket, copy) = self.listening(socket, &address, &at)?;
        Ok(AdminChange::Open {
            configured,
            address,
            socket,
            copy,
        })
    }

    /// One that closes answers what it has been asked, such as to do this.
    pub fn change_admin(&mut self, change: AdminChange) {
        match change {
            AdminChange::Stay => {}
            AdminChange::Close => self.forget_admin(),
            AdminChange::Open {
                configured,
                address,
                socket,
                copy,
            } => {
                let admin = Admin {
                    shared: Arc::clone(&self.shared),
                    reloads: self.reloads.clone(),
                };
                self.forget_admin();
                let gate = Gate::new(socket, address.as_inet());
                self.admin = Some(AdminListener::open(configured, admin, gate, copy));
                say(&match &address {
                    Endpoint::Inet(address) => format!("admin on http://{address}"),
                    Endpoint::Unix(_) => format!("admin on {address}"),
                });
            }
        }
    }

    /// It answers what it has been asked.
    pub fn forget_admin(&mut self) {
        if let Some(admin) = self.admin.take() {
            admin.remove();
        }
    }

    /// A successor has its socket.
    pub async fn close_admin(&mut self) {
        if let Some(admin) = self.admin.take() {
            admin.close().await;
        }
    }

    /// The sockets by the names that a successor looks for.
    pub fn sockets(&self) -> io::Result<BTreeMap<String, OwnedFd>> {
        let listeners = self
            .open
            .iter()
            .map(|(key, listener)| (handover_name(key), &listener.socket));
        let admin = self.admin.iter().map(|admin| (ADMIN.to_owned(), &admin.socket));
        listeners
            .chain(admin)
            .map(|(name, socket)| Ok((name, socket.try_clone()?)))
            .collect()
    }

    /// What a predecessor had and nobody asked for is closed.
    pub fn forget_inherited(&mut self) {
        self.inherited.clear();
    }

    /// The address of the first listener, as a URL.
    pub fn url(&self) -> Option<String> {
        self.open.values().next().map(|listener| listener.listener.url())
    }

    /// The socket that a predecessor listened on under this name, or a new one.
    fn socket(
        &mut self,
        name: &str,
        endpoint: &Endpoint,
        making: &Making<'_>,
    ) -> Result<(Bound, Endpoint), ListenError> {
        let socket = match self.inherited.remove(name) {
            Some(socket) => listening::inherit(socket, endpoint),
            None => listening::bind(endpoint, making),
        };
        socket.map_err(|source| ListenError::Bind {
            address: endpoint.clone(),
            source,
        })
    }

    /// Opens a socket to clients, and copies it for a successor.
    fn listening(&self, socket: Bound, address: &Endpoint, at: &[Step]) -> Result<(Listening, OwnedFd), ServerError> {
        let socket = listening::listen(socket).map_err(|source| {
            let address = address.clone();
            self.misplaced(at, &ListenError::Bind { address, source })
        })?;
        let copy = socket.as_fd().try_clone_to_owned()?;
        Ok((socket, copy))
    }

    /// A listener's error with its place in the configuration, or with the way out for whom has no file.
    fn misplaced(&self, at: &[Step], error: &ListenError) -> ServerError {
        let mut mistake = config::mistake(&self.source, at, error.to_string());
        if let ListenError::Bind { source, .. } = error
            && let Some(help) = self.source.way_out(source)
        {
            (mistake.place, mistake.help) = (None, Some(help));
        }
        ServerError::Listen(mistake)
    }
}

/// What the admin's socket is called when it is handed over.
pub const ADMIN: &str = "admin";

/// What an open listener's socket is called when it is handed over.
pub fn handover_name(key: &str) -> String {
    format!("listener {key}")
}

/// What tells listeners apart: the address, and for a free port the name too.
pub fn key(name: &str, address: &Endpoint) -> String {
    match address {
        Endpoint::Inet(free) if free.port() == 0 => format!("{name} {free}"),
        address => address.to_string(),
    }
}
