//! Sockets that clients connect to, over TCP and in the file system.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::task::{Context, Poll, ready};

use rustix::net::sockopt::set_ipv6_v6only;
use tokio::net::{TcpListener, TcpSocket, UnixListener};

use super::endpoint::Endpoint;
use super::listener::UnixConfig;
use super::proxy_protocol::Ends;
use super::stream::Stream;

/// A socket that takes connections.
#[derive(Debug)]
pub enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// One before clients come in through it.
pub enum Bound {
    /// Has its address, but does not listen yet.
    Tcp(TcpSocket),
    /// Listens already; who connects waits.
    Listening(Listening),
}

/// How a socket is made.
pub struct Making<'a> {
    /// Of IPv6: takes no IPv4 on the side, for which there is a socket of its own.
    pub v6_only: bool,
    pub unix: &'a UnixConfig,
}

/// A socket that has its address, and that address.
///
/// # Errors
/// The address is taken, or not ours.
pub fn bind(endpoint: &Endpoint, making: &Making<'_>) -> io::Result<(Bound, Endpoint)> {
    match endpoint {
        Endpoint::Inet(address) => {
            let socket = bind_inet(*address, making.v6_only)?;
            let address = socket.local_addr()?;
            Ok((Bound::Tcp(socket), Endpoint::Inet(address)))
        }
        Endpoint::Unix(path) => {
            let socket = bind_unix(path)?;
            // One that is not as it is to be is nobody's.
            making
                .unix
                .apply(path)
                .inspect_err(|_| _ = std::fs::remove_file(path))?;
            Ok((Bound::Listening(Listening::Unix(socket)), endpoint.clone()))
        }
    }
}

fn bind_inet(address: SocketAddr, v6_only: bool) -> io::Result<TcpSocket> {
    let socket = match address.is_ipv4() {
        true => TcpSocket::new_v4()?,
        false => TcpSocket::new_v6()?,
    };
    // A restart need not wait for the last connections' TIME_WAIT to pass.
    socket.set_reuseaddr(true)?;
    if v6_only {
        set_ipv6_v6only(&socket, true)?;
    }
    socket.bind(address)?;
    Ok(socket)
}

/// In place of one that nobody listens at any more.
fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_left_over(path) => {
            std::fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        bound => bound,
    }
}

fn is_left_over(path: &Path) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let answered = std::os::unix::net::UnixStream::connect(path);
    is_socket && answered.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// A socket that another process has listened on, and its address.
///
/// # Errors
/// It is none.
pub fn inherit(socket: OwnedFd, configured: &Endpoint) -> io::Result<(Bound, Endpoint)> {
    match configured {
        Endpoint::Inet(_) => {
            let socket = std::net::TcpListener::from(socket);
            let address = socket.local_addr()?;
            socket.set_nonblocking(true)?;
            let socket = TcpListener::from_std(socket)?;
            Ok((Bound::Listening(Listening::Tcp(socket)), Endpoint::Inet(address)))
        }
        Endpoint::Unix(_) => {
            let socket = std::os::unix::net::UnixListener::from(socket);
            socket.set_nonblocking(true)?;
            let socket = UnixListener::from_std(socket)?;
            Ok((Bound::Listening(Listening::Unix(socket)), configured.clone()))
        }
    }
}

/// Opens a socket to clients.
///
/// # Errors
/// Another one listens at its address.
pub fn listen(socket: Bound) -> io::Result<Listening> {
    match socket {
        Bound::Tcp(socket) => socket.listen(BACKLOG).map(Listening::Tcp),
        Bound::Listening(socket) => Ok(socket),
    }
}

/// Connections that wait to be accepted; the kernel cuts it to `net.core.somaxconn`.
const BACKLOG: u32 = 4096;

impl Listening {
    /// A newcomer, with the ends of its connection. Who comes through the file system counts as this host.
    ///
    /// # Errors
    /// That of `accept` (accept(2)).
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, Ends)>> {
        Poll::Ready(Ok(match self {
            Self::Tcp(socket) => {
                let (stream, client) = ready!(socket.poll_accept(cx))?;
                // One that has left already has no end here any more.
                let server = stream.local_addr().or_else(|_| socket.local_addr())?;
                (Stream::Tcp(stream), Ends { client, server })
            }
            Self::Unix(socket) => {
                let (stream, _) = ready!(socket.poll_accept(cx))?;
                let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
                let ends = Ends {
                    client: here,
                    server: here,
                };
                (Stream::Unix(stream), ends)
            }
        }))
    }

    /// As [`Listening::poll_accept`].
    ///
    /// # Errors
    /// The same.
    pub async fn accept(&self) -> io::Result<(Stream, Ends)> {
        std::future::poll_fn(|cx| self.poll_accept(cx)).await
    }
}

impl AsFd for Listening {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        }
    }
}

impl UnixConfig {
    fn apply(&self, path: &Path) -> io::Result<()> {
        if let Some(mode) = self.mode {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode.0))?;
        }
        let (owner, group) = self.ids()?;
        if owner.is_some() || group.is_some() {
            rustix::fs::chown(path, owner, group)?;
        }
        Ok(())
    }
}
