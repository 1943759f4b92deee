//! The strips or tiles of a page, taken out of their compression and put where they belong.

use std::{borrow::Cow, io::Read};

use flate2::read::{DeflateDecoder, ZlibDecoder};
use weezl::{BitOrder, LzwStatus, decode::Decoder};

use super::{
    directory::{Directory, File},
    fax, jpeg,
    layout::{Compression, Layout, Meaning, Predictor},
    samples::{Samples, unpack},
    ycbcr,
};
use crate::{codec::header::broken, error::Error, geometry::Size};

/// All samples of a page that are kept.
pub fn read(file: &File, page: &Directory, layout: &Layout, most_bytes: u64) -> Result<Samples, Error> {
    let chunk_bytes = layout.row_bytes().saturating_mul(layout.chunk.height.into());
    let kept = match layout.meaning {
        // Painted as they come.
        Meaning::Inks if layout.is_painted() => 3,
        _ => layout.kept(),
    };
    let whole = layout.size.pixels().saturating_mul(kept as u64 * 2);
    if chunk_bytes.saturating_add(whole) > most_bytes.saturating_add(CHUNK_SLACK) {
        return Err(broken("its strips or tiles are much larger than its picture"));
    }
    let reader = Reader { file, page, layout };
    let mut samples = Samples::new(layout, kept)?;
    let columns = layout.size.width.div_ceil(layout.chunk.width);
    let rows = layout.size.height.div_ceil(layout.chunk.height);
    let planes = if layout.is_planar { kept } else { 1 };
    let mut index = 0;
    for plane in 0..planes {
        for row in 0..rows {
            for column in 0..columns {
                let place = Place {
                    left: column * layout.chunk.width,
                    top: row * layout.chunk.height,
                    plane,
                };
                reader.chunk(index, &place, &mut samples)?;
                index += 1;
            }
        }
    }
    Ok(samples)
}

/// Where a strip or tile lies, and of which sample it is where each has a plane of its own.
struct Place {
    left: u32,
    top: u32,
    plane: usize,
}

struct Reader<'a> {
    file: &'a File<'a>,
    page: &'a Directory<'a>,
    layout: &'a Layout,
}

impl Reader<'_> {
    fn chunk(&self, index: usize, place: &Place, samples: &mut Samples) -> Result<(), Error> {
        let layout = self.layout;
        let left = layout.size.height - place.top;
        // The last strip is as high as what is left; tiles are whole.
        let height = if layout.is_tiled {
            layout.chunk.height
        } else {
            layout.chunk.height.min(left)
        };
        let size = Size { height, ..layout.chunk };
        let coded = self.coded(index, size)?;
        if layout.compression == Compression::Jpeg {
            let tables = self.page.bytes(JPEG_TABLES).unwrap_or_default();
            let painted = jpeg::decode(&coded, tables, size, layout)?;
            return samples.put_painted(&painted, (place.left, place.top), place.plane);
        }
        if let Meaning::YCbCr { unit } = layout.meaning
            && unit != (1, 1)
        {
            let bytes = self.plain(&coded, ycbcr::bytes(size, unit))?;
            let painted = ycbcr::unfold(&bytes, size, unit);
            return samples.put_painted(&painted, (place.left, place.top), place.plane);
        }
        let row_bytes = usize::try_from(layout.row_bytes()).map_err(Error::internal)?;
        let bytes = self.plain(&coded, row_bytes * height as usize)?;
        let width = layout.chunk.width.min(layout.size.width - place.left) as usize;
        let across = layout.side_by_side();
        let mut row = vec![0; layout.chunk.width as usize * across];
        for (packed, y) in bytes.chunks_exact(row_bytes.max(1)).zip(place.top..layout.size.height) {
            unpack(packed, layout.bits, self.file.is_big_endian(), &mut row);
            if layout.predictor == Predictor::Horizontal {
                sum_up(&mut row, across);
            }
            samples.put_row(&row[..width * across], across, (place.left, y), place.plane, layout);
        }
        Ok(())
    }

    /// The bytes of a strip or tile as they are in the file.
    fn coded(&self, index: usize, size: Size) -> Result<Cow<'_, [u8]>, Error> {
        let values = |one, other| self.page.values(one).or_else(|| self.page.values(other));
        let starts = values(STRIP_STARTS, TILE_STARTS).ok_or_else(missing)?;
        let start = starts.whole(index).ok_or_else(missing)?;
        let rest = usize::try_from(start)
            .ok()
            .and_then(|start| self.file.data().get(start..));
        let rest = rest.ok_or_else(breaks_off)?;
        let length = values(STRIP_LENGTHS, TILE_LENGTHS).and_then(|lengths| lengths.whole(index));
        let length = match (self.layout.compression, length) {
            // What is not compressed has one length, whatever is said.
            (Compression::None, _) => self.plain_length(size).ok_or_else(breaks_off)?,
            (_, Some(length)) => usize::try_from(length).unwrap_or(usize::MAX),
            (_, None) => rest.len(),
        };
        let coded = &rest[..length.min(rest.len())];
        let is_reversed = self.layout.is_reversed && self.layout.compression != Compression::Jpeg;
        Ok(match is_reversed {
            true => Cow::Owned(coded.iter().map(|byte| byte.reverse_bits()).collect()),
            false => Cow::Borrowed(coded),
        })
    }

    fn plain_length(&self, size: Size) -> Option<usize> {
        match self.layout.meaning {
            Meaning::YCbCr { unit } if unit != (1, 1) => Some(ycbcr::bytes(size, unit)),
            _ => usize::try_from(self.layout.row_bytes())
                .ok()?
                .checked_mul(size.height as usize),
        }
    }

    /// A strip or tile of so many bytes, out of its compression.
    fn plain<'c>(&self, coded: &'c [u8], length: usize) -> Result<Cow<'c, [u8]>, Error> {
        let bytes = match self.layout.compression {
            Compression::None => return coded.get(..length).map(Cow::Borrowed).ok_or_else(breaks_off),
            Compression::Lzw => unpack_lzw(coded, length),
            Compression::Deflate => inflate(coded, length),
            Compression::PackBits => unpack_runs(coded, length),
            Compression::Fax(scheme) if self.layout.bits == 1 && self.layout.side_by_side() == 1 => {
                let height = length / usize::try_from(self.layout.row_bytes()).unwrap_or(usize::MAX).max(1);
                fax::decode(coded, self.layout.chunk.width, height as u32, scheme)
            }
            Compression::Fax(_) => return Err(broken("a fax code has one bit a pixel, and this picture has more")),
            Compression::Jpeg => return Err(Error::internal("a JPEG is no row of samples")),
        };
        bytes.map(Cow::Owned).ok_or_else(breaks_off)
    }
}

