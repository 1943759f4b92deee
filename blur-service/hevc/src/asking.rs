//! The side that asks. Nothing that the other side says is believed before it is looked at, and nothing is waited for
//! longer than is allowed.

use std::{
    io::{self, IoSlice, Read, Write},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{net::UnixStream, process::CommandExt},
    },
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use thiserror::Error;

use crate::{Coded, Head, KEEPER, Plane, READY, Still};

/// A keeper, who ends with it.
#[derive(Debug)]
pub struct Decoder {
    keeper: UnixStream,
}

/// A process of one picture's own, which ends with it.
#[derive(Debug)]
pub struct Session {
    stream: UnixStream,
    until: Instant,
}

#[derive(Debug, Error)]
pub enum Failure {
    #[error("the decoder could not be asked: {0}")]
    Unreachable(io::Error),
    /// By the picture's fault, for all that can be known.
    #[error("the decoder ended, or answered what cannot be")]
    Damaged,
    #[error("the decoder took too long")]
    TooSlow,
    #[error("the work was given up")]
    Stopped,
}

impl Decoder {
    /// Starts the program, and sees that a process of it can shut itself in and has what it is linked with. Whoever calls
    /// may still start programs.
    ///
    /// # Errors
    /// The system's; that nobody was ready in time.
    pub fn start(program: &Path) -> io::Result<Self> {
        let (keeper, theirs) = UnixStream::pair()?;
        // In a group of its own, so that a signal to all that a terminal has started lets it finish what is in flight.
        Command::new(program)
            .arg(KEEPER)
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .env_clear()
            .current_dir("/")
            .process_group(0)
            .spawn()?;
        let decoder = Self { keeper };
        let ready = decoder.session(LEAST_MEMORY, &|| true);
        ready.map(|_| decoder).map_err(|failure| match failure {
            Failure::Unreachable(error) => error,
            other => io::Error::other(other),
        })
    }

    /// A new process, which may take so many bytes of memory.
    ///
    /// # Errors
    /// [`Failure::Unreachable`] if there is no keeper any more or the process could not shut itself in.
    pub fn session(&self, memory: u64, go_on: &dyn Fn() -> bool) -> Result<Session, Failure> {
        let (stream, theirs) = UnixStream::pair().map_err(Failure::Unreachable)?;
        self.hand_over(&theirs).map_err(Failure::Unreachable)?;
        drop(theirs);
        stream.set_read_timeout(Some(GLANCE)).map_err(Failure::Unreachable)?;
        stream.set_write_timeout(Some(GLANCE)).map_err(Failure::Unreachable)?;
        let until = Instant::now() + LONGEST;
        let mut session = Session { stream, until };
        let mut word = [0];
        session.send(&memory.max(LEAST_MEMORY).to_le_bytes(), go_on)?;
        match session.receive(&mut word, go_on) {
            Ok(()) if word == [READY] => Ok(session),
            Ok(()) | Err(Failure::Damaged) => Err(Failure::Unreachable(io::Error::other("it did not get ready"))),
            Err(failure) => Err(failure),
        }
    }

    fn hand_over(&self, theirs: &UnixStream) -> io::Result<()> {
        let descriptors = [theirs.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
        sendmsg(&self.keeper, &[IoSlice::new(&[0])], &mut control, SendFlags::NOSIGNAL)?;
        Ok(())
    }
}

impl Session {
    /// Decodes one picture, which is as large as its container says or is refused. `go_on` is asked now and then. After a
    /// failure the session is of no use.
    ///
    /// # Errors
    /// [`Failure::Damaged`], [`Failure::TooSlow`], [`Failure::Stopped`].
    pub fn decode(&mut self, coded: Coded, go_on: &dyn Fn() -> bool) -> Result<Still, Failure> {
        let file = coded.file().ok_or(Failure::Damaged)?;
        let length = u32::try_from(file.len()).map_err(|_| Failure::Damaged)?;
        let sampling = coded.sampling().ok_or(Failure::Damaged)?;
        self.send(&length.to_le_bytes(), go_on)?;
        self.send(&[sampling as u8], go_on)?;
        self.send(&file, go_on)?;
        let mut head = [0; Head::BYTES];
        self.receive(&mut head, go_on)?;
        let head = Head::read(head).ok_or(Failure::Damaged)?;
        if (head.width, head.height, head.sampling) != (coded.width, coded.height, sampling) {
            return Err(Failure::Damaged);
        }
        let mut planes = Vec::new();
        for (width, height) in head.planes() {
            let mut samples = vec![0; width as usize * height as usize * head.sample_bytes()];
            self.receive(&mut samples, go_on)?;
            planes.push(Plane { samples, width, height });
        }
        Ok(Still { head, planes })
    }

    fn send(&mut self, mut bytes: &[u8], go_on: &dyn Fn() -> bool) -> Result<(), Failure> {
        while !bytes.is_empty() {
            let written = self.stream.write(bytes);
            bytes = &bytes[self.step(written, go_on)?..];
        }
        Ok(())
    }

    fn receive(&mut self, bytes: &mut [u8], go_on: &dyn Fn() -> bool) -> Result<(), Failure> {
        let mut filled = 0;
        while filled < bytes.len() {
            let read = self.stream.read(&mut bytes[filled..]);
            let read = if matches!(read, Ok(0)) {
                return Err(Failure::Damaged);
            } else {
                read
            };
            filled += self.step(read, go_on)?;
        }
        Ok(())
    }

    /// How many bytes have gone; what keeps them is waited for.
    fn step(&self, gone: io::Result<usize>, go_on: &dyn Fn() -> bool) -> Result<usize, Failure> {
        match gone {
            Ok(bytes) => Ok(bytes),
            Err(error) if !may_pass(&error) => Err(Failure::Damaged),
            Err(_) if !go_on() => Err(Failure::Stopped),
            Err(_) if Instant::now() > self.until => Err(Failure::TooSlow),
            Err(_) => Ok(0),
        }
    }
}

fn may_pass(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}

/// How long nothing is heard before it is asked whether to go on.
const GLANCE: Duration = Duration::from_millis(50);
/// Of a picture: less than whoever asked for it waits.
const LONGEST: Duration = Duration::from_secs(20);
/// What libraries take before the first picture.
const LEAST_MEMORY: u64 = 64 << 20;
