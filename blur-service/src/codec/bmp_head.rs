//! The heads of a BMP: its own and that of the picture, as various programs write them.

use std::{borrow::Cow, ops::Range};

use super::bmp_runs::Runs;
use crate::geometry::Size;

/// What the file tells of pixels a metre, across and down.
pub fn density(usual: &[u8]) -> Option<&[u8]> {
    usual.get(DENSITY)
}

/// The head and the palette of a picture in runs, as if they were none; nothing for another picture.
pub fn without_runs(usual: &[u8]) -> Option<Vec<u8>> {
    let mut head = usual[..usual.len().min(MOST_HEAD)].to_vec();
    is_of_runs(usual).then(|| head[COMPRESSION].fill(0)).map(|()| head)
}

fn is_of_runs(file: &[u8]) -> bool {
    matches!(
        (number(file, HEAD), file.get(BITS), file.get(COMPRESSION)),
        (Some(WINDOWS_HEAD..), Some([8, 0]), Some([1, 0, 0, 0]))
            | (Some(WINDOWS_HEAD..), Some([4, 0]), Some([2, 0, 0, 0]))
    )
}

/// Where the pixels are, if they are in runs.
pub fn runs(file: &[u8], size: Size) -> Option<Runs<'_>> {
    let start = is_of_runs(file).then(|| number(file, START))??;
    Some(Runs {
        data: file.get(start as usize..)?,
        size,
        is_halved: file[BITS] == [4, 0],
        is_upside_down: (number(file, HEIGHT)? as i32) < 0,
    })
}

/// The colour profile inside a file.
pub fn profile(usual: &[u8]) -> Option<&[u8]> {
    let is_there = number(usual, HEAD)? == LATEST_HEAD && usual.get(COLOUR_SPACE)? == EMBEDDED;
    let (start, length) = (number(usual, PROFILE_START)?, number(usual, PROFILE_LENGTH)?);
    let from_head = is_there.then(|| usual.get(FILE_HEAD..))??;
    from_head.get(start as usize..)?.get(..length as usize)
}

pub fn has_profile(file: &[u8]) -> bool {
    profile(&usual(file)).is_some()
}

/// Whether a file begins with its own head.
pub fn is_whole(file: &[u8]) -> bool {
    file.starts_with(MARK)
}

/// Whether a file begins with the head of the picture itself, as on a clipboard.
pub fn is_without_file_head(file: &[u8]) -> bool {
    let file = [&[0; FILE_HEAD], &file[..file.len().min(WINDOWS_HEAD as usize)]].concat();
    let (planes, bits) = match number(&file, HEAD) {
        Some(OLD_HEAD) => (OLD_PLANES, OLD_BITS),
        Some(WINDOWS_HEAD | 52 | HEAD_WITH_MASKS | OS2_HEAD | 108 | LATEST_HEAD) => (PLANES, BITS),
        _ => return false,
    };
    file.get(planes) == Some(ONE_PLANE) && matches!(file.get(bits), Some([1 | 2 | 4 | 8 | 16 | 24 | 32, 0]))
}

fn with_file_head(file: &[u8]) -> Option<Vec<u8>> {
    let file = [&[0; FILE_HEAD], file].concat();
    let head = number(&file, HEAD)?;
    let (bits, colour_bytes) = if head == OLD_HEAD { (OLD_BITS, 3) } else { (BITS, 4) };
    let told = if head == OLD_HEAD { 0 } else { number(&file, COLOURS)? };
    let colours = match (told, file.get(bits)?) {
        (0, [bits @ ..=8, _]) => 1 << bits,
        (told, _) => told,
    };
    let masks = match file.get(COMPRESSION)? {
        MASKS if head == WINDOWS_HEAD => 12,
        MASKS_WITH_ALPHA if head == WINDOWS_HEAD => 16,
        _ => 0,
    };
    let start = (head + masks + FILE_HEAD as u32).checked_add(colours.checked_mul(colour_bytes)?)?;
    let mut file = file;
    file[..MARK.len()].copy_from_slice(MARK);
    file[START].copy_from_slice(&start.to_le_bytes());
    Some(file)
}

