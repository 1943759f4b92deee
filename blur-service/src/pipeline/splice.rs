//! The road of a JPEG whose blocks outside the faces stay as they are: nothing is decoded but a small view for the
//! detector, and nothing encoded but what hides a face. The orientation is kept, not applied.

use image::{DynamicImage, RgbImage};

use super::{Blurred, Clock, Found, Task, Timings};
use crate::{
    codec::{Space, to_stored},
    detect::Face,
    error::Error,
    geometry::Size,
    jpeg::{Jpeg, JpegError, Limits, Metadata, Scale, Scan},
    redact::{Noise, regions},
};

/// Why this road ends.
pub enum Leave {
    /// The file is sound, and of a kind that only the other road takes.
    ForPixels,
    Failed(Error),
}

pub fn blur(task: &Task, noise: &mut Noise) -> Result<Blurred, Leave> {
    let Task {
        header, options, go_on, ..
    } = *task;
    let mut clock = Clock::start(go_on);
    let jpeg = parse(task)?;
    let icc = match Space::of(&jpeg.icc().unwrap_or_default()) {
        Space::Plain => None,
        Space::Wide(profile) => Some(profile.encode()?),
        // Its colours must be converted, since its profile is not copied.
        Space::Other(_) => return Err(Leave::ForPixels),
    };
    let metadata = Metadata {
        orientation: header.orientation.to_exif(),
        icc: icc.as_deref(),
    };
    let (scan, view) = View::open(task, &jpeg)?;
    let decode = clock.lap()?;
    let faces = view.faces(task)?;
    drop(view);
    let detect = clock.lap()?;
    let stored: Vec<Face> = faces
        .iter()
        .map(|face| Face {
            rect: to_stored(face.rect, header.upright_size(), header.orientation),
            ..*face
        })
        .collect();
    // The splice itself rounds outward to whole units.
    let regions = regions(&stored, header.size, options.margin, Size::new(1, 1));
    let effect = options.effect.effect();
    let plan = scan.plan(&jpeg, &regions, noise, go_on)?;
    let redact = clock.lap()?;
    let file = scan.write(&jpeg, &plan, effect, &metadata, go_on)?;
    scan.prove(&jpeg, &plan, effect, &metadata, &file, go_on)?;
    let encode = clock.lap()?;
    Ok(Blurred {
        file,
        faces,
        path: "splice",
        timings: Timings {
            decode,
            detect,
            redact,
            encode,
        },
    })
}

pub fn detect(task: &Task) -> Result<Found, Leave> {
    let mut clock = Clock::start(task.go_on);
    let (_, view) = View::open(task, &parse(task)?)?;
    let decode = clock.lap()?;
    let faces = view.faces(task)?;
    let detect = clock.lap()?;
    Ok(Found {
        size: task.header.upright_size(),
        faces,
        timings: Timings {
            decode,
            detect,
            ..Timings::default()
        },
    })
}

fn parse<'a>(task: &Task<'a>) -> Result<Jpeg<'a>, Leave> {
    let limits = Limits {
        // The service's own limit was kept before.
        pixels: task.header.size.pixels(),
        ..Limits::default()
    };
    let jpeg = Jpeg::parse(task.file, &limits)?;
    jpeg.supported().map_err(JpegError::from)?;
    Ok(jpeg)
}

/// What the detector is shown: the picture upright, perhaps smaller.
struct View {
    pixels: RgbImage,
    /// How many pixels of the picture lie along one of its own.
    divisor: u32,
}

impl View {
    /// Reads the file through; the view has all the resolution that the detector can use.
    fn open(task: &Task, jpeg: &Jpeg) -> Result<(Scan, Self), Leave> {
        let header = task.header;
        let scale = smallest_scale(header.size.long_side(), task.enough_px);
        let mut scan = jpeg.scan(scale, task.go_on)?;
        let view = match (scale, scan.preview.take()) {
            (Some(scale), Some(preview)) => {
                let mut pixels = DynamicImage::from(preview);
                pixels.apply_orientation(header.orientation);
                Self {
                    pixels: pixels.into_rgb8(),
                    divisor: scale.divisor(),
                }
            }
            _ => Self {
                pixels: header.format.decode(task.file, header)?.pixels.into_rgb8(),
                divisor: 1,
            },
        };
        Ok((scan, view))
    }

    /// In pixels of the upright picture.
    fn faces(&self, task: &Task) -> Result<Vec<Face>, Error> {
        let larger = self.divisor as f32;
        let found = (task.find)(&self.pixels)?.into_iter();
        Ok(found
            .filter_map(|face| {
                let rect = face.rect.scaled(larger, larger);
                Some(Face {
                    rect: rect.clamped(task.header.upright_size())?,
                    ..face
                })
            })
            .collect())
    }
}

/// The smallest view whose long side has `enough` pixels, if there is one smaller than the picture.
fn smallest_scale(long_side: u32, enough: u32) -> Option<Scale> {
    [Scale::Eighth, Scale::Quarter, Scale::Half]
        .into_iter()
        .find(|scale| long_side.div_ceil(scale.divisor()) >= enough)
}

impl From<Error> for Leave {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<JpegError> for Leave {
    fn from(error: JpegError) -> Self {
        match error {
            JpegError::Unsupported(_) | JpegError::TooLarge { .. } => Self::ForPixels,
            JpegError::NotJpeg | JpegError::Truncated { .. } | JpegError::Corrupt { .. } => {
                Self::Failed(Error::BrokenPicture(error.to_string()))
            }
            JpegError::Stopped => Self::Failed(Error::Stopped),
            JpegError::Noise(source) => Self::Failed(*source),
            JpegError::Unproven(what) => Self::Failed(Error::ProofFailed(what.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_view_is_as_small_as_the_detector_allows() {
        assert_eq!(smallest_scale(4000, 192), Some(Scale::Eighth));
        assert_eq!(smallest_scale(4000, 960), Some(Scale::Quarter));
        assert_eq!(smallest_scale(1920, 960), Some(Scale::Half));
        assert_eq!(smallest_scale(640, 640), None);
    }
}
