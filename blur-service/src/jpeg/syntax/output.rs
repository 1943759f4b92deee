//! The headers of the output: what decoding needs and nothing else.

use super::{
    density::jfif,
    exif,
    frame::{Frame, Process},
    header::{Jpeg, ScanComponent},
    icc, marker,
    spec::Spec,
    tables::HuffmanTables,
};
use crate::jpeg::error::JpegError;

/// What of the metadata the caller wants in the output.
#[derive(Clone, Copy, Debug)]
pub struct Metadata<'a> {
    /// EXIF orientation, 1 to 8; for 1 nothing is written.
    pub orientation: u8,
    /// A colour profile, which the caller vouches for.
    pub icc: Option<&'a [u8]>,
}

impl Default for Metadata<'_> {
    fn default() -> Self {
        Self {
            orientation: 1,
            icc: None,
        }
    }
}

/// Adobe's segment: version 100, no flags, and the colour transform.
pub fn adobe(transform: u8) -> [u8; 12] {
    [b'A', b'd', b'o', b'b', b'e', 0, 100, 0, 0, 0, 0, transform]
}

/// The body of the EXIF segment, if one is needed: for the orientation, and for the density where there is no JFIF, which
/// would change what the colours mean.
pub fn kept_exif(jpeg: &Jpeg, metadata: &Metadata) -> Option<Vec<u8>> {
    let density = jpeg.density.filter(|_| !jpeg.colour.has_jfif);
    let is_turned = (2..=8).contains(&metadata.orientation);
    let orientation = if is_turned { metadata.orientation } else { 1 };
    (is_turned || density.is_some()).then(|| exif::minimal(orientation, density))
}

/// Everything before the entropy-coded data, with these Huffman tables.
pub fn headers(jpeg: &Jpeg, huffman: &HuffmanTables, metadata: &Metadata) -> Result<Vec<u8>, JpegError> {
    let mut out = vec![0xff, marker::START_OF_IMAGE];
    if jpeg.colour.has_jfif {
        put_segment(&mut out, marker::APP0, &jfif(jpeg.density));
    }
    if let Some(body) = kept_exif(jpeg, metadata) {
        put_segment(&mut out, marker::APP1, &body);
    }
    for body in icc::split(metadata.icc.unwrap_or_default())? {
        put_segment(&mut out, marker::APP2, &body);
    }
    if let Some(transform) = jpeg.colour.adobe {
        put_segment(&mut out, marker::APP14, &adobe(transform));
    }
    put_quantisation(&mut out, jpeg);
    put_frame(&mut out, &jpeg.frame);
    put_huffman(&mut out, jpeg, huffman);
    if jpeg.restart_interval > 0 {
        put_segment(&mut out, marker::RESTART_INTERVAL, &jpeg.restart_interval.to_be_bytes());
    }
    put_scan(&mut out, jpeg);
    Ok(out)
}

fn put_quantisation(out: &mut Vec<u8>, jpeg: &Jpeg) {
    for (id, table) in (0u8..).zip(&jpeg.quantisation) {
        let is_used = jpeg
            .frame
            .components
            .iter()
            .any(|component| component.quantisation == id);
        let Some(table) = table.as_ref().filter(|_| is_used) else {
            continue;
        };
        let mut body = vec![u8::from(table.is_wide) << 4 | id];
        match table.is_wide {
            true => body.extend(table.steps.iter().flat_map(|step| step.to_be_bytes())),
            false => body.extend(table.steps.iter().map(|step| *step as u8)),
        }
        put_segment(out, marker::QUANTISATION_TABLES, &body);
    }
}

fn put_frame(out: &mut Vec<u8>, frame: &Frame) {
    let marker = if frame.process == Process::Baseline { 0xc0 } else { 0xc1 };
    let mut body = vec![frame.precision];
    body.extend((frame.size.height as u16).to_be_bytes());
    body.extend((frame.size.width as u16).to_be_bytes());
    body.push(frame.components.len() as u8);
    for (place, component) in frame.components.iter().enumerate() {
        body.extend([
            frame.written_name(place),
            component.horizontal << 4 | component.vertical,
            component.quantisation,
        ]);
    }
    put_segment(out, marker, &body);
}

fn put_huffman(out: &mut Vec<u8>, jpeg: &Jpeg, huffman: &HuffmanTables) {
    for id in 0..4 {
        let is_used = |of: fn(&ScanComponent) -> usize| jpeg.scan.components.iter().any(|c| of(c) == id);
        if let Some(spec) = huffman.dc[id].as_ref().filter(|_| is_used(|component| component.dc)) {
            put_table(out, id as u8, spec);
        }
        if let Some(spec) = huffman.ac[id].as_ref().filter(|_| is_used(|component| component.ac)) {
            put_table(out, 0x10 | id as u8, spec);
        }
    }
}

fn put_table(out: &mut Vec<u8>, class_and_id: u8, spec: &Spec) {
    put_segment(
        out,
        marker::HUFFMAN_TABLES,
        &[&[class_and_id], &spec.counts[..], &spec.symbols].concat(),
    );
}

fn put_scan(out: &mut Vec<u8>, jpeg: &Jpeg) {
    let mut body = vec![jpeg.scan.components.len() as u8];
    for part in &jpeg.scan.components {
        body.extend([
            jpeg.frame.written_name(part.component),
            (part.dc as u8) << 4 | part.ac as u8,
        ]);
    }
    body.extend(jpeg.scan.spectrum);
    put_segment(out, marker::START_OF_SCAN, &body);
}

fn put_segment(out: &mut Vec<u8>, marker: u8, body: &[u8]) {
    out.extend([0xff, marker]);
    out.extend((body.len() as u16 + 2).to_be_bytes());
    out.extend(body);
}
