//! A strip or tile that is a JPEG (TIFF technical note 2), by the reader of all other JPEGs.

use super::{
    layout::{Layout, Meaning},
    samples::Painted,
};
use crate::{
    codec::header::broken,
    error::Error,
    geometry::Size,
    jpeg::{Jpeg, JpegError, Limits, Transform},
};

/// Decodes a strip or tile of this size, whose tables may stand in the page's directory. Colours come out red, green, blue.
pub fn decode(coded: &[u8], tables: &[u8], size: Size, layout: &Layout) -> Result<Painted, Error> {
    let file = joined(coded, tables);
    let limits = Limits {
        pixels: size.pixels().saturating_add(SLACK),
        ..Limits::default()
    };
    let transform = match layout.meaning {
        Meaning::YCbCr { .. } => Transform::YCbCr,
        Meaning::Inks => Transform::UprightInks,
        _ => Transform::None,
    };
    let jpeg = Jpeg::parse(&file, &limits)?.meant(transform);
    let pixels = match jpeg.supported() {
        Ok(()) => jpeg.pixels(&|| true)?,
        Err(kind) if kind.may_be_recoded() => {
            let file = jpeg.in_one_scan(&|| true)?;
            Jpeg::parse(&file, &limits)?.meant(transform).pixels(&|| true)?
        }
        Err(kind) => return Err(JpegError::from(kind).into()),
    };
    let wanted = match layout.meaning {
        _ if layout.is_planar => 1,
        Meaning::Grey { .. } | Meaning::Palette => 1,
        _ => 3,
    };
    let count = pixels.channels.count();
    if pixels.size.width != size.width || pixels.size.height < size.height || count != wanted {
        return Err(broken("a JPEG inside it is not as large as its place"));
    }
    Ok(Painted {
        size: pixels.size,
        count,
        bytes: pixels.samples,
    })
}

/// The tables before the first segment of the picture.
fn joined(coded: &[u8], tables: &[u8]) -> Vec<u8> {
    let tables = tables.strip_prefix(START).unwrap_or_default();
    let tables = tables.strip_suffix(END).unwrap_or(tables);
    let coded = coded.strip_prefix(START).unwrap_or(coded);
    [START, tables, coded].concat()
}

const START: &[u8] = b"\xff\xd8";
const END: &[u8] = b"\xff\xd9";
/// The last strip is often coded as high as the others.
const SLACK: u64 = 1 << 20;
