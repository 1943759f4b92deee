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
use crate::yaml::document::{Path, steps};

/// Binds what is not bound yet, and becomes this user. There must be no other thread: threads to come are that user's, but
/// not those that are there.
///
/// # Errors
/// A socket cannot be bound, or this process may not become that user; with the place of what says so.
pub fn become_user(name: &str, config: &Config, sockets: &mut Sockets) -> Result<(), (Path, String)> {
    let wrong = |error: io::Error| (steps!["user"].to_vec(), format!("user: {error}"));
    let user = accounts::user(name).map_err(wrong)?;
    if geteuid() == user.id {
        return Ok(());
    }
    bind_all(config, sockets)?;
    change(&user).map_err(|error| wrong(io::Error::new(error.kind(), format!("cannot become {name:?}: {error}"))))
}

fn change(user: &User) -> io::Result<()> {
    let groups: Vec<_> = user.groups.iter().copied().chain([user.group]).collect();
    set_thread_groups(&groups)?;
    set_thread_res_gid(user.group, user.group, user.group)?;
    set_thread_res_uid(user.id, user.id, user.id)?;
    Ok(())
}

fn bind_all(config: &Config, sockets: &mut Sockets) -> Result<(), (Path, String)> {
    // Sockets of tokio's have to be made in a runtime; this one has no thread of its own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    let runtime = runtime.map_err(|error| (steps!["user"].to_vec(), error.to_string()))?;
    let _inside = runtime.enter();
    for (name, listener) in &config.listeners {
        for address in listener.address.iter() {
            let making = Making {
                v6_only: listener.address.have_ipv4_beside(address),
                unix: &listener.unix,
            };
            let bound = bind(handover_name(&key(name, address)), address, &making, sockets);
            let at = || steps!["listeners", name.as_str(), "address"].to_vec();
            bound.map_err(|error| (at(), format!("listener {name:?}: {error}")))?;
        }
    }
    let Some(admin) = &config.admin else { return Ok(()) };
    let making = Making {
        v6_only: false,
        unix: &admin.unix(),
    };
    let bound = bind(ADMIN.to_owned(), &admin.address, &making, sockets);
    bound.map_err(|error| (steps!["admin", "address"].to_vec(), format!("admin: {error}")))
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
