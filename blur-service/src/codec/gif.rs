//! GIF, by the `gif` crate: animations, and stills of one frame. An animation is written with palettes of its own, frame
//! by frame; a still has no room in its palette for hidden faces and is written in another format.

use std::{borrow::Cow, io::Cursor, num::NonZeroU64};

use gif::{ColorOutput, DecodeOptions, Decoder, DisposalMethod, Encoder, MemoryLimit, Repeat};
use image::RgbaImage;

use super::{
    Format, Header, Parts, Picture, Space, broken,
    frames::{After, Blend, Change, Delay, Frame, Frames, Plan, Screen, WriteFrames, work_bytes},
    without_alpha,
};
use crate::{error::Error, geometry::Size, jpeg::Leniency};

/// Walks the blocks and counts the frames. The screen is as large as the first frame at least, as viewers have it.
pub(super) fn read_header(file: &[u8]) -> Result<Header, Error> {
    let side = |at: usize| {
        file.get(at..at + 2)
            .map(|bytes| u32::from(u16::from_le_bytes([bytes[0], bytes[1]])))
    };
    let (Some(width), Some(height)) = (side(6), side(8)) else {
        return Err(broken("the file ends before its head does"));
    };
    let mut size = Size { width, height };
    let mut blocks = Blocks::of(file);
    let (mut count, mut has_colours) = (0u32, true);
    for block in blocks.by_ref() {
        if let Block::Frame { has_palette, reach } = block {
            if count == 0 {
                size = Size::new(width.max(reach.width), height.max(reach.height));
            }
            count += 1;
            has_colours &= has_palette || has_shared_palette(file);
        }
    }
    if blocks.is_cut {
        return Err(damaged());
    }
    let parts = match count {
        0 => return Err(broken("it has no frame")),
        1 => Parts::One,
        more => Parts::Frames(more),
    };
    let faults = [(!blocks.is_ended, Leniency::NoEnd), (!has_colours, Leniency::NoPalette)];
    Ok(Header {
        parts,
        leniencies: faults
            .iter()
            .filter(|(is_so, _)| *is_so)
            .map(|(_, fault)| *fault)
            .collect(),
        ..Header::new(Format::Gif, size, work_bytes(size, file))
    })
}

/// The only frame.
pub(super) fn decode(file: &[u8], header: &Header) -> Result<Picture, Error> {
    let frame = Reader::open(file, header)?
        .next()?
        .ok_or_else(|| broken("it has no frame"))?;
    Picture::new(without_alpha(frame.pixels), Space::Plain)
}

/// Nothing but frames, their times and how often they are shown, and no byte behind them.
pub(super) fn prove(written: &[u8]) -> Option<()> {
    let mut blocks = Blocks::of(written);
    for block in blocks.by_ref() {
        match block {
            Block::Frame { .. } | Block::Control | Block::Loops => {}
            Block::Comment | Block::Text | Block::Application(_) | Block::Other => return None,
        }
    }
    (blocks.is_ended && blocks.rest.is_empty()).then_some(())
}

pub(super) struct Reader<'a> {
    decoder: Decoder<Cursor<Cow<'a, [u8]>>>,
    /// The colours of frames that have none of their own.
    shared: Vec<u8>,
    screen: Screen,
    left: u32,
}

impl<'a> Reader<'a> {
    pub fn open(file: &'a [u8], header: &Header) -> Result<Self, Error> {
        let mut options = DecodeOptions::new();
        options.set_color_output(ColorOutput::Indexed);
        // As viewers do.
        options.allow_unknown_blocks(true);
        options.set_memory_limit(MemoryLimit::Bytes(
            NonZeroU64::new(header.work_bytes).unwrap_or(NonZeroU64::MIN),
        ));
        let decoder = options
            .read_info(Cursor::new(with_known_disposals(whole(file, header))))
            .map_err(|_| damaged())?;
        Ok(Self {
            shared: decoder.global_palette().unwrap_or_default().to_vec(),
            decoder,
            screen: Screen::new(header.size),
            left: match header.parts {
                Parts::Frames(count) => count,
                _ => 1,
            },
        })
    }
}

