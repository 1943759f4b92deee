//! Tells systemd how this process is, as sd_notify(3) has it: a datagram a message, to the socket that `NOTIFY_SOCKET`
//! names. Where that is not set nobody asks, and nothing is sent. The words are the crate `sd-notify`'s, which itself
//! does not know abstract sockets, and waits without end for a manager that does not read.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process;
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;

/// What a service says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// It serves: after its start, and after a reload.
    Ready,
    /// It reads its configuration anew; [`Notice::Ready`] follows.
    Reloading,
    /// It is about to end.
    Stopping,
    /// It is well, see [`Manager::watchdog`].
    Alive,
    /// The process of this id is the service from now on.
    MainProcess(u32),
}

/// The service manager that has started this process, if one has.
#[derive(Clone, Debug, Default)]
pub struct Manager {
    /// A path, or a name in Linux' abstract namespace after `@`.
    socket: Option<OsString>,
    watchdog: Option<Duration>,
    opened: Option<Arc<UnixDatagram>>,
}

impl Manager {
    pub fn of_this_process() -> Self {
        let pid = env::var(WATCHDOG_PID).ok();
        Self {
            socket: env::var_os(SOCKET).filter(|socket| !socket.is_empty()),
            watchdog: env::var(WATCHDOG_USEC)
                .ok()
                .and_then(|microseconds| deadline(&microseconds, pid.as_deref())),
            opened: None,
        }
    }

    /// The same, which can still tell once this process may open no socket any more.
    ///
    /// # Errors
    /// Those of [`tell`](Self::tell).
    pub fn opened(self) -> io::Result<Self> {
        let Some(socket) = &self.socket else {
            return Ok(self);
        };
        let datagrams = datagrams()?;
        datagrams.connect_addr(&address(socket)?)?;
        let opened = Some(Arc::new(datagrams));
        Ok(Self { opened, ..self })
    }

    /// How often to say [`Notice::Alive`]: twice in the time after which the manager ends a service that does not. None
    /// where it does not watch.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog.map(|deadline| deadline / 2)
    }

    /// # Errors
    /// `NOTIFY_SOCKET` does not name a Unix socket, or nobody reads from it.
    pub fn tell(&self, notice: Notice) -> io::Result<()> {
        match (&self.opened, &self.socket) {
            (Some(opened), _) => opened.send(notice.message()?.as_bytes()).map(drop),
            (None, Some(socket)) => send(socket, &notice.message()?),
            (None, None) => Ok(()),
        }
    }
}

/// What a manager tells a process about itself: nothing for the ears of its children.
pub const VARIABLES: [&str; 3] = [SOCKET, WATCHDOG_USEC, WATCHDOG_PID];

/// Whom [`WATCHDOG_USEC`] is meant for; a process that takes another's place must not find the other's id here.
pub const WATCHDOG_PID: &str = "WATCHDOG_PID";
const WATCHDOG_USEC: &str = "WATCHDOG_USEC";
const SOCKET: &str = "NOTIFY_SOCKET";

impl Notice {
    fn message(self) -> io::Result<String> {
        Ok(match self {
            Self::Ready => NotifyState::Ready.to_string(),
            // By the time the manager tells this reload's notices from an earlier one's.
            Self::Reloading => format!("{}\n{}", NotifyState::Reloading, NotifyState::monotonic_usec_now()?),
            Self::Stopping => NotifyState::Stopping.to_string(),
            Self::Alive => NotifyState::Watchdog.to_string(),
            Self::MainProcess(id) => NotifyState::MainPid(id).to_string(),
        })
    }
}

fn send(socket: &OsStr, message: &str) -> io::Result<()> {
    datagrams()?.send_to_addr(message.as_bytes(), &address(socket)?)?;
    Ok(())
}

fn datagrams() -> io::Result<UnixDatagram> {
    let datagrams = UnixDatagram::unbound()?;
    datagrams.set_write_timeout(Some(PATIENCE))?;
    Ok(datagrams)
}

fn address(socket: &OsStr) -> io::Result<SocketAddr> {
    match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        [b'/', ..] => SocketAddr::from_pathname(socket),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, NO_UNIX_SOCKET)),
    }
}

const NO_UNIX_SOCKET: &str = "NOTIFY_SOCKET is neither a path nor an abstract name after @";

/// For a manager that does not read what it is told.
const PATIENCE: Duration = Duration::from_secs(1);

/// The time after which the manager gives a silent service up, if it is this process that it watches.
fn deadline(microseconds: &str, watched: Option<&str>) -> Option<Duration> {
    let is_this = watched.is_none_or(|id| id == process::id().to_string());
    let deadline = microseconds.parse().map(Duration::from_micros).ok()?;
    (is_this && !deadline.is_zero()).then_some(deadline)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn speaks_to_a_socket_by_its_path_or_its_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("service-notify-test-{}", process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let sockets = [
            (UnixDatagram::bind(&path).unwrap(), path.into_os_string()),
            (UnixDatagram::bind_addr(&address).unwrap(), format!("@{name}").into()),
        ];
        for (socket, known_as) in sockets {
            let manager = Manager {
                socket: Some(known_as),
                ..Manager::default()
            };
            manager.tell(Notice::Ready).unwrap();
            manager.tell(Notice::MainProcess(7)).unwrap();
            assert_eq!([received(&socket), received(&socket)], ["READY=1", "MAINPID=7"]);
            let opened = manager.opened().unwrap();
            opened.tell(Notice::Stopping).unwrap();
            assert_eq!(received(&socket), "STOPPING=1");
        }
    }

    #[test]
    fn a_reload_says_when_it_began() {
        let said = Notice::Reloading.message().unwrap();
        let (reloading, began) = said.split_once("\nMONOTONIC_USEC=").unwrap();
        assert_eq!(reloading, "RELOADING=1");
        assert!(began.parse::<u64>().is_ok_and(|began| began > 0), "{said}");
    }

    #[test]
    fn says_nothing_where_nobody_asks_and_fails_where_nobody_can_hear() {
        assert!(Manager::default().tell(Notice::Ready).is_ok());
        for socket in ["vsock:2:1234", "notify", "/does/not/exist"] {
            let manager = Manager {
                socket: Some(socket.into()),
                ..Manager::default()
            };
            assert!(manager.tell(Notice::Ready).is_err(), "{socket}");
        }
    }

    #[test]
    fn is_watched_only_when_it_is_meant() {
        let own = process::id().to_string();
        assert_eq!(deadline("3000000", None), Some(Duration::from_secs(3)));
        assert_eq!(deadline("3000000", Some(&own)), Some(Duration::from_secs(3)));
        assert_eq!(deadline("3000000", Some("1")), None);
        assert_eq!(deadline("0", None), None);
        assert_eq!(deadline("soon", None), None);
        let manager = Manager {
            watchdog: Some(Duration::from_secs(3)),
            ..Manager::default()
        };
        assert_eq!(manager.watchdog(), Some(Duration::from_millis(1500)));
    }

    fn received(socket: &UnixDatagram) -> String {
        let mut message = [0; 256];
        let length = socket.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    }
}
