//! The samples of a page in memory, pixel by pixel.

use super::layout::{Layout, Meaning};
use crate::{codec::header::broken, error::Error, geometry::Size};

/// Samples of 8 bits, or of 16 where the file has more than 8; levels go up to the highest number.
pub enum Store {
    Bytes(Vec<u8>),
    Words(Vec<u16>),
}

pub struct Samples {
    pub store: Store,
    size: Size,
    /// Of a pixel.
    pub count: usize,
}

/// Samples of 8 bits that a JPEG or subsampled colours were unfolded to.
pub struct Painted {
    pub size: Size,
    pub count: usize,
    pub bytes: Vec<u8>,
}

impl Samples {
    pub fn new(layout: &Layout, count: usize) -> Result<Self, Error> {
        let length = usize::try_from(layout.size.pixels()).map_err(Error::internal)? * count;
        Ok(Self {
            store: match layout.bits {
                ..=8 => Store::Bytes(vec![0; length]),
                _ => Store::Words(vec![0; length]),
            },
            size: layout.size,
            count,
        })
    }

    /// Puts a row, of which each pixel has `across` samples, at a place; of planes, into the sample `plane`.
    pub fn put_row(&mut self, row: &[u32], across: usize, place: (u32, u32), plane: usize, layout: &Layout) {
        let start = self.index(place);
        let kept = if layout.is_planar { 1 } else { self.count };
        let (bits, count) = (layout.bits, self.count);
        let is_place = layout.meaning == Meaning::Palette;
        let pixels = row.chunks_exact(across);
        match &mut self.store {
            Store::Bytes(store) => {
                let level = |sample: &u32| match is_place {
                    true => (sample & low(bits)) as u8,
                    false => ((sample & low(bits)) * u32::from(u8::MAX) / low(bits)) as u8,
                };
                for (pixel, to) in pixels.zip(store[start..].chunks_exact_mut(count)) {
                    let to = to[plane..].iter_mut().take(kept);
                    to.zip(pixel).for_each(|(to, sample)| *to = level(sample));
                }
            }
            Store::Words(store) => {
                let level = |sample: &u32| match bits {
                    16.. => (sample >> (bits - 16)) as u16,
                    _ => ((sample & low(bits)) * u32::from(u16::MAX) / low(bits)) as u16,
                };
                for (pixel, to) in pixels.zip(store[start..].chunks_exact_mut(count)) {
                    let to = to[plane..].iter_mut().take(kept);
                    to.zip(pixel).for_each(|(to, sample)| *to = level(sample));
                }
            }
        }
    }

    /// Puts what was unfolded at a place, as far as it lies in the picture.
    ///
    /// # Errors
    /// [`Error::BrokenPicture`] if it has another number of samples.
    pub fn put_painted(&mut self, painted: &Painted, (left, top): (u32, u32), plane: usize) -> Result<(), Error> {
        let (size, count) = (self.size, self.count);
        let first = if painted.count == 1 { plane } else { 0 };
        let width = painted.size.width.min(size.width - left) as usize;
        if first + painted.count > count {
            return Err(broken("a JPEG inside it has more colours than it"));
        }
        let rows = painted.bytes.chunks_exact(painted.size.width as usize * painted.count);
        for (row, y) in rows.zip(top..size.height) {
            let start = self.index((left, y));
            let Store::Bytes(store) = &mut self.store else {
                return Err(broken("a JPEG inside it has 8 bits a sample, and it says more"));
            };
            let to = store[start..].chunks_exact_mut(count).take(width);
            for (to, pixel) in to.zip(row.chunks_exact(painted.count)) {
                to[first..first + painted.count].copy_from_slice(pixel);
            }
        }
        Ok(())
    }

    fn index(&self, (x, y): (u32, u32)) -> usize {
        (y as usize * self.size.width as usize + x as usize) * self.count
    }
}

/// Takes samples of 1 to 32 bits apart: whole bytes in the file's order, all others the highest bit first.
pub fn unpack(packed: &[u8], bits: u8, is_big_endian: bool, samples: &mut [u32]) {
    let fold = |sum: u32, byte: &u8| sum << 8 | u32::from(*byte);
    match bits {
        8 => packed
            .iter()
            .zip(samples)
            .for_each(|(byte, sample)| *sample = u32::from(*byte)),
        16 | 24 | 32 => {
            for (bytes, sample) in packed.chunks_exact(usize::from(bits) / 8).zip(samples) {
                *sample = match is_big_endian {
                    true => bytes.iter().fold(0, fold),
                    false => bytes.iter().rev().fold(0, fold),
                };
            }
        }
        _ => {
            let (mut held, mut count) = (0u64, 0);
            let mut packed = packed.iter();
            for sample in samples {
                while count < bits {
                    held = held << 8 | u64::from(packed.next().copied().unwrap_or(0));
                    count += 8;
                }
                count -= bits;
                *sample = (held >> count) as u32 & low(bits);
            }
        }
    }
}

fn low(bits: u8) -> u32 {
    u32::MAX >> (32 - bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_any_size_are_taken_apart() {
        let mut samples = [0; 2];
        unpack(&[0xab, 0xcd, 0xef], 12, false, &mut samples);
        assert_eq!(samples, [0xabc, 0xdef]);
        unpack(&[1, 2, 3, 4], 16, false, &mut samples);
        assert_eq!(samples, [0x201, 0x403]);
        unpack(&[1, 2, 3, 4], 16, true, &mut samples);
        assert_eq!(samples, [0x102, 0x304]);
        unpack(&[0b1001_0000], 2, true, &mut samples);
        assert_eq!(samples, [2, 1]);
    }
}
