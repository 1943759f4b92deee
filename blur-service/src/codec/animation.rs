//! Animations: their frames as viewers show them, one after the other, and the way back. Only a few pictures of the
//! animation's size are in memory at a time.

use image::RgbaImage;

use super::{
    Format, Header, Output, Space, apng,
    frames::{Change, Frame, Frames, Place, Plan, WriteFrames},
    gif, guarded, webp_frames,
};
use crate::error::Error;

/// The frames of an animation with this head.
///
/// # Errors
/// [`Error::BrokenPicture`].
pub fn frames<'a>(file: &'a [u8], header: &Header) -> Result<Box<dyn Frames + 'a>, Error> {
    let frames: Box<dyn Frames + 'a> = match header.format {
        Format::Gif => Box::new(gif::Reader::open(file, header)?),
        Format::Png => Box::new(apng::Reader::open(file, header)?),
        Format::WebP => Box::new(webp_frames::Reader::open(file, header)),
        other => return Err(Error::internal(format!("{} has no frames", other.media_type()))),
    };
    Ok(Box::new(Guarded(frames)))
}

struct Guarded<'a>(Box<dyn Frames + 'a>);

impl Frames for Guarded<'_> {
    fn next(&mut self) -> Result<Option<Frame>, Error> {
        guarded(|| self.0.next())
    }

    fn plays(&self) -> u32 {
        self.0.plays()
    }

    fn space(&self) -> Result<Space, Error> {
        self.0.space()
    }
}

/// Writes an animation frame by frame, each as what changes from the one before.
pub struct FramesWriter {
    writer: Box<dyn WriteFrames>,
    /// The frame before: it is written once it is known what follows.
    last: Option<Frame>,
    /// What a viewer shows when the last frame is put upon it.
    ground: RgbaImage,
    is_first: bool,
}

impl FramesWriter {
    /// # Errors
    /// [`Error::Internal`].
    pub fn start(output: Output, plan: &Plan) -> Result<Self, Error> {
        let writer: Box<dyn WriteFrames> = match output {
            Output::Gif => Box::new(gif::Writer::start(plan)?),
            Output::Png => Box::new(apng::Writer::start(plan)?),
            Output::WebP { quality } => Box::new(webp_frames::Writer::start(plan, quality)?),
            Output::Jpeg { .. } | Output::Avif { .. } | Output::Tiff => {
                return Err(Error::internal("this format has no frames"));
            }
        };
        Ok(Self {
            writer,
            last: None,
            ground: RgbaImage::new(plan.size.width, plan.size.height),
            is_first: true,
        })
    }

    /// # Errors
    /// [`Error::Internal`].
    pub fn add(&mut self, frame: Frame) -> Result<(), Error> {
        if let Some(last) = self.last.take() {
            let is_cleared = clears(&last.pixels, &frame.pixels);
            self.put(&last, is_cleared)?;
            self.ground = match is_cleared {
                true => RgbaImage::new(frame.pixels.width(), frame.pixels.height()),
                false => last.pixels,
            };
        }
        self.last = Some(frame);
        Ok(())
    }

    pub fn bytes(&self) -> usize {
        self.writer.bytes()
    }

    /// # Errors
    /// [`Error::Internal`]; [`Error::ProofFailed`] if there is more in the file than frames.
    pub fn finish(mut self) -> Result<Vec<u8>, Error> {
        if let Some(last) = self.last.take() {
            self.put(&last, false)?;
        }
        self.writer.finish()
    }

    fn put(&mut self, frame: &Frame, is_cleared: bool) -> Result<(), Error> {
        // A viewer clears only what the frame covers.
        let is_whole = is_cleared || self.is_first;
        self.is_first = false;
        self.writer.write(&Change {
            before: &self.ground,
            after: &frame.pixels,
            place: match is_whole {
                true => Place::whole(&frame.pixels),
                false => Place::of_change(&self.ground, &frame.pixels),
            },
            delay: frame.delay,
            is_cleared,
        })
    }
}

/// Whether a pixel that shows something becomes clear.
fn clears(before: &RgbaImage, after: &RgbaImage) -> bool {
    before
        .pixels()
        .zip(after.pixels())
        .any(|(one, other)| one[3] > 0 && other[3] == 0)
}
