//! Starting as root and serving as somebody else: sockets that only root may bind are bound first, and handed over as a
//! predecessor would.

use std::io;
use std::os::fd::AsFd;

use rustix::process::geteuid;
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::listeners::{ADMIN, handover_name, key};
use super::takeover::Sockets;
use crate::accounts::{self, User};
use crate::client::endpoint::Endpoint;
use crate::client::listening::{self, Making};
use crate::config::Config;

/// Binds what is not bound yet, and becomes this user. There must be no other thread: threads to come are that user's, but
/// not those that are there.
///
/// # Errors
/// A socket cannot be bound, or this process may not become that user.
pub fn become_user(name: &str, config: &Config, sockets: &mut Sockets) -> io::Result<()> {
    let user = accounts::user(name)?;
    if geteuid() == user.id {
        return Ok(());
    }
    bind_all(config, sockets)?;
    change(&user).map_err(|error| io::Error::new(error.kind(), format!("cannot become {name:?}: {error}")))
}

fn change(user: &User) -> io::Result<()> {
    let groups: Vec<_> = user.groups.iter().copied().chain([user.group]).collect();
    set_thread_groups(&groups)?;
    set_thread_res_gid(user.group, user.group, user.group)?;
    set_thread_res_uid(user.id, user.id, user.id)?;
    Ok(())
}

fn bind_all(config: &Config, sockets: &mut Sockets) -> io::Result<()> {
    // Sockets of tokio's have to be made in a runtime; this one has no thread of its own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _inside = runtime.enter();
    for (name, listener) in &config.listeners {
        for address in listener.address.iter() {
            let making = Making {
                v6_only: listener.address.have_ipv4_beside(address),
                unix: &listener.unix,
            };
            bind(handover_name(&key(name, address)), address, &making, sockets)?;
        }
    }
    let Some(admin) = &config.admin else { return Ok(()) };
    let making = Making {
        v6_only: false,
        unix: &admin.unix(),
    };
    bind(ADMIN.to_owned(), &admin.address, &making, sockets)
}

fn bind(name: String, address: &Endpoint, making: &Making<'_>, sockets: &mut Sockets) -> io::Result<()> {
    if sockets.contains_key(&name) {
        return Ok(());
    }
    let bound = listening::bind(address, making).and_then(|(socket, _)| listening::listen(socket));
    let socket = bound.map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))?;
    sockets.insert(name, socket.as_fd().try_clone_to_owned()?);
    Ok(())
}