fn number(file: &[u8], at: Range<usize>) -> Option<u32> {
    Some(u32::from_le_bytes(*file.get(at)?.first_chunk()?))
}

/// The file as Windows would have written it: with a file's head; OS/2 has a longer one of the picture, whose beginning is
/// the same, and some programs write any number of planes, which means nothing.
pub fn usual(file: &[u8]) -> Cow<'_, [u8]> {
    match is_whole(file) {
        true => with_usual_head(Cow::Borrowed(file)),
        false => with_usual_head(with_file_head(file).map_or(Cow::Borrowed(file), Cow::Owned)),
    }
}

fn with_usual_head(mut file: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    let head = match number(&file, HEAD) {
        Some(OS2_HEAD) => return without_rest_of_head(&file).map_or(file, Cow::Owned),
        Some(head @ WINDOWS_HEAD..) => head,
        _ => return file,
    };
    if file.get(PLANES).is_some_and(|planes| planes != ONE_PLANE) {
        file.to_mut()[PLANES].copy_from_slice(ONE_PLANE);
    }
    if file.get(COMPRESSION) == Some(MASKS_WITH_ALPHA) {
        let file = file.to_mut();
        file[COMPRESSION].copy_from_slice(MASKS);
        // Four masks behind the head are the rest of a longer one.
        let longer = if head == WINDOWS_HEAD { HEAD_WITH_MASKS } else { head };
        file[HEAD].copy_from_slice(&longer.to_le_bytes());
    }
    file
}

fn without_rest_of_head(file: &[u8]) -> Option<Vec<u8>> {
    let compression = file.get(COMPRESSION)?;
    // From three on the numbers mean something else than in Windows.
    if compression.iter().any(|byte| *byte > 2) {
        return None;
    }
    let start = number(file, START)?.checked_sub(OS2_HEAD - WINDOWS_HEAD)?.to_le_bytes();
    let behind = file.get(HEAD.start + OS2_HEAD as usize..)?;
    let kept = file.get(HEAD.end..HEAD.start + WINDOWS_HEAD as usize)?;
    let head = [&file[..START.start], &start, &WINDOWS_HEAD.to_le_bytes(), kept];
    let mut file = [head.concat(), behind.to_vec()].concat();
    file.get_mut(PLANES)?.copy_from_slice(ONE_PLANE);
    Some(file)
}

const MARK: &[u8] = b"BM";
/// Bytes before the head of the picture itself.
const FILE_HEAD: usize = 14;
/// Where pixels begin, how long the head is, and what it tells: how high, how many planes, bits of a pixel, which compression
/// and how many colours.
const START: Range<usize> = 10..14;
const HEAD: Range<usize> = 14..18;
const HEIGHT: Range<usize> = 22..26;
const PLANES: Range<usize> = 26..28;
const BITS: Range<usize> = 28..30;
const COMPRESSION: Range<usize> = 30..34;
const COLOURS: Range<usize> = 46..50;
/// The same in the oldest head, whose sides have two bytes.
const OLD_PLANES: Range<usize> = 22..24;
const OLD_BITS: Range<usize> = 24..26;
/// Of all heads, and of the colours behind them.
const MOST_HEAD: usize = 14 + 124 + 256 * 4;
/// Of colours that are told by bits, behind the head.
const MASKS: &[u8] = &[3, 0, 0, 0];
const MASKS_WITH_ALPHA: &[u8] = &[6, 0, 0, 0];
const OLD_HEAD: u32 = 12;
const WINDOWS_HEAD: u32 = 40;
const OS2_HEAD: u32 = 64;
const HEAD_WITH_MASKS: u32 = 56;
const LATEST_HEAD: u32 = 124;
/// In the latest head: what the colours are, and where the profile is, from the head on.
const COLOUR_SPACE: Range<usize> = 70..74;
const EMBEDDED: &[u8] = b"DEBM";
const PROFILE_START: Range<usize> = 126..130;
const PROFILE_LENGTH: Range<usize> = 130..134;
const ONE_PLANE: &[u8] = &[1, 0];
/// Where pixels a metre are, across and down.
const DENSITY: Range<usize> = 38..46;
