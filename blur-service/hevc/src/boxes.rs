//! Boxes, of which files in HEIF are made (ISO 14496-12, 4.2).

/// Bytes before a box's content.
pub const BOX_HEAD: usize = 8;

/// A box of these parts.
pub fn boxed(kind: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = (content.len() + BOX_HEAD) as u32;
    [&length.to_be_bytes()[..], kind, &content].concat()
}

/// The same, with a version and no flags.
pub fn full(kind: &[u8; 4], version: u8, parts: &[&[u8]]) -> Vec<u8> {
    boxed(kind, &[&[version, 0, 0, 0], &parts.concat()])
}
