//! Animated WebP: its frames, which the `image-webp` crate reads as stills of their own, drawn one upon another here, since
//! that crate leaves a part of a frame without alpha behind where it is to be cleared; written as coded stills in the
//! container's frames (RFC 9649, 2.7.1.1).

use std::io::Cursor;

use image::{DynamicImage, RgbImage, RgbaImage};
use image_webp::WebPDecoder;

use super::{
    Header, Picture, Profile, Space, broken,
    frames::{After, Blend, Change, Delay, Frame, Frames, Plan, Screen, WriteFrames},
    vp8,
    webp::{self, Chunks, FRAME_HEAD, put_chunk},
};
use crate::{error::Error, geometry::Size};

pub(super) struct Reader<'a> {
    file: &'a [u8],
    chunks: Chunks<'a>,
    screen: Screen,
    size: Size,
    most_bytes: usize,
}

impl<'a> Reader<'a> {
    pub fn open(file: &'a [u8], header: &Header) -> Self {
        Self {
            file,
            chunks: Chunks::of(file),
            screen: Screen::new(header.size),
            size: header.size,
            most_bytes: usize::try_from(header.work_bytes).unwrap_or(usize::MAX),
        }
    }

    /// Draws it on the screen. Viewers take no notice of the colour that a file wants behind its frames.
    fn draw(&mut self, frame: &[u8]) -> Option<Frame> {
        let (head, coded) = frame.split_first_chunk::<FRAME_HEAD>()?;
        let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], 0]);
        let (x, y) = (2 * number(0), 2 * number(3));
        let size = webp::size_of(head[6..].first_chunk()?);
        if x + size.width > self.size.width || y + size.height > self.size.height {
            return None;
        }
        let blend = if head[FLAGS] & REPLACE == 0 {
            Blend::Over
        } else {
            Blend::Replace
        };
        let after = if head[FLAGS] & CLEAR == 0 {
            After::Keep
        } else {
            After::Clear
        };
        let pixels = decode(&still(coded, size)?, size, self.most_bytes)?;
        Some(Frame {
            pixels: self.screen.draw(&pixels, (x, y), blend, after),
            delay: Delay {
                ticks: number(12),
                per_second: MILLISECONDS,
            },
        })
    }
}

impl Frames for Reader<'_> {
    fn next(&mut self) -> Result<Option<Frame>, Error> {
        match self.chunks.find(|(kind, _)| kind == b"ANMF") {
            Some((_, frame)) => self.draw(frame).map(Some).ok_or_else(damaged),
            // A chunk that the file ends in is none of those.
            None if self.chunks.rest().starts_with(b"ANMF") => Err(damaged()),
            None => Ok(None),
        }
    }

    fn plays(&self) -> u32 {
        let animation = Chunks::of(self.file).find(|(kind, _)| kind == b"ANIM");
        let plays = animation.and_then(|(_, data)| data.get(4..6)?.first_chunk().copied());
        plays.map_or(0, u16::from_le_bytes).into()
    }

    /// Of animations Chromium takes no profile.
    fn space(&self) -> Result<Space, Error> {
        Ok(Space::Plain)
    }
}

/// A frame's coded picture as a file of its own.
fn still(coded: &[u8], size: Size) -> Option<Vec<u8>> {
    let parts = || Chunks::within(coded).filter(|(kind, _)| matches!(kind, b"ALPH" | b"VP8 " | b"VP8L"));
    let mut file = b"RIFF\0\0\0\0WEBP".to_vec();
    if parts().any(|(kind, _)| kind == *b"ALPH") {
        let head = [&[webp::ALPHA, 0, 0, 0], &webp::sides(size)[..]].concat();
        put_chunk(&mut file, *b"VP8X", &head);
    }
    for (kind, data) in parts() {
        put_chunk(&mut file, kind, data);
    }
    webp::finish(file).ok()
}

fn decode(still: &[u8], size: Size, most_bytes: usize) -> Option<RgbaImage> {
    let mut decoder = WebPDecoder::new(Cursor::new(still)).ok()?;
    decoder.set_memory_limit(most_bytes);
    if decoder.dimensions() != (size.width, size.height) {
        return None;
    }
    let mut samples = vec![0; decoder.output_buffer_size()?];
    decoder.read_image(&mut samples).ok()?;
    match decoder.has_alpha() {
        true => RgbaImage::from_raw(size.width, size.height, samples),
        false => {
            RgbImage::from_raw(size.width, size.height, samples).map(|pixels| DynamicImage::from(pixels).into_rgba8())
        }
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

/// Where they are in the head of a frame.
const FLAGS: usize = 15;
const MILLISECONDS: u32 = 1000;
/// In 24 bits.
const LONGEST: u64 = 0xff_ffff;
/// The frame takes the place of what was there.
const REPLACE: u8 = 0b10;
const CLEAR: u8 = 0b1;