/// Some programs write a 4 where a 3 is meant, and viewers read it so: what was there before comes back.
fn with_known_disposals(mut file: Cow<[u8]>) -> Cow<[u8]> {
    let mut blocks = Blocks::of(&file);
    let mut controls = Vec::new();
    while let Some(block) = blocks.next() {
        let end = file.len() - blocks.rest().len();
        controls.extend(end.checked_sub(CONTROL_END).filter(|_| matches!(block, Block::Control)));
    }
    controls.retain(|at| file[*at - 1] == CONTROL_LENGTH && file[*at] >> 2 & 7 == 4);
    controls.into_iter().for_each(|at| file.to_mut()[at] -= 1 << 2);
    file
}

/// The file with what it lacks: its end, and colours, which are levels of grey then, as most viewers have it.
fn whole<'a>(file: &'a [u8], header: &Header) -> Cow<'a, [u8]> {
    let lacks = |fault| header.leniencies.contains(&fault);
    let end: &[u8] = if lacks(Leniency::NoEnd) { &[TRAILER] } else { &[] };
    match file.split_at_checked(HEAD) {
        Some((head, rest)) if lacks(Leniency::NoPalette) => {
            let mut head = head.to_vec();
            head[FLAGS] |= HAS_TABLE | 7;
            let palette = (0..=u8::MAX).flat_map(|level| [level; 3]).collect::<Vec<u8>>();
            Cow::Owned([&head, &palette, rest, end].concat())
        }
        _ if lacks(Leniency::NoEnd) => Cow::Owned([file, end].concat()),
        _ => Cow::Borrowed(file),
    }
}

/// Whether there are colours for frames that have none of their own.
fn has_shared_palette(file: &[u8]) -> bool {
    file.get(FLAGS).is_some_and(|flags| flags & HAS_TABLE != 0)
}

impl Frames for Reader<'_> {
    fn next(&mut self) -> Result<Option<Frame>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let frame = self.decoder.read_next_frame().map_err(|_| damaged())?;
        let frame = frame.ok_or_else(damaged)?;
        let pixels = coloured(frame, &self.shared).ok_or_else(damaged)?;
        let after = match frame.dispose {
            DisposalMethod::Any | DisposalMethod::Keep => After::Keep,
            DisposalMethod::Background => After::Clear,
            DisposalMethod::Previous => After::Restore,
        };
        let place = (frame.left.into(), frame.top.into());
        Ok(Some(Frame {
            delay: Delay {
                ticks: frame.delay.into(),
                per_second: TICKS,
            },
            pixels: self.screen.draw(&pixels, place, Blend::Over, after),
        }))
    }

    fn plays(&self) -> u32 {
        match self.decoder.repeat() {
            Repeat::Infinite => 0,
            Repeat::Finite(again) => u32::from(again) + 1,
        }
    }

    fn space(&self) -> Result<Space, Error> {
        Ok(Space::Plain)
    }
}

/// A level that its palette does not have is black, as viewers show it.
fn coloured(frame: &gif::Frame, shared: &[u8]) -> Option<RgbaImage> {
    let palette = frame.palette.as_deref().unwrap_or(shared);
    let mut colours = [[0, 0, 0, u8::MAX]; 256];
    for (colour, told) in colours.iter_mut().zip(palette.chunks_exact(3)) {
        colour[..3].copy_from_slice(told);
    }
    if let Some(clear) = frame.transparent {
        colours[usize::from(clear)] = [0; 4];
    }
    let pixels = frame.buffer.iter().flat_map(|level| colours[usize::from(*level)]);
    RgbaImage::from_raw(frame.width.into(), frame.height.into(), pixels.collect())
}

pub(super) struct Writer {
    encoder: Encoder<Vec<u8>>,
}

