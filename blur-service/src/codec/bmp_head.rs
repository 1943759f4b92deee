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

/// Whether a file begins with its own head.
pub fn is_whole(file: &[u8]) -> bool {
    file.starts_with(MARK)
}

/// Whether a file begins with the head of the picture itself, as on a clipboard.
pub fn is_without_file_head(file: &[u8]) -> bool {
    let file = [&[0; FILE_HEAD], &file[..file.len().min(WINDOWS_HEAD as usize)]].concat();
    let (planes, bits) = match number(&file, HEAD) {
        Some(OLD_HEAD) => (OLD_PLANES, OLD_BITS),
        Some(WINDOWS_HEAD | 52 | 56 | OS2_HEAD | 108 | 124) => (PLANES, BITS),
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
    let has_masks = head == WINDOWS_HEAD && file.get(COMPRESSION)? == MASKS;
    let masks = if has_masks { 12 } else { 0 };
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
    match number(&file, HEAD) {
        Some(OS2_HEAD) => without_rest_of_head(&file).map_or(file, Cow::Owned),
        Some(WINDOWS_HEAD..) if file.get(PLANES).is_some_and(|planes| planes != ONE_PLANE) => {
            file.to_mut()[PLANES].copy_from_slice(ONE_PLANE);
            file
        }
        _ => file,
    }
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
const OLD_HEAD: u32 = 12;
const WINDOWS_HEAD: u32 = 40;
const OS2_HEAD: u32 = 64;
const ONE_PLANE: &[u8] = &[1, 0];
/// Where pixels a metre are, across and down.
const DENSITY: Range<usize> = 38..46;
