//! HEVC by libheif, in a process of its own for each picture, where that has been found when this one started.

use std::{
    env, io,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use hevc_still::{Coded, Decoder, Failure, Sampling, Session, Still};

use super::{
    frame::{Coder, Frame, Samples, UNUSUAL, damaged, unclear},
    numbers::Numbers,
};
use crate::{
    codec::{Items, header::broken},
    error::Error,
    geometry::Size,
};

/// The one of this process, which is started while it still may start programs.
static DECODER: OnceLock<Decoder> = OnceLock::new();

/// Starts the program that decodes: the one that is named, or the one that lies beside this one or where packages put it.
/// Whether there is one now.
///
/// # Errors
/// The system's, if there is a program that does not get ready.
pub fn start(named: Option<&Path>) -> io::Result<bool> {
    let Some(program) = named.map(Path::to_owned).or_else(found) else {
        return Ok(false);
    };
    if DECODER.get().is_none() {
        // Whoever came first in between has started the same one.
        let _ = DECODER.set(Decoder::start(&program)?);
    }
    Ok(true)
}

pub fn is_there() -> bool {
    DECODER.get().is_some()
}

fn found() -> Option<PathBuf> {
    let own = env::current_exe().ok()?;
    let beside = own.parent()?;
    [beside.join(PROGRAM), beside.join("../libexec/veil").join(PROGRAM)]
        .into_iter()
        .find(|program| program.is_file())
}

/// Asks one process for all coded pictures of a file.
pub struct Hevc {
    /// Bytes that it may take.
    memory: u64,
    session: Option<Session>,
}

impl Hevc {
    pub fn new(whole: Size) -> Self {
        let memory = whole.pixels().saturating_mul(OF_A_PIXEL).saturating_add(LIBRARIES);
        Self { memory, session: None }
    }

    fn session(&mut self, go_on: &dyn Fn() -> bool) -> Result<&mut Session, Error> {
        let session = match self.session.take() {
            Some(session) => session,
            None => {
                let decoder = DECODER.get().ok_or(NO_DECODER)?;
                decoder.session(self.memory, go_on).map_err(meant)?
            }
        };
        Ok(self.session.insert(session))
    }
}

impl Coder for Hevc {
    fn frame(&mut self, items: &Items, item: u32, told: Size, go_on: &dyn Fn() -> bool) -> Result<Frame, Error> {
        let data = items.data(item).ok_or_else(unclear)?;
        let configuration = items.properties(item, b"hvcC").next().ok_or_else(unclear)?;
        let coded = Coded {
            width: told.width,
            height: told.height,
            configuration,
            data: &data,
        };
        let numbers = Numbers::configured(configuration).ok_or_else(damaged)?;
        let still = self.session(go_on)?.decode(coded, go_on).map_err(meant)?;
        framed(still, told, numbers)
    }
}

fn framed(still: Still, size: Size, numbers: Numbers) -> Result<Frame, Error> {
    let Still { head, planes } = still;
    let samples = |plane: hevc_still::Plane| Samples {
        stride: plane.width as usize * head.sample_bytes(),
        data: Box::new(plane.samples),
    };
    if head.bits > MOST_BITS {
        return Err(UNUSUAL);
    }
    Ok(Frame {
        size,
        bits: head.bits.into(),
        is_halved: match head.sampling {
            Sampling::Grey | Sampling::Full => (false, false),
            Sampling::HalfAcross => (true, false),
            Sampling::HalfBoth => (true, true),
        },
        numbers,
        planes: planes.into_iter().map(samples).collect(),
    })
}

/// What is the picture's fault, as far as can be known, and what is not.
fn meant(failure: Failure) -> Error {
    match failure {
        Failure::Unreachable(error) => Error::internal(error),
        Failure::Damaged => damaged(),
        Failure::TooSlow => broken("its coded data takes too long to decode"),
        Failure::Stopped => Error::Stopped,
    }
}

pub const NO_DECODER: Error =
    Error::UnsupportedFormat("HEIC is not read here, where its decoder is not installed: send JPEG, PNG or WebP");
const PROGRAM: &str = "veil-heic";
/// What the decoder takes before the first picture.
pub const LIBRARIES: u64 = 64 << 20;
/// Planes of up to 16 bits in the decoder, in libheif and on their way, and what the decoder keeps besides.
const OF_A_PIXEL: u64 = 24;
const MOST_BITS: u8 = 12;
