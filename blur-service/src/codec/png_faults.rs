//! What may be wrong with a PNG that viewers show all the same: it has no end, or checksums are not those of their chunks. Coded
//! data count then; what is told beside them does not.

use std::{borrow::Cow, iter};

use super::png::{CHECKSUM, Chunks};
use crate::jpeg::Leniency;

pub(super) fn of(file: &[u8]) -> Vec<Leniency> {
    let end = (!has_end(file)).then_some(Leniency::NoEnd);
    let mut chunks = checked(file).filter(|chunk| chunk.is_coded() || chunk.is_beside());
    let wrong = chunks.any(|chunk| !chunk.is_right());
    end.into_iter()
        .chain(wrong.then_some(Leniency::WrongChecksum))
        .collect()
}

pub(super) fn has_end(file: &[u8]) -> bool {
    Chunks::of(file).any(|(kind, _)| kind == *b"IEND")
}

/// The chunks that viewers take notice of.
pub(super) fn heeded(file: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let heeded = checked(file).filter(|chunk| !chunk.is_beside() || chunk.is_right());
    heeded.map(|chunk| (chunk.kind, chunk.data))
}

/// The file with an end, and with the checksums of its coded data.
pub(super) fn mended(file: &[u8]) -> Cow<'_, [u8]> {
    let mut mended = with_end(file);
    for chunk in checked(file).filter(|chunk| chunk.is_coded() && !chunk.is_right()) {
        mended.to_mut()[chunk.end - CHECKSUM..chunk.end].copy_from_slice(&chunk.sum());
    }
    mended
}

fn with_end(file: &[u8]) -> Cow<'_, [u8]> {
    if has_end(file) {
        return Cow::Borrowed(file);
    }
    let mut chunks = Chunks::of(file);
    chunks.by_ref().for_each(drop);
    let whole = file.len() - chunks.rest().len();
    Cow::Owned([&file[..whole], END].concat())
}

struct Chunk<'a> {
    kind: [u8; 4],
    data: &'a [u8],
    told: &'a [u8],
    /// Where in the file.
    end: usize,
}

impl Chunk<'_> {
    fn is_coded(&self) -> bool {
        matches!(&self.kind, b"IDAT" | b"fdAT")
    }

    /// Whether there is a picture without it: so says the first letter of its kind, but for an animation's.
    fn is_beside(&self) -> bool {
        self.kind[0].is_ascii_lowercase() && !matches!(&self.kind, b"acTL" | b"fcTL" | b"fdAT")
    }

    fn sum(&self) -> [u8; CHECKSUM] {
        let mut sum = crc32fast::Hasher::new();
        sum.update(&self.kind);
        sum.update(self.data);
        sum.finalize().to_be_bytes()
    }

    fn is_right(&self) -> bool {
        self.told == self.sum()
    }
}

fn checked(file: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    let mut chunks = Chunks::of(file);
    iter::from_fn(move || {
        let (kind, data) = chunks.next()?;
        let end = file.len() - chunks.rest().len();
        let told = file.get(end.checked_sub(CHECKSUM)?..end)?;
        Some(Chunk { kind, data, told, end })
    })
}

