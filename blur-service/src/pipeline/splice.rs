//! The road of a JPEG whose blocks outside the faces stay as they are: nothing is decoded but a small view for the
//! detector, and nothing encoded but what hides a face. The orientation is kept, not applied.

use std::borrow::Cow;

use image::{DynamicImage, RgbImage, metadata::Orientation};

use super::{
    Blurred, Clock, Found, Road, Task,
    second_look::{Draft, look_again},
};
use crate::{
    codec::{Header, Profile, Space, to_upright},
    detect::{Face, Photo},
    error::Error,
    geometry::Rect,
    jpeg::{Jpeg, JpegError, Limits, Metadata, Plan, Scale, Scan},
    options::Verify,
    redact::{Noise, regions},
};

/// Why this road ends.
pub enum Leave {
    /// The file is sound, and of a kind that only the other road takes: which one.
    ForPixels(String),
    Failed(Error),
}

pub fn blur(task: &Task, noise: &Noise) -> Result<Blurred, Leave> {
    let Task {
        header, options, go_on, ..
    } = *task;
    let mut clock = Clock::start(go_on);
    let drawn = options.marks.regions_in(header.upright_size())?;
    let original = Jpeg::parse(task.file, &limits(task))?;
    let profile = kept_profile(&original)?;
    let metadata = Metadata {
        orientation: header.orientation.to_exif(),
        icc: profile.map(Profile::file),
    };
    let source = Source::of(&original, task)?;
    let jpeg = source.jpeg(task)?;
    let (scan, view) = View::open(task, &jpeg, profile)?;
    clock.lap(|timings| &mut timings.decode)?;
    let mut faces = view.faces(task, |photo| task.find(photo))?;
    let spared = options.marks.spare(&mut faces)?;
    clock.lap(|timings| &mut timings.detect)?;
    let mut sketch = Sketch {
        task,
        jpeg: &jpeg,
        scan: &scan,
        view,
        faces: Vec::new(),
        drawn: Vec::new(),
        blank: Vec::new(),
        plan: Plan::default(),
        noise,
    };
    sketch.hide(&faces)?;
    clock.lap(|timings| &mut timings.redact)?;
    let second_look = match options.verify() {
        Verify::Off => None,
        _ => Some(look_again(&mut sketch, &mut faces, &spared)?),
    };
    sketch.hide_drawn(&drawn)?;
    clock.lap(|timings| &mut timings.verify)?;
    // The view goes before the file is written: the two need not be in memory together.
    let Sketch { plan, .. } = sketch;
    let effect = options.look();
    let file = scan.write_proven(&jpeg, &plan, effect, &metadata, go_on)?;
    clock.lap(|timings| &mut timings.encode)?;
    Ok(Blurred {
        file,
        media_type: header.format.media_type(),
        faces,
        parts: Vec::new(),
        spared,
        regions: drawn,
        road: source.road,
        second_look,
        removed: None,
        kept: Vec::new(),
        timings: clock.timings,
    })
}

pub fn detect(task: &Task) -> Result<Found, Leave> {
    let mut clock = Clock::start(task.go_on);
    let original = Jpeg::parse(task.file, &limits(task))?;
    let profile = kept_profile(&original)?;
    let source = Source::of(&original, task)?;
    let (_, view) = View::open(task, &source.jpeg(task)?, profile)?;
    clock.lap(|timings| &mut timings.decode)?;
    let faces = view.faces(task, |photo| task.find(photo))?;
    clock.lap(|timings| &mut timings.detect)?;
    Ok(Found {
        size: task.header.upright_size(),
        faces,
        parts: Vec::new(),
        timings: clock.timings,
    })
}

/// The memory, in bytes, that this road takes for a file whose head is `header` and of whose picture a long side of `enough`
/// pixels is looked at; nothing if the file may have to leave it.
pub fn work_bytes(file: &[u8], header: &Header, enough: u32) -> Option<u64> {
    let limits = Limits {
        pixels: header.size.pixels(),
        ..Limits::default()
    };
    let jpeg = Jpeg::parse(file, &limits).ok()?;
    jpeg.supported().ok()?;
    kept_profile(&jpeg).ok()?;
    let scale = Scale::least(header.size.long_side(), enough);
    let seen = u64::from(scale.of(header.size.width)) * u64::from(scale.of(header.size.height));
    Some(seen * VIEW_BYTES + jpeg.block_count() * BLOCK_BYTES + COPIES * file.len() as u64 + SMALL_CHANGE)
}

/// The profile that is written with the same coefficients.
fn kept_profile(original: &Jpeg) -> Result<Option<Profile>, Leave> {
    match Space::of(&original.icc().unwrap_or_default(), original.channels())? {
        Space::Plain => Ok(None),
        Space::Wide(profile) => Ok(Some(profile)),
        // Its colours must be converted, since its profile is not copied.
        Space::Other(_) => Err(Leave::ForPixels(
            "its colour profile is not a well-known one".to_owned(),
        )),
    }
}

/// A file of one Huffman scan: the one that came in, or one of the same coefficients.
struct Source<'a> {
    file: File<'a>,
    road: Road,
}

enum File<'a> {
    Given(&'a [u8]),
    Made(Vec<u8>),
}

impl<'a> Source<'a> {
    fn of(original: &Jpeg, task: &Task<'a>) -> Result<Self, Leave> {
        let (file, name, why) = match original.supported() {
            Ok(()) => (File::Given(task.file), "splice", "a JPEG of one scan".to_owned()),
            Err(kind) if kind.may_be_recoded() => (
                File::Made(original.in_one_scan(task.go_on)?),
                "coefficients",
                kind.to_string(),
            ),
            Err(kind) => return Err(JpegError::from(kind).into()),
        };
        Ok(Self {
            file,
            road: Road {
                name,
                why,
                turns_upright: false,
            },
        })
    }

