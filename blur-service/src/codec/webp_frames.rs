//! Animated WebP: read by the `image-webp` crate; written as coded stills in the container's frames (RFC 9649, 2.7.1.1).

use std::{borrow::Cow, io::Cursor};

use image::{DynamicImage, RgbImage, RgbaImage};
use image_webp::{DecodingError, LoopCount, WebPDecoder};

use super::{
    Header, Picture, Profile, Space, broken,
    frames::{Change, Delay, Frame, Frames, Plan, WriteFrames},
    vp8,
    webp::{self, Chunks, FRAME_HEAD, put_chunk},
};
use crate::{error::Error, geometry::Size, jpeg::Channels};

pub(super) struct Reader<'a> {
    file: &'a [u8],
    decoder: WebPDecoder<Cursor<Cow<'a, [u8]>>>,
    size: Size,
}

impl<'a> Reader<'a> {
    pub fn open(file: &'a [u8], header: &Header) -> Result<Self, Error> {
        let mut decoder = WebPDecoder::new(Cursor::new(with_alpha(file))).map_err(|_| damaged())?;
        decoder.set_memory_limit(usize::try_from(header.work_bytes).unwrap_or(usize::MAX));
        // Viewers take no notice of the colour that a file wants behind its frames.
        decoder.set_background_color([0; 4]).map_err(|_| damaged())?;
        let (width, height) = decoder.dimensions();
        Ok(Self {
            file,
            decoder,
            size: Size { width, height },
        })
    }
}

impl Frames for Reader<'_> {
    fn next(&mut self) -> Result<Option<Frame>, Error> {
        let Size { width, height } = self.size;
        let mut samples = vec![0; self.decoder.output_buffer_size().ok_or_else(damaged)?];
        let milliseconds = match self.decoder.read_frame(&mut samples) {
            Ok(milliseconds) => milliseconds,
            Err(DecodingError::NoMoreFrames) => return Ok(None),
            Err(_) => return Err(damaged()),
        };
        let pixels = match self.decoder.has_alpha() {
            true => RgbaImage::from_raw(width, height, samples),
            false => RgbImage::from_raw(width, height, samples).map(|pixels| DynamicImage::from(pixels).into_rgba8()),
        };
        Ok(Some(Frame {
            pixels: pixels.ok_or_else(damaged)?,
            delay: Delay {
                ticks: milliseconds,
                per_second: MILLISECONDS,
            },
        }))
    }

    fn plays(&self) -> u32 {
        match self.decoder.loop_count() {
            LoopCount::Forever => 0,
            LoopCount::Times(times) => u32::from(times.get()),
        }
    }

    fn space(&self) -> Result<Space, Error> {
        let icc = Chunks::of(self.file).find(|(kind, _)| kind == b"ICCP");
        Space::of(icc.map_or(&[], |(_, data)| data), Channels::Rgb)
    }
}

/// The file with the mark that its pictures have an alpha: what a frame leaves clear behind it shows no black, whether the
/// file has the mark or not.
fn with_alpha(file: &[u8]) -> Cow<'_, [u8]> {
    match file.get(FLAGS) {
        Some(flags) if flags & webp::ALPHA == 0 => {
            let mut marked = file.to_vec();
            marked[FLAGS] |= webp::ALPHA;
            Cow::Owned(marked)
        }
        _ => Cow::Borrowed(file),
    }
}

/// The quality of the first frame, if it is coded with loss.
pub(super) fn quality(file: &[u8]) -> Option<u8> {
    let (_, frame) = Chunks::of(file).find(|(kind, _)| kind == b"ANMF")?;
    let (_, data) = Chunks::within(frame.get(FRAME_HEAD..)?).find(|(kind, _)| kind == b"VP8 ")?;
    vp8::quality(data)
}

pub(super) struct Writer {
    file: Vec<u8>,
    quality: Option<u8>,
}

impl Writer {
    pub fn start(plan: &Plan, quality: Option<u8>) -> Result<Self, Error> {
        let mut file = b"RIFF\0\0\0\0WEBP".to_vec();
        let profile = plan.profile.map(Profile::file);
        let flags = webp::ANIMATION | webp::ALPHA | profile.map_or(0, |_| webp::PROFILE);
        put_chunk(
            &mut file,
            *b"VP8X",
            &[&[flags, 0, 0, 0], &webp::sides(plan.size)[..]].concat(),
        );
        if let Some(profile) = profile {
            put_chunk(&mut file, *b"ICCP", profile);
        }
        let plays = u16::try_from(plan.plays).unwrap_or(u16::MAX);
        put_chunk(&mut file, *b"ANIM", &[&[0; 4], &plays.to_le_bytes()[..]].concat());
        Ok(Self { file, quality })
    }
}

impl WriteFrames for Writer {
    fn write(&mut self, change: &Change) -> Result<(), Error> {
        let picture = Picture {
            pixels: change.picture().into(),
            profile: None,
        };
        let coded = webp::encode(&picture, self.quality)?;
        let side = |length: u32| [length as u8, (length >> 8) as u8, (length >> 16) as u8];
        let milliseconds = change.delay.in_ticks(MILLISECONDS).min(LONGEST) as u32;
        let flags = REPLACE | if change.is_cleared { CLEAR } else { 0 };
        let place = change.place;
        let mut frame = [
            &side(place.x / 2)[..],
            &side(place.y / 2),
            &webp::sides(place.size),
            &side(milliseconds),
            &[flags],
        ]
        .concat();
        for (kind, data) in Chunks::of(&coded).filter(|(kind, _)| kind != b"VP8X") {
            put_chunk(&mut frame, kind, data);
        }
        put_chunk(&mut self.file, *b"ANMF", &frame);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Vec<u8>, Error> {
        let written = webp::finish(self.file)?;
        match prove(&written) {
            Some(()) => Ok(written),
            None => Err(Error::ProofFailed("image/webp: more in the file than frames".into())),
        }
    }

    fn bytes(&self) -> usize {
        self.file.len()
    }
}

/// Nothing but the header, our own profile and frames, in which is nothing but picture data.
fn prove(written: &[u8]) -> Option<()> {
    let mut chunks = Chunks::of(written);
    for (kind, data) in chunks.by_ref() {
        match &kind {
            b"VP8X" | b"ANIM" => {}
            b"ICCP" => Profile::is_ours(data).then_some(())?,
            b"ANMF" => {
                let mut parts = Chunks::within(data.get(FRAME_HEAD..)?);
                let is_coded = |(kind, _): ([u8; 4], &[u8])| matches!(&kind, b"VP8 " | b"VP8L" | b"ALPH");
                (parts.by_ref().all(is_coded) && parts.rest().is_empty()).then_some(())?;
            }
            _ => return None,
        }
    }
    chunks.rest().is_empty().then_some(())
}

fn damaged() -> Error {
    broken("its coded data is damaged, or breaks off")
}

/// Where those of the extended header are, which comes first in every animation.
const FLAGS: usize = 20;
const MILLISECONDS: u32 = 1000;
/// In 24 bits.
const LONGEST: u64 = 0xff_ffff;
/// The frame takes the place of what was there.
const REPLACE: u8 = 0b10;
const CLEAR: u8 = 0b1;
