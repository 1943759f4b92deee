//! The life of a picture, step by step: the only place that names their order. Three roads lead through it.
//!
//! `pixels`: decode → upright → detect → pad, round outward, merge → redact → look again → marked regions → encode → prove.
//! `splice`, for most JPEGs: read through → detect on a small upright view → pad, merge → cells → look again → marked
//! regions → splice → prove; those in several scans or arithmetic codes are written as one Huffman scan before, and their road is called
//! `coefficients`.
//!
//! `animation`: all frames composed and detected → faces united over neighbouring frames → each frame composed again, hidden,
//! looked at again, written. The pages of a file go through `pixels` one by one.

mod animation;
mod gathered;
mod pages;
mod pixels;
mod second_look;
mod shown;
mod splice;

use std::time::{Duration, Instant};

pub use self::{second_look::SecondLook, shown::shown};
use crate::{
    codec::{Format, Header, Output, Parts, to_stored},
    detect::{DetectError, Detectors, Face, Photo},
    error::Error,
    geometry::{Rect, Size},
    inventory::Inventory,
    jpeg::Scale,
    keep::{self, Field},
    options::{Options, Profile, Search, Verify},
    redact::{Noise, NoiseKey},
};

/// A picture with its faces hidden.
pub struct Blurred {
    pub file: Vec<u8>,
    pub media_type: &'static str,
    /// Those that are hidden, in upright pixels, as the others are.
    pub faces: Vec<Face>,
    /// For each face, in which frame or page it is, counted from 0; empty if there is one picture only.
    pub parts: Vec<u32>,
    /// Faces that were found and are shown, because a person said so.
    pub spared: Vec<Face>,
    /// What is hidden because a person said so.
    pub regions: Vec<Rect>,
    pub road: Road,
    /// Nothing if there was none.
    pub second_look: Option<SecondLook>,
    /// What the file that came in held beside the picture, if a report was asked for.
    pub removed: Option<Inventory>,
    /// What the file said in words and the answer says again.
    pub kept: Vec<Field>,
    pub timings: Timings,
}

/// Which way a picture took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Road {
    /// `animation` for one that was written anew; `splice` for a JPEG whose other blocks are untouched, `coefficients` for one that was also brought from several
    /// scans or arithmetic codes into one Huffman scan, `pixels` for what was decoded and written anew.
    pub name: &'static str,
    /// For people.
    pub why: String,
    /// Whether the picture was turned upright; if not, its orientation is kept as a tag.
    pub turns_upright: bool,
}

/// The faces of a picture, in its upright pixels.
pub struct Found {
    /// Of the first page, if there are several.
    pub size: Size,
    pub faces: Vec<Face>,
    /// As in [`Blurred`].
    pub parts: Vec<u32>,
    pub timings: Timings,
}

/// How long each step took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timings {
    pub decode: Duration,
    pub detect: Duration,
    pub redact: Duration,
    pub verify: Duration,
    pub encode: Duration,
}

/// Whether the work is still wanted; asked between the steps and inside the long ones.
pub type GoOn<'a> = dyn Fn() -> bool + 'a;

/// Hides every face in `file`, whose head is `header`, which passed the limits; the noise upon what is left of them comes
/// from `key`.
///
/// # Errors
/// Any step's; there is no picture then. [`Error::Stopped`] once `go_on` says no.
pub fn blur(
    file: &[u8],
    header: &Header,
    options: &Options,
    key: &NoiseKey,
    detectors: &Detectors,
    go_on: &GoOn,
) -> Result<Blurred, Error> {
    let eyes = DetectorEyes {
        detectors,
        options,
        go_on,
    };
    let mut blurred = Task::new(file, header, options, &eyes, go_on).blur(&key.noise(file))?;
    blurred.kept = keep::keep(&options.keep, file, header.format, &mut blurred.file)?;
    blurred.removed = options.report.then(|| Inventory::of(file, header.format));
    Ok(blurred)
}

/// The memory, in bytes, that a JPEG takes whose blocks outside the faces stay as they are, if nothing of it will have to be
/// decoded further.
pub fn splice_bytes(file: &[u8], header: &Header, options: &Options, detectors: &Detectors) -> Option<u64> {
    let output = Output::of(header, options.format, options.quality).ok()?;
    let is_kept = header.format == Format::Jpeg && options.profile == Profile::Lossless;
    if !is_kept || !matches!(output, Output::Jpeg { .. }) {
        return None;
    }
    let enough = detectors.long_side(options.detail, header.upright_size());
    splice::work_bytes(file, header, enough)
}

/// Finds every face in `file`, whose head is `header`, which passed the limits.
///
/// # Errors
/// Any step's; [`Error::Stopped`] once `go_on` says no.
pub fn detect(
    file: &[u8],
    header: &Header,
    options: &Options,
    detectors: &Detectors,
    go_on: &GoOn,
) -> Result<Found, Error> {
    let eyes = DetectorEyes {
        detectors,
        options,
        go_on,
    };
    Task::new(file, header, options, &eyes, go_on).detect()
}

/// One picture and what is wanted of it.
struct Task<'a> {
    file: &'a [u8],
    header: &'a Header,
    options: &'a Options,
    eyes: &'a dyn Eyes,
    go_on: &'a GoOn<'a>,
}

/// Who sees faces in pictures.
trait Eyes {
    /// Long side of a view in which all is seen that can be, of an upright picture of this size.
    fn enough_px(&self, picture: Size) -> u32;

    /// In pixels of the photo's full size.
    fn find(&self, photo: Photo) -> Result<Vec<Face>, Error>;

