//! How much of a file is coded picture: what else lies in it, or fills it up, says nothing of the work that it makes.

use super::{Format, PngChunks, WebPChunks};
use crate::jpeg::syntax::marker::{FIRST_RESTART, LAST_RESTART, START_OF_SCAN, Segments};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coded {
    pub bytes: u64,
    /// How many times a decoder goes over the picture: a JPEG's scans.
    pub passes: u32,
}

impl Coded {
    pub fn of(file: &[u8], format: Format) -> Self {
        match format {
            Format::Jpeg => of_jpeg(file),
            Format::Gif | Format::Tiff | Format::Bmp | Format::Avif | Format::Heic => once(file.len() as u64),
            Format::Png => once(of_chunks(PngChunks::of(file), |kind| matches!(kind, b"IDAT" | b"fdAT"))),
            Format::WebP => once(of_chunks(WebPChunks::of(file), |kind| {
                matches!(kind, b"VP8 " | b"VP8L" | b"ALPH" | b"ANMF")
            })),
        }
    }
}

fn once(bytes: u64) -> Coded {
    Coded { bytes, passes: 1 }
}

fn of_chunks<'a>(chunks: impl Iterator<Item = ([u8; 4], &'a [u8])>, is_coded: impl Fn(&[u8; 4]) -> bool) -> u64 {
    chunks
        .filter(|(kind, _)| is_coded(kind))
        .map(|(_, data)| data.len() as u64)
        .sum()
}

/// What lies behind each start of a scan, up to the next marker that no scan holds.
fn of_jpeg(file: &[u8]) -> Coded {
    let mut coded = Coded::default();
    let mut segments = Segments::new(file, 0);
    let mut in_scan = false;
    loop {
        let from = segments.at();
        let next = segments.next().ok().flatten();
        if in_scan {
            let to = next.as_ref().map_or(file.len(), |segment| segment.at);
            coded.bytes += told_by(file.get(from..to).unwrap_or_default());
        }
        let Some(segment) = next else {
            return coded;
        };
        if segment.marker == START_OF_SCAN {
            coded.passes += 1;
        }
        in_scan =
            segment.marker == START_OF_SCAN || in_scan && (FIRST_RESTART..=LAST_RESTART).contains(&segment.marker);
    }
}

/// Bytes that may also fill up do not count. As many at a time as a byte can count, so that whole vectors are counted.
fn told_by(data: &[u8]) -> u64 {
    let tells = |byte: &u8| u8::from(!matches!(byte, 0 | 0xff));
    data.chunks(128)
        .map(|some| u64::from(some.iter().map(tells).sum::<u8>()))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_segments_nor_tails_nor_what_fills_up_count() {
        let comment = [&b"\xff\xfe\x01\x02"[..], &[7; 256]].concat();
        let scan = |data: &[u8]| [b"\xff\xda\0\x02", data].concat();
        for (parts, bytes, passes) in [
            (vec![scan(b"\x01\x02\x03")], 3, 1),
            (vec![comment.clone(), scan(b"\x01\x02\x03"), comment.clone()], 3, 1),
            (vec![scan(&[0; 5000]), comment.clone(), scan(b"\x01")], 1, 2),
            (vec![scan(b"\x01\xff\xd0\x02\xff\xd1\x03")], 3, 1),
        ] {
            let file = [&b"\xff\xd8"[..], &parts.concat(), b"\xff\xd9", &[9; 4000]].concat();
            let coded = Coded::of(&file, Format::Jpeg);
            assert!(coded.bytes >= bytes && coded.bytes < bytes + 8, "{coded:?}");
            assert_eq!(coded.passes, passes);
        }
    }
}
