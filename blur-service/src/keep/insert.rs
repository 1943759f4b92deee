//! Puts a packet of XMP into a written and proven file, none of whose bytes change but for the head that announces it.

use super::read::{JPEG_XMP, PNG_XMP};
use crate::codec::{PngChunks, WebPChunks};

/// Nothing if the file is of a format that is not known here, or if the packet is too long for it.
pub fn into(file: &[u8], packet: &[u8]) -> Option<Vec<u8>> {
    match file {
        [0xff, 0xd8, ..] => into_jpeg(file, packet),
        [0x89, b'P', b'N', b'G', ..] => into_png(file, packet),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => into_webp(file, packet),
        _ => None,
    }
}

/// Behind the JFIF head, which comes first.
fn into_jpeg(file: &[u8], packet: &[u8]) -> Option<Vec<u8>> {
    let body = [JPEG_XMP, packet].concat();
    let length = u16::try_from(body.len() + 2).ok()?;
    let segment = [&[0xff, 0xe1][..], &length.to_be_bytes(), &body].concat();
    let at = match file {
        [_, _, 0xff, 0xe0, high, low, ..] => 4 + usize::from(u16::from_be_bytes([*high, *low])),
        _ => 2,
    };
    spliced(file, at, &segment)
}

/// Before the picture data.
fn into_png(file: &[u8], packet: &[u8]) -> Option<Vec<u8>> {
    let at = picture_data(file)?;
    let typed = [&b"iTXt"[..], PNG_XMP, packet].concat();
    let length = u32::try_from(typed.len() - 4).ok()?;
    let chunk = [
        &length.to_be_bytes()[..],
        &typed,
        &crc32fast::hash(&typed).to_be_bytes(),
    ]
    .concat();
    spliced(file, at, &chunk)
}

/// Where the first chunk of picture data begins.
fn picture_data(file: &[u8]) -> Option<usize> {
    let mut chunks = PngChunks::of(file);
    loop {
        let at = file.len() - chunks.rest().len();
        if chunks.next()?.0 == *b"IDAT" {
            return Some(at);
        }
    }
}

/// At the end, announced in the extended head.
fn into_webp(file: &[u8], packet: &[u8]) -> Option<Vec<u8>> {
    let chunks = file.get(RIFF_HEAD..)?;
    let mut body = match WebPChunks::of(file).next()? {
        (kind, _) if kind == *b"VP8X" => chunks.to_vec(),
        (kind, data) if kind == *b"VP8L" => [extended_head(data)?, chunks.to_vec()].concat(),
        _ => return None,
    };
    *body.get_mut(CHUNK_HEAD)? |= HAS_XMP;
    body.extend(b"XMP ");
    body.extend(u32::try_from(packet.len()).ok()?.to_le_bytes());
    body.extend(packet);
    body.resize(body.len().next_multiple_of(2), 0);
    let length = u32::try_from(body.len() + 4).ok()?;
    Some([&b"RIFF"[..], &length.to_le_bytes(), b"WEBP", &body].concat())
}

/// By the head of the lossless data: a signature, then 14 bits of width and of height, less one, and whether there is alpha.
fn extended_head(lossless: &[u8]) -> Option<Vec<u8>> {
    let bits = u32::from_le_bytes(*lossless.get(1..)?.first_chunk()?);
    let (width, height) = (bits & 0x3fff, bits >> 14 & 0x3fff);
    let flags = if bits >> 28 & 1 == 1 { HAS_ALPHA } else { 0 };
    let mut head = b"VP8X\x0a\0\0\0".to_vec();
    head.extend([flags, 0, 0, 0]);
    head.extend(&width.to_le_bytes()[..3]);
    head.extend(&height.to_le_bytes()[..3]);
    Some(head)
}

fn spliced(file: &[u8], at: usize, new: &[u8]) -> Option<Vec<u8>> {
    let (before, behind) = file.split_at_checked(at)?;
    Some([before, new, behind].concat())
}

const RIFF_HEAD: usize = 12;
const CHUNK_HEAD: usize = 8;
const HAS_XMP: u8 = 0x04;
const HAS_ALPHA: u8 = 0x10;