    /// Looks again at a photo whose faces are hidden in `regions`: at all of it, or only there and around. All in pixels of
    /// its full size.
    fn find_again(&self, photo: Photo, regions: &[Rect]) -> Result<Vec<Face>, Error>;
}

impl<'a> Task<'a> {
    fn new(file: &'a [u8], header: &'a Header, options: &'a Options, eyes: &'a dyn Eyes, go_on: &'a GoOn) -> Self {
        Self {
            file,
            header,
            options,
            eyes,
            go_on,
        }
    }

    /// The faces in a photo of the picture, in pixels of its full size. They are looked for in no more pixels than are
    /// enough, which are made as those of a JPEG are.
    fn find(&self, photo: Photo) -> Result<Vec<Face>, Error> {
        let Photo { size, pixels } = photo;
        let scale = match self.options.detect {
            Search::Off => return Ok(Vec::new()),
            Search::On if (size.width, size.height) != pixels.dimensions() => Scale::Full,
            Search::On => Scale::least(size.long_side(), self.eyes.enough_px(size)),
        };
        self.eyes.find(Photo {
            size,
            pixels: &scale.reduced(pixels),
        })
    }

    /// Long side of a view in which all is seen that is looked for.
    fn enough_px(&self) -> u32 {
        match self.options.detect {
            Search::On => self.eyes.enough_px(self.header.upright_size()),
            Search::Off => 1,
        }
    }

    fn blur(&self, noise: &Noise) -> Result<Blurred, Error> {
        if self.header.parts != Parts::One {
            self.options.marks.check_for_parts()?;
        }
        match self.header.parts {
            Parts::One => {}
            Parts::Frames(_) => return animation::blur(self, noise),
            Parts::Pages { .. } => return pages::blur(self, noise),
        }
        if self.header.format != Format::Jpeg {
            let why = format!("{} has no blocks to keep", self.header.format.media_type());
            return pixels::blur(self, why, noise);
        }
        if !matches!(self.output()?, Output::Jpeg { .. }) {
            return pixels::blur(self, "another format is asked for".to_owned(), noise);
        }
        if self.options.profile == Profile::Reencode {
            return pixels::blur(self, "the profile is reencode".to_owned(), noise);
        }
        match splice::blur(self, noise) {
            Ok(blurred) => Ok(blurred),
            Err(splice::Leave::Failed(error)) => Err(error),
            Err(splice::Leave::ForPixels(_)) if self.header.is_spliced_only => Err(NEVER_DECODED),
            Err(splice::Leave::ForPixels(why)) => pixels::blur(self, why, noise),
        }
    }

    /// An upright rectangle in the picture as it is stored.
    fn as_stored(&self, upright: Rect) -> Rect {
        to_stored(upright, self.header.upright_size(), self.header.orientation)
    }

    /// What the answer is written as.
    fn output(&self) -> Result<Output, Error> {
        Output::of(self.header, self.options.format, self.options.quality)
    }

    fn detect(&self) -> Result<Found, Error> {
        match self.header.parts {
            Parts::One => {}
            Parts::Frames(_) => return animation::detect(self),
            Parts::Pages { .. } => return pages::detect(self),
        }
        if self.header.format == Format::Jpeg {
            match splice::detect(self) {
                Ok(found) => return Ok(found),
                Err(splice::Leave::Failed(error)) => return Err(error),
                Err(splice::Leave::ForPixels(_)) if self.header.is_spliced_only => return Err(NEVER_DECODED),
                Err(splice::Leave::ForPixels(_)) => {}
            }
        }
        pixels::detect(self)
    }
}

/// Of a JPEG so large that there is only memory to splice it.
const NEVER_DECODED: Error = Error::UnsupportedFormat(
    "JPEG of this size is only read with all its components in one Huffman scan: send it smaller, or written so",
);

/// The product's eyes.
struct DetectorEyes<'a> {
    detectors: &'a Detectors,
    options: &'a Options,
    go_on: &'a GoOn<'a>,
}

impl Eyes for DetectorEyes<'_> {
    fn enough_px(&self, picture: Size) -> u32 {
        self.detectors.long_side(self.options.detail, picture)
    }

    fn find(&self, photo: Photo) -> Result<Vec<Face>, Error> {
        let Options {
            detail, sensitivity, ..
        } = *self.options;
        Ok(self.detectors.detect(photo, detail, sensitivity, self.go_on)?)
    }

    fn find_again(&self, photo: Photo, regions: &[Rect]) -> Result<Vec<Face>, Error> {
        match self.options.verify() {
            Verify::Off => Ok(Vec::new()),
            Verify::Regions => {
                let sensitivity = self.options.sensitivity;
                Ok(self.detectors.detect_near(photo, regions, sensitivity, self.go_on)?)
            }
            Verify::Whole => self.find(photo),
        }
    }
}

impl From<DetectError> for Error {
    fn from(error: DetectError) -> Self {
        match error {
            DetectError::Cancelled => Self::Stopped,
            other => Self::internal(other),
        }
    }
}

/// Measures the steps, and stops between them when nobody waits any more.
struct Clock<'a> {
    since: Instant,
    timings: Timings,
    go_on: &'a GoOn<'a>,
}

impl<'a> Clock<'a> {
    fn start(go_on: &'a GoOn<'a>) -> Self {
        Self {
            since: Instant::now(),
            timings: Timings::default(),
            go_on,
        }
    }

    /// The step that has this place is over.
    fn lap(&mut self, step: impl FnOnce(&mut Timings) -> &mut Duration) -> Result<(), Error> {
        let now = Instant::now();
        *step(&mut self.timings) = now - std::mem::replace(&mut self.since, now);
        if (self.go_on)() { Ok(()) } else { Err(Error::Stopped) }
    }
}

#[cfg(test)]
mod tests;