impl Writer {
    pub fn start(plan: &Plan) -> Result<Self, Error> {
        let (width, height) = plan.size.in_16_bits()?;
        let mut encoder = Encoder::new(Vec::new(), width, height, &[]).map_err(Error::internal)?;
        match plan.plays {
            0 => encoder.set_repeat(Repeat::Infinite).map_err(Error::internal)?,
            1 => {}
            more => {
                let again = u16::try_from(more - 1).unwrap_or(u16::MAX);
                encoder.set_repeat(Repeat::Finite(again)).map_err(Error::internal)?;
            }
        }
        Ok(Self { encoder })
    }
}

impl WriteFrames for Writer {
    /// What stays the same is left clear, so that there are enough colours for what does not.
    fn write(&mut self, change: &Change) -> Result<(), Error> {
        let drawn = |(before, after): (&image::Rgba<u8>, &image::Rgba<u8>)| match after == before || after[3] < HALF {
            true => [0; 4],
            false => [after[0], after[1], after[2], u8::MAX],
        };
        let mut pixels: Vec<u8> = change.pixels().flat_map(drawn).collect();
        let (width, height) = change.place.size.in_16_bits()?;
        let mut frame = gif::Frame::from_rgba_speed(width, height, &mut pixels, QUANTISER_SPEED);
        let side = |length: u32| u16::try_from(length).map_err(Error::internal);
        (frame.left, frame.top) = (side(change.place.x)?, side(change.place.y)?);
        frame.delay = change.delay.in_ticks(TICKS).min(u16::MAX.into()) as u16;
        frame.dispose = match change.is_cleared {
            true => DisposalMethod::Background,
            false => DisposalMethod::Keep,
        };
        self.encoder.write_frame(&frame).map_err(Error::internal)
    }

    fn finish(self: Box<Self>) -> Result<Vec<u8>, Error> {
        let written = self.encoder.into_inner().map_err(Error::internal)?;
        match prove(&written) {
            Some(()) => Ok(written),
            None => Err(Error::ProofFailed("image/gif: more in the file than frames".into())),
        }
    }

    fn bytes(&self) -> usize {
        self.encoder.get_ref().len()
    }
}

fn damaged() -> Error {
    broken("its coded data is damaged, or breaks off")
}

/// What stands in a GIF behind its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block<'a> {
    Frame {
        /// Whether it has colours of its own.
        has_palette: bool,
        /// From the upper left corner of the screen to its own lower right one.
        reach: Size,
    },
    /// The time and disposal of a frame.
    Control,
    /// How often an animation is shown.
    Loops,
    Comment,
    /// A text drawn by the viewer.
    Text,
    /// Of a program, by its name.
    Application(&'a [u8]),
    Other,
}

/// The blocks of a GIF. Ends at the trailer, or at the first one that is cut off.
pub struct Blocks<'a> {
    rest: &'a [u8],
    is_ended: bool,
    /// Whether the file ends inside a block.
    is_cut: bool,
}

impl<'a> Blocks<'a> {
    pub fn of(file: &'a [u8]) -> Self {
        let head = file.get(FLAGS).map_or(0, |flags| HEAD + table_length(*flags));
        Self {
            rest: file.get(head..).unwrap_or_default(),
            is_ended: false,
            is_cut: false,
        }
    }

    /// The bytes behind the last block so far.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn frame(&mut self) -> Option<Block<'a>> {
        let head = self.take(9)?;
        let side = |at: usize| u32::from(u16::from_le_bytes([head[at], head[at + 1]]));
        let reach = Size::new(side(0) + side(4), side(2) + side(6));
        // The table, and the length of the first code.
        self.take(table_length(head[8]) + 1)?;
        let has_palette = head[8] & HAS_TABLE != 0;
        self.take_chain().map(|_| Block::Frame { has_palette, reach })
    }

    fn extension(&mut self) -> Option<Block<'a>> {
        let label = self.take(1)?[0];
        let first = self.take_chain()?;
        Some(match label {
            0xf9 => Block::Control,
            0xfe => Block::Comment,
            0x01 => Block::Text,
            0xff if first == b"NETSCAPE2.0" || first == b"ANIMEXTS1.0" => Block::Loops,
            0xff => Block::Application(first),
            _ => Block::Other,
        })
    }

    /// A chain of stretches; the first of them.
    fn take_chain(&mut self) -> Option<&'a [u8]> {
        let mut first = None;
        loop {
            let length = usize::from(self.take(1)?[0]);
            let stretch = self.take(length)?;
            first.get_or_insert(stretch);
            if length == 0 {
                return first;
            }
        }
    }
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Block<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_ended || self.is_cut {
            return None;
        }
        let block = match self.take(1)?[0] {
            TRAILER => {
                self.is_ended = true;
                return None;
            }
            0x2c => self.frame(),
            0x21 => self.extension(),
            _ => return None,
        };
        self.is_cut = block.is_none();
        block
    }
}