/// Each sample is told by how much it differs from the one before it.
fn sum_up(row: &mut [u32], across: usize) {
    for index in across..row.len() {
        row[index] = row[index].wrapping_add(row[index - across]);
    }
}

fn unpack_lzw(coded: &[u8], length: usize) -> Option<Vec<u8>> {
    // Files of before TIFF 6.0 begin with a code whose low bits come first.
    let mut decoder = match coded {
        [0, second, ..] if second & 1 == 1 => Decoder::new(BitOrder::Lsb, 8),
        _ => Decoder::with_tiff_size_switch(BitOrder::Msb, 8),
    };
    let mut bytes = vec![0; length];
    let (mut from, mut to) = (0, 0);
    while to < length {
        let step = decoder.decode_bytes(&coded[from..], &mut bytes[to..]);
        from += step.consumed_in;
        to += step.consumed_out;
        match step.status {
            Ok(LzwStatus::Ok) if step.consumed_in + step.consumed_out > 0 => {}
            _ => break,
        }
    }
    (to == length).then_some(bytes)
}

fn inflate(coded: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    if ZlibDecoder::new(coded).read_exact(&mut bytes).is_ok() {
        return Some(bytes);
    }
    // Some programs leave the two bytes before it out.
    DeflateDecoder::new(coded)
        .read_exact(&mut bytes)
        .is_ok()
        .then_some(bytes)
}

/// Runs of equal bytes, and stretches of others (TIFF 6.0, section 9).
fn unpack_runs(mut coded: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        let (head, rest) = coded.split_first()?;
        let count = usize::from(*head);
        coded = match count {
            0..128 => {
                let (stretch, rest) = rest.split_at_checked(count + 1)?;
                bytes.extend(stretch);
                rest
            }
            128 => rest,
            _ => {
                let (byte, rest) = rest.split_first()?;
                bytes.resize(bytes.len() + 257 - count, *byte);
                rest
            }
        };
    }
    bytes.truncate(length);
    Some(bytes)
}

fn missing() -> Error {
    broken("it does not say where its strips or tiles are")
}

fn breaks_off() -> Error {
    broken("the file ends before its picture does, or its coded data is damaged")
}

const STRIP_STARTS: u16 = 273;
const STRIP_LENGTHS: u16 = 279;
const TILE_STARTS: u16 = 324;
const TILE_LENGTHS: u16 = 325;
const JPEG_TABLES: u16 = 347;
/// A tile may be larger than a small picture.
const CHUNK_SLACK: u64 = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_stretches_are_unpacked_and_what_breaks_off_is_not() {
        assert_eq!(unpack_runs(&[1, 7, 8, 254, 9], 5), Some(vec![7, 8, 9, 9, 9]));
        assert_eq!(unpack_runs(&[1, 7, 8, 254, 9], 6), None);
        assert_eq!(unpack_runs(&[128, 0, 3], 1), Some(vec![3]));
    }

    #[test]
    fn both_kinds_of_lzw_are_unpacked() {
        for (order, is_new) in [(BitOrder::Msb, true), (BitOrder::Lsb, false)] {
            let content: Vec<u8> = (0..4000u32).map(|index| ((index * index) >> 3) as u8).collect();
            let mut encoder = match is_new {
                true => weezl::encode::Encoder::with_tiff_size_switch(order, 8),
                false => weezl::encode::Encoder::new(order, 8),
            };
            let coded = encoder.encode(&content);
            assert_eq!(coded.ok().and_then(|coded| unpack_lzw(&coded, 4000)), Some(content));
        }
    }
}