    fn jpeg(&self, task: &Task) -> Result<Jpeg<'_>, JpegError> {
        match &self.file {
            File::Given(file) => Jpeg::parse(file, &limits(task)),
            File::Made(file) => Ok(Jpeg::parse(file, &limits(task))?.with_fresh_tables()),
        }
    }
}

fn limits(task: &Task) -> Limits {
    Limits {
        // The service's own limit was kept before.
        pixels: task.header.size.pixels(),
        ..Limits::default()
    }
}

/// What is hidden so far, and how it will look.
struct Sketch<'a> {
    task: &'a Task<'a>,
    jpeg: &'a Jpeg<'a>,
    scan: &'a Scan,
    view: View,
    /// In pixels as stored.
    faces: Vec<Face>,
    /// What a person drew, in pixels as stored.
    drawn: Vec<Rect>,
    /// Where nothing is shown any more, in pixels as stored.
    blank: Vec<Rect>,
    plan: Plan,
    noise: &'a Noise,
}

impl Sketch<'_> {
    /// What a person drew comes last, so that nothing else of the picture depends on it.
    fn hide_drawn(&mut self, regions: &[Rect]) -> Result<(), Error> {
        if regions.is_empty() {
            return Ok(());
        }
        self.drawn = regions.iter().map(|region| self.task.as_stored(*region)).collect();
        self.replan()
    }

    /// Chooses the cells of all that is known to be hidden, anew.
    fn replan(&mut self) -> Result<(), Error> {
        let Task {
            header, options, go_on, ..
        } = *self.task;
        // The splice itself rounds outward to whole units.
        let spots = regions(&self.faces, &self.drawn, header.size, options.margin);
        self.plan = self.scan.plan(self.jpeg, &spots, self.noise, go_on)?;
        for rect in &self.blank {
            self.plan.blank(self.jpeg, *rect);
        }
        Ok(())
    }
}

impl Draft for Sketch<'_> {
    fn look(&mut self) -> Result<Vec<Face>, Error> {
        let regions = self.regions();
        let effect = self.task.options.look();
        self.scan
            .repaint(self.jpeg, &self.plan, effect, self.view.scale, &mut self.view.stored);
        self.view
            .faces(self.task, |photo| self.task.eyes.find_again(photo, &regions))
    }

    fn regions(&self) -> Vec<Rect> {
        let header = self.task.header;
        let hidden = self.plan.regions(self.jpeg);
        hidden
            .map(|region| to_upright(region.rect(), header.size, header.orientation))
            .collect()
    }

    fn blank(&mut self, rect: Rect) -> Result<u32, Error> {
        let stored = self.task.as_stored(rect);
        self.blank.push(stored);
        Ok(self.plan.blank(self.jpeg, stored))
    }

    fn hide(&mut self, faces: &[Face]) -> Result<(), Error> {
        if faces.is_empty() {
            return Ok(());
        }
        self.faces.extend(faces.iter().map(|face| Face {
            rect: self.task.as_stored(face.rect),
            ..*face
        }));
        self.replan()
    }
}

/// What the detector is shown: the picture, perhaps smaller.
struct View {
    /// Before the orientation is applied.
    stored: RgbImage,
    scale: Scale,
    /// The space that its colours are in.
    profile: Option<Profile>,
}

impl View {
    /// Reads the file through; the view has all the resolution that the detector can use.
    fn open(task: &Task, jpeg: &Jpeg, profile: Option<Profile>) -> Result<(Scan, Self), Leave> {
        let enough = task.enough_px();
        let scale = Scale::least(task.header.size.long_side(), enough);
        let mut scan = jpeg.scan(Some(scale), task.go_on)?;
        let stored = scan.preview.take().unwrap_or_default();
        scan.check_that_nothing_is_left(jpeg)?;
        Ok((scan, Self { stored, scale, profile }))
    }

    /// In pixels of the upright picture.
    fn faces(&self, task: &Task, find: impl Fn(Photo) -> Result<Vec<Face>, Error>) -> Result<Vec<Face>, Error> {
        find(Photo {
            size: task.header.upright_size(),
            pixels: &*self.upright(task.header.orientation)?,
        })
    }

    /// As people see it, in sRGB.
    fn upright(&self, orientation: Orientation) -> Result<Cow<'_, RgbImage>, Error> {
        let mut shown = Cow::Borrowed(&self.stored);
        if let Some(profile) = self.profile {
            profile.show(shown.to_mut())?;
        }
        if orientation == Orientation::NoTransforms {
            return Ok(shown);
        }
        let mut turned = DynamicImage::from(shown.into_owned());
        turned.apply_orientation(orientation);
        Ok(Cow::Owned(turned.into_rgb8()))
    }
}

/// A pixel of the view, of it turned, and of that softened.
const VIEW_BYTES: u64 = 3 * 3;
/// What is remembered of a block, and of where it lies.
const BLOCK_BYTES: u64 = 2 + 1;
/// What is written, and what grows with it.
const COPIES: u64 = 3;
const SMALL_CHANGE: u64 = 8 << 20;

impl From<Error> for Leave {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<JpegError> for Leave {
    fn from(error: JpegError) -> Self {
        match error {
            JpegError::Unsupported(kind) => Self::ForPixels(kind.to_string()),
            other => Self::Failed(other.into()),
        }
    }
}