/// The chunk that every PNG ends with.
const END: &[u8] = b"\0\0\0\0IEND\xae\x42\x60\x82";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use image::{DynamicImage, RgbImage, metadata::Orientation};

    use super::*;
    use crate::{
        codec::{Header, Parts, Picture, Space, png},
        jpeg::Channels,
    };

    #[test]
    fn a_wrong_checksum_of_coded_data_is_named_and_no_other_one_is_let_pass() {
        let pixels = DynamicImage::from(RgbImage::from_fn(9, 9, |x, y| image::Rgb([x as u8, y as u8, 7])));
        let picture = Picture { pixels, profile: None };
        let file = png::encode(&picture, None).unwrap();
        let spoilt = |kind: &[u8; 4]| {
            let mut chunks = Chunks::of(&file);
            chunks.by_ref().find(|(other, _)| other == kind);
            let sum = file.len() - chunks.rest().len() - 1;
            let mut file = file.clone();
            file[sum] ^= 1;
            file
        };
        let data = spoilt(b"IDAT");
        let header = Header::read(&data).unwrap();
        assert_eq!(header.leniencies, [Leniency::WrongChecksum]);
        assert!(png::decode(&data, &header).unwrap().pixels == picture.pixels);
        assert_eq!(mended(&data), file);
        assert_eq!((of(&file), mended(&file)), (Vec::new(), Cow::Borrowed(&file[..])));
        let head = spoilt(b"IHDR");
        assert!(png::decode(&head, &Header::read(&head).unwrap()).is_err());
    }

    #[test]
    fn what_is_told_beside_counts_only_with_its_checksum() {
        let picture = Picture {
            pixels: DynamicImage::new_luma8(3, 2),
            profile: None,
        };
        let file = png::encode(&picture, None).unwrap();
        let lying = exif_in_png(6);
        let turned = [&file[..33], &lying, &file[33..]].concat();
        let header = Header::read(&turned).unwrap();
        assert_eq!(
            (header.orientation, header.leniencies),
            (Orientation::Rotate90, Vec::new())
        );
        let mut spoilt = turned;
        spoilt[32 + lying.len()] ^= 1;
        let header = Header::read(&spoilt).unwrap();
        assert_eq!(
            (header.orientation, header.leniencies),
            (Orientation::NoTransforms, vec![Leniency::WrongChecksum])
        );
        let linear = png::chunk(b"gAMA", &100_000u32.to_be_bytes());
        for (wrong, is_plain) in [(0, false), (1, true)] {
            let mut chunk = linear.clone();
            chunk[15] ^= wrong;
            let file = [&file[..33], &chunk, &file[33..]].concat();
            let space = png::space(&file, &[], Channels::Grey).unwrap();
            assert_eq!(matches!(space, Space::Plain), is_plain);
        }
    }

    /// The chunk that tells an orientation.
    fn exif_in_png(orientation: u8) -> Vec<u8> {
        let entry = [
            b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0",
            &[orientation][..],
            &[0; 6],
        ]
        .concat();
        png::chunk(b"eXIf", &entry)
    }

    #[test]
    fn an_animation_of_numbers_that_cannot_be_is_the_still_that_viewers_show() {
        let still = Picture {
            pixels: DynamicImage::new_luma8(3, 2),
            profile: None,
        };
        let file = png::encode(&still, None).unwrap();
        let (head, rest) = file.split_at(33);
        let (data, end) = rest.split_at(rest.len() - END.len());
        let frame = [png::chunk(b"fcTL", &[0; 26]), png::chunk(b"fdAT", &[0; 9])].concat();
        for (frames, plays, parts) in [
            (0, 0, Parts::One),
            (1 << 31, 0, Parts::One),
            (1, 1 << 31, Parts::One),
            (1, 1, Parts::Frames(1)),
        ] {
            let numbers = [frames, plays].map(u32::to_be_bytes).concat();
            let file = [head, &png::chunk(b"acTL", &numbers), data, &frame, end].concat();
            let header = Header::read(&file).unwrap();
            assert_eq!(header.parts, parts, "{frames} {plays}");
            if parts == Parts::One {
                assert_eq!(header.leniencies, [Leniency::WrongFrameCount]);
                assert!(png::decode(&file, &header).unwrap().pixels == still.pixels);
            }
        }
    }

    #[test]
    fn a_file_without_an_end_gets_one() {
        let picture = Picture {
            pixels: DynamicImage::new_luma8(3, 2),
            profile: None,
        };
        let file = png::encode(&picture, None).unwrap();
        for length in file.len() - END.len()..file.len() {
            let cut = &file[..length];
            assert_eq!(
                (of(cut), mended(cut).into_owned()),
                (vec![Leniency::NoEnd], file.clone())
            );
        }
    }
}
