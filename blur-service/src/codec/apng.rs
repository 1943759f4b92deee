//! Animated PNG, by the `png` crate: frames of 8 bits with an alpha channel. The picture that viewers without animations
//! would show, where it is no frame, is left behind.

use std::{borrow::Cow, io::Cursor};

use image::{DynamicImage, RgbaImage};
use png::{BitDepth, BlendOp, ColorType, Decoder, DisposeOp, Info, Limits, Transformations};

use super::{
    Header, Profile, Space, broken,
    frames::{After, Blend, Change, Delay, Frame, Frames, Plan, Screen, WriteFrames},
    png::{Chunks, space, with_frames},
    png_faults,
    shared::Shared,
};
use crate::{
    error::Error,
    jpeg::{Channels, Leniency},
};

pub(super) struct Reader<'a> {
    file: &'a [u8],
    reader: png::Reader<Cursor<Cow<'a, [u8]>>>,
    screen: Screen,
    left: u32,
    is_first: bool,
}

impl<'a> Reader<'a> {
    pub fn open(file: &'a [u8], header: &Header) -> Result<Self, Error> {
        let limits = Limits {
            bytes: usize::try_from(header.work_bytes).unwrap_or(usize::MAX),
        };
        let left = header.parts.count();
        let mended = png_faults::mended(file);
        let whole = match header.leniencies.contains(&Leniency::WrongFrameCount) {
            true => Cow::Owned(with_frames(&mended, left).ok_or_else(damaged)?),
            false => mended,
        };
        let mut decoder = Decoder::new_with_limits(Cursor::new(whole), limits);
        decoder.set_transformations(Transformations::normalize_to_color8());
        decoder.set_ignore_text_chunk(true);
        let reader = decoder.read_info().map_err(|_| damaged())?;
        Ok(Self {
            file,
            reader,
            screen: Screen::new(header.size),
            left,
            is_first: true,
        })
    }

    /// The next picture in the file, frame or not.
    fn picture(&mut self) -> Result<RgbaImage, Error> {
        let mut samples = vec![0; self.reader.output_buffer_size().ok_or_else(damaged)?];
        let info = self.reader.next_frame(&mut samples).map_err(|_| damaged())?;
        samples.truncate(info.buffer_size());
        let (width, height) = (info.width, info.height);
        let pixels = match info.color_type {
            ColorType::Grayscale => image::GrayImage::from_raw(width, height, samples).map(DynamicImage::from),
            ColorType::GrayscaleAlpha => {
                image::GrayAlphaImage::from_raw(width, height, samples).map(DynamicImage::from)
            }
            ColorType::Rgb => image::RgbImage::from_raw(width, height, samples).map(DynamicImage::from),
            ColorType::Rgba => RgbaImage::from_raw(width, height, samples).map(DynamicImage::from),
            ColorType::Indexed => None,
        };
        pixels.map(DynamicImage::into_rgba8).ok_or_else(damaged)
    }
}

impl Frames for Reader<'_> {
    fn next(&mut self) -> Result<Option<Frame>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let mut pixels = self.picture()?;
        if self.reader.info().frame_control().is_none() {
            pixels = self.picture()?;
        }
        let control = *self.reader.info().frame_control().ok_or_else(damaged)?;
        let after = match control.dispose_op {
            DisposeOp::None => After::Keep,
            // There is nothing yet that the first frame could give back.
            DisposeOp::Previous if self.is_first => After::Clear,
            DisposeOp::Background => After::Clear,
            DisposeOp::Previous => After::Restore,
        };
        self.is_first = false;
        let blend = match control.blend_op {
            BlendOp::Source => Blend::Replace,
            BlendOp::Over => Blend::Over,
        };
        Ok(Some(Frame {
            pixels: self
                .screen
                .draw(&pixels, (control.x_offset, control.y_offset), blend, after),
            delay: Delay {
                ticks: control.delay_num.into(),
                per_second: match control.delay_den {
                    0 => 100,
                    parts => parts.into(),
                },
            },
        }))
    }

    fn plays(&self) -> u32 {
        self.reader
            .info()
            .animation_control()
            .map_or(0, |control| control.num_plays)
    }

    fn space(&self) -> Result<Space, Error> {
        let icc = self.reader.info().icc_profile.as_deref().unwrap_or_default();
        space(self.file, icc, Channels::Rgb)
    }
}

pub(super) struct Writer {
    writer: png::Writer<Shared>,
    file: Shared,
    frames: u32,
}

impl Writer {
    pub fn start(plan: &Plan) -> Result<Self, Error> {
        let mut info = Info::with_size(plan.size.width, plan.size.height);
        (info.color_type, info.bit_depth) = (ColorType::Rgba, BitDepth::Eight);
        info.icc_profile = plan.profile.map(|profile: Profile| profile.file().into());
        let file = Shared::default();
        let mut encoder = png::Encoder::with_info(file.clone(), info).map_err(Error::internal)?;
        encoder.set_compression(png::Compression::Fast);
        encoder.set_animated(plan.frames, plan.plays).map_err(Error::internal)?;
        let writer = encoder.write_header().map_err(Error::internal)?;
        Ok(Self {
            writer,
            file,
            frames: 0,
        })
    }

    fn put(&mut self, change: &Change) -> Result<(), png::EncodingError> {
        let writer = &mut self.writer;
        if self.frames > 0 {
            let size = change.place.size;
            writer.reset_frame_position()?;
            writer.set_frame_dimension(size.width, size.height)?;
            writer.set_frame_position(change.place.x, change.place.y)?;
        }
        let (ticks, parts) = delay(change.delay);
        writer.set_frame_delay(ticks, parts)?;
        writer.set_blend_op(BlendOp::Source)?;
        writer.set_dispose_op(match change.is_cleared {
            true => DisposeOp::Background,
            false => DisposeOp::None,
        })?;
        self.frames += 1;
        writer.write_image_data(&change.picture())
    }
}

impl WriteFrames for Writer {
    fn write(&mut self, change: &Change) -> Result<(), Error> {
        self.put(change).map_err(Error::internal)
    }

    fn finish(self: Box<Self>) -> Result<Vec<u8>, Error> {
        let Self { writer, file, .. } = *self;
        writer.finish().map_err(Error::internal)?;
        let written = file.take();
        match prove(&written) {
            Some(()) => Ok(written),
            None => Err(Error::ProofFailed("image/png: more in the file than frames".into())),
        }
    }

    fn bytes(&self) -> usize {
        self.file.bytes()
    }
}

/// In 16 bits, exactly where it is possible.
fn delay(delay: Delay) -> (u16, u16) {
    match (u16::try_from(delay.ticks), u16::try_from(delay.per_second)) {
        (Ok(ticks), Ok(parts)) => (ticks, parts),
        _ => (
            delay.in_ticks(MILLISECONDS).min(u16::MAX.into()) as u16,
            MILLISECONDS as u16,
        ),
    }
}

/// Nothing but a header, our own profile, frames and the end chunk at the very end.
fn prove(written: &[u8]) -> Option<()> {
    let mut chunks = Chunks::of(written);
    let mut last = *b"none";
    for (kind, _) in chunks.by_ref() {
        matches!(
            &kind,
            b"IHDR" | b"iCCP" | b"acTL" | b"fcTL" | b"IDAT" | b"fdAT" | b"IEND"
        )
        .then_some(())?;
        last = kind;
    }
    (last == *b"IEND" && chunks.rest().is_empty()).then_some(())
}

fn damaged() -> Error {
    broken("its coded data is damaged, or breaks off")
}

const MILLISECONDS: u32 = 1000;
