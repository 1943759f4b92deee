//! What a file holds beside its picture, by kind and count and never by content: what the answer leaves behind.

mod exif;
mod gif;
mod heif;
mod jpeg;
mod png;
mod tiff;
mod webp;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::codec::{Format, bmp_has_profile};

/// How many of each kind there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Inventory(BTreeMap<Kind, u32>);

/// What may lie in a file beside its picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Exif,
    /// Coordinates, inside EXIF.
    Gps,
    /// A camera's own notes, inside EXIF; some hold a preview.
    MakerNote,
    /// A small picture inside EXIF, JFIF or Photoshop's resources.
    Thumbnail,
    Xmp,
    /// An original or a depth map inside XMP.
    XmpPicture,
    /// A colour profile: none is copied, a well-known one is written anew.
    ColourProfile,
    PhotoshopResources,
    /// An index of several pictures in one file.
    MultiPicture,
    /// A picture behind the picture.
    FurtherPicture,
    /// C2PA and other JUMBF boxes.
    ContentCredentials,
    Comment,
    Text,
    Time,
    /// A segment or chunk that is none of these.
    Other,
    /// A film behind the picture.
    Video,
    /// Any other bytes behind the picture.
    Tail,
}

impl Inventory {
    /// Of a file whose head could be read; what cannot be followed any further counts as a tail.
    pub fn of(file: &[u8], format: Format) -> Self {
        let mut inventory = Self::default();
        match format {
            Format::Jpeg => jpeg::read(file, &mut inventory),
            Format::Png => png::read(file, &mut inventory),
            Format::WebP => webp::read(file, &mut inventory),
            Format::Gif => gif::read(file, &mut inventory),
            Format::Tiff => tiff::read(file, &mut inventory),
            Format::Avif | Format::Heic => heif::read(file, &mut inventory),
            Format::Bmp if bmp_has_profile(file) => inventory.add(Kind::ColourProfile),
            // It has no place for anything else.
            Format::Bmp => {}
        }
        inventory
    }

    fn add(&mut self, kind: Kind) {
        *self.0.entry(kind).or_default() += 1;
    }
}

fn holds(data: &[u8], words: &[u8]) -> bool {
    data.windows(words.len()).any(|window| window == words)
}

/// A little-endian EXIF block with coordinates, a maker note and a thumbnail.
#[cfg(test)]
fn sample_exif() -> Vec<u8> {
    let entry = |tag: u16, value: u32| [&tag.to_le_bytes()[..], &[4, 0, 1, 0, 0, 0], &value.to_le_bytes()].concat();
    let mut tiff = b"II\x2a\0\x08\0\0\0".to_vec();
    tiff.extend(
        [
            &[2, 0],
            &entry(0x8769, 38)[..],
            &entry(0x8825, 100),
            &56u32.to_le_bytes(),
        ]
        .concat(),
    );
    tiff.extend([&[1, 0], &entry(0x927c, 0)[..], &[0; 4]].concat());
    tiff.extend([&[1, 0], &entry(0x0201, 0)[..], &[0; 4]].concat());
    tiff
}