/// Of colours, in bytes, from the flags before it.
fn table_length(flags: u8) -> usize {
    if flags & HAS_TABLE == 0 { 0 } else { 6 << (flags & 7) }
}

const HEAD: usize = 13;
/// Where the head tells of its colours, and the bit that says that there are any.
const FLAGS: usize = 10;
const HAS_TABLE: u8 = 0x80;
const TRAILER: u8 = 0x3b;
const CONTROL_LENGTH: u8 = 4;
/// Bytes from the flags of a control to its end.
const CONTROL_END: usize = 5;
/// Of a second.
const TICKS: u32 = 100;
/// A pixel is there or not.
const HALF: u8 = 128;
/// 1 is the most thorough, 30 the fastest.
const QUANTISER_SPEED: i32 = 10;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_fourth_disposal_is_the_third() {
        let controlled = |disposal: u8| {
            let mut file = made((4, 3), (0, 0));
            let frame = file.split_off(file.iter().position(|byte| *byte == 0x2c).unwrap());
            let control = [0x21, 0xf9, 4, disposal << 2, 1, 0, 0, 0];
            [&file[..], &control, &frame].concat()
        };
        for (disposal, meant) in [(1, 1), (3, 3), (4, 3), (5, 5)] {
            let read = with_known_disposals(controlled(disposal).into());
            assert_eq!(&*read, &controlled(meant)[..], "{disposal}");
        }
    }

    #[test]
    fn levels_without_a_colour_are_black_and_a_first_frame_enlarges_its_screen() {
        for (screen, place, shown) in [
            ((4, 3), (0, 0), (4, 3)),
            ((0, 0), (0, 0), (4, 3)),
            ((2, 2), (1, 0), (5, 3)),
            ((9, 9), (1, 2), (9, 9)),
        ] {
            let file = made(screen, place);
            let header = read_header(&file).unwrap();
            assert_eq!(header.size, Size::new(shown.0, shown.1));
            let pixels = decode(&file, &header).unwrap().pixels.to_rgba8();
            for level in 0..12 {
                let at = (u32::from(place.0) + level % 4, u32::from(place.1) + level / 4);
                let expected = if level < 8 { level as u8 * 30 } else { 0 };
                assert_eq!(pixels.get_pixel(at.0, at.1).0, [expected, expected, expected, 255]);
            }
        }
    }

    /// Of 4 × 3 pixels, the levels 0 to 11, of which eight have a colour.
    fn made(screen: (u16, u16), place: (u16, u16)) -> Vec<u8> {
        let palette = (0..8).flat_map(|level| [level * 30; 3]).collect::<Vec<u8>>();
        let levels: Vec<u8> = (0..12).collect();
        let coded = weezl::encode::Encoder::new(weezl::BitOrder::Lsb, 4)
            .encode(&levels)
            .unwrap();
        let sides = |numbers: [u16; 4]| numbers.map(u16::to_le_bytes).concat();
        let head = [&b"GIF89a"[..], &sides([screen.0, screen.1, 0, 0])[..4], &[0; 3]].concat();
        let frame = [
            &[0x2c],
            &sides([place.0, place.1, 4, 3])[..],
            &[HAS_TABLE | 2],
            &palette,
        ]
        .concat();
        [&head[..], &frame, &[4, coded.len() as u8], &coded, &[0, TRAILER]].concat()
    }
}
