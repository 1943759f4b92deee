//! Binary upgrade: a running Veil starts the program's file anew and hands it the listening sockets, over a Unix socket
//! that the successor finds as its standard input, with what operators have commanded of backends and the keys of TLS
//! sessions. Over the same one the successor says that it serves. Connections that arrive meanwhile are accepted by whichever process comes first, and
//! none is refused.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use zeroize::Zeroizing;

use crate::client::tickets::TicketKey;
use crate::pool::Overrides;
use crate::program;

/// The flag by which a successor knows that its standard input is its predecessor.
pub const FLAG: &str = "--take-over";

/// Listening sockets by what the run loop calls them.
pub type Sockets = BTreeMap<String, OwnedFd>;

/// What follows the sockets, as JSON up to the end of the stream.
#[derive(Deserialize, Serialize)]
struct Letter {
    /// The sockets' names, in their order.
    sockets: Vec<String>,
    #[serde(flatten)]
    legacy: Legacy,
}

/// What a successor goes on with beside the sockets.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Legacy {
    /// What was commanded, by pool.
    pub overrides: BTreeMap<String, Overrides>,
    /// So that clients resume their TLS sessions; the newest first.
    #[serde(default)]
    pub ticket_keys: Vec<TicketKey>,
}

/// Why this process goes on serving by itself.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    #[error("the new program cannot be started: {0}")]
    Start(#[source] io::Error),
    #[error("the sockets cannot be handed over: {0}")]
    HandOver(#[source] io::Error),
    #[error("{0} sockets are more than the {MOST_SOCKETS} that can be handed over")]
    TooMany(usize),
    #[error("the new program ended before it served")]
    Ended,
    #[error("the new program did not serve within {PATIENCE:?}")]
    TooSlow,
}

/// What the kernel takes in one message (`SCM_MAX_FD`).
const MOST_SOCKETS: usize = 253;

/// How long a successor may take: it loads models and waits for the first round of checks.
const PATIENCE: Duration = Duration::from_secs(120);

/// Starts the successor, `veil run` with these arguments, and returns its process id once it serves. One that comes too late, or whose predecessor is told
/// to stop meanwhile, is ended, for it holds sockets that nobody serves; and it ends by itself with its predecessor.
pub async fn hand_over(
    arguments: Vec<OsString>,
    sockets: BTreeMap<String, OwnedFd>,
    legacy: Legacy,
) -> Result<u32, UpgradeError> {
    if sockets.len() > MOST_SOCKETS {
        return Err(UpgradeError::TooMany(sockets.len()));
    }
    let (ours, theirs) = UnixStream::pair().map_err(UpgradeError::Start)?;
    let mut command = Command::new(program::path().map_err(UpgradeError::Start)?);
    command.arg("run").arg(FLAG).args(arguments);
    let child = command
        // It is the process before it that this one names.
        .env_remove(service_notify::WATCHDOG_PID)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()
        .map_err(UpgradeError::Start)?;
    let mut successor = Successor { child, serves: false };
    // What remains of their end in this process would hide that the successor ended.
    drop(command);
    let sockets = sockets.iter().map(|(name, socket)| (name.clone(), socket.as_fd()));
    send(&ours, &sockets.collect(), legacy).map_err(UpgradeError::HandOver)?;
    ours.set_nonblocking(true).map_err(UpgradeError::HandOver)?;
    let mut answer = tokio::net::UnixStream::from_std(ours).map_err(UpgradeError::HandOver)?;
    match tokio::time::timeout(PATIENCE, answer.read_u8()).await {
        Ok(Ok(_)) => {
            successor.serves = true;
            Ok(successor.child.id().unwrap_or_default())
        }
        Ok(Err(_)) => Err(UpgradeError::Ended),
        Err(_) => Err(UpgradeError::TooSlow),
    }
}

/// Killed when dropped, unless it serves.
struct Successor {
    child: Child,
    serves: bool,
}

impl Drop for Successor {
    fn drop(&mut self) {
        if !self.serves {
            // It may have ended by itself.
            let _ = self.child.start_kill();
        }
    }
}

fn send(stream: &UnixStream, sockets: &BTreeMap<String, BorrowedFd<'_>>, legacy: Legacy) -> io::Result<()> {
    let descriptors: Vec<BorrowedFd<'_>> = sockets.values().copied().collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_SOCKETS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(stream, &[IoSlice::new(b"!")], &mut control, SendFlags::NOSIGNAL)?;
    let letter = Letter {
        sockets: sockets.keys().cloned().collect(),
        legacy,
    };
    (&*stream).write_all(&Zeroizing::new(serde_json::to_vec(&letter)?))?;
    stream.shutdown(Shutdown::Write)
}

/// The process that this one is to replace.
pub struct Predecessor {
    stream: UnixStream,
    /// This process needs it no more.
    relieved: Arc<AtomicBool>,
    pub legacy: Legacy,
}

impl Predecessor {
    /// Takes what the predecessor hands over through the standard input.
    pub fn on_stdin() -> io::Result<(Self, Sockets)> {
        let stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        let (sockets, legacy) = receive(&stream)?;
        let predecessor = Self {
            stream,
            relieved: Arc::default(),
            legacy,
        };
        predecessor.end_with_it()?;
        Ok((predecessor, sockets))
    }

    /// Ends this process if that one ends before it is relieved: the listeners would be open, and nobody there.
    fn end_with_it(&self) -> io::Result<()> {
        let (stream, relieved) = (self.stream.try_clone()?, Arc::clone(&self.relieved));
        let wait = move || {
            // No event is asked for: what is left is that the other end is closed.
            while poll(&mut [PollFd::new(&stream, PollFlags::empty())], None).is_err() {}
            if !relieved.load(Ordering::Acquire) {
                std::process::exit(1);
            }
        };
        thread::Builder::new().name("predecessor".to_owned()).spawn(wait)?;
        Ok(())
    }

    /// Tells it that this process serves.
    ///
    /// # Errors
    /// It does not want to be replaced any more.
    pub fn relieve(mut self) -> io::Result<()> {
        self.relieved.store(true, Ordering::Release);
        self.stream.write_all(b"!")
    }
}

fn receive(stream: &UnixStream) -> io::Result<(Sockets, Legacy)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_SOCKETS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    recvmsg(
        stream,
        &mut [IoSliceMut::new(&mut [0])],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let descriptors = control.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect(),
        _ => Vec::new(),
    });
    let descriptors: Vec<OwnedFd> = descriptors.collect();
    let mut letter = Zeroizing::new(Vec::new());
    (&*stream).read_to_end(&mut letter)?;
    let Letter { sockets: names, legacy } = serde_json::from_slice(&letter)?;
    if names.len() != descriptors.len() {
        let (named, came) = (names.len(), descriptors.len());
        return Err(io::Error::other(format!(
            "of {named} sockets {came} came; is the limit of open files too low?"
        )));
    }
    let sockets = names.into_iter().zip(descriptors);
    Ok((sockets.collect(), legacy))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::TcpListener;

    use super::*;
    use crate::pool::Override;

    #[test]
    fn sockets_arrive_under_their_names_and_overrides_with_them() {
        let listeners = ["a", "b"].map(|name| (name, TcpListener::bind("127.0.0.1:0").unwrap()));
        let sockets = listeners
            .iter()
            .map(|(name, listener)| ((*name).to_owned(), listener.as_fd()))
            .collect();
        let (old, new) = UnixStream::pair().unwrap();
        let overrides = BTreeMap::from([(
            "blur".to_owned(),
            Overrides::from([("left".to_owned(), Override::default())]),
        )]);
        let legacy = Legacy {
            overrides: overrides.clone(),
            ..Legacy::default()
        };
        send(&old, &sockets, legacy).unwrap();
        let (mut received, legacy) = receive(&new).unwrap();
        assert_eq!(legacy.overrides, overrides);
        for (name, listener) in &listeners {
            assert_eq!(
                TcpListener::from(received.remove(*name).unwrap()).local_addr().unwrap(),
                listener.local_addr().unwrap(),
                "{name}"
            );
        }
    }

    #[test]
    fn a_predecessor_that_has_changed_its_mind_is_noticed() {
        let (old, new) = UnixStream::pair().unwrap();
        drop(old);
        let predecessor = Predecessor {
            stream: new,
            relieved: Arc::default(),
            legacy: Legacy::default(),
        };
        assert!(predecessor.relieve().is_err());
    }
}
