//! Starts a process for each picture, and ends it once nobody listens to it. It reads nothing of any picture.

use std::{
    env, io,
    io::IoSliceMut,
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
    process::{Child, Command, Stdio},
    thread,
};

use hevc_still::READER;
use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg},
    process::{Pid, PidfdFlags, pidfd_open},
};

/// Until whoever has started it ends.
pub fn keep() -> io::Result<()> {
    let control = io::stdin().as_fd().try_clone_to_owned()?;
    while let Some(socket) = next(&control)? {
        match start(&socket) {
            // One thread each waits for two things at a time.
            Ok(child) => drop(thread::Builder::new().spawn(move || attend(child, &socket))?),
            Err(error) => eprintln!("veil-heic: cannot start: {error}"),
        }
    }
    Ok(())
}

fn next(control: &OwnedFd) -> io::Result<Option<OwnedFd>> {
    loop {
        let mut byte = [0];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut buffer = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(
            control,
            &mut [IoSliceMut::new(&mut byte)],
            &mut buffer,
            RecvFlags::CMSG_CLOEXEC,
        );
        match received {
            Ok(message) if message.bytes == 0 => return Ok(None),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let descriptors = buffer.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        });
        if let Some(socket) = descriptors.flatten().next() {
            return Ok(Some(socket));
        }
    }
}

fn start(socket: &OwnedFd) -> io::Result<Child> {
    let program = env::args_os().next().unwrap_or_default();
    Command::new(program)
        .arg(READER)
        .stdin(socket.try_clone()?)
        .stdout(socket.try_clone()?)
        .stderr(Stdio::null())
        .spawn()
}

/// Until the process has ended, or the other end of its socket has closed.
fn attend(mut child: Child, socket: &OwnedFd) {
    let ended = Pid::from_raw(child.id() as i32).and_then(|id| pidfd_open(id, PidfdFlags::empty()).ok());
    if let Some(ended) = ended {
        let mut either = [
            PollFd::new(&ended, PollFlags::IN),
            PollFd::new(socket, PollFlags::empty()),
        ];
        while poll(&mut either, None) == Err(Errno::INTR) {}
    }
    // Both fail only where it has ended.
    let _ = child.kill();
    let _ = child.wait();
}
