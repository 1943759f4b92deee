//! Values of a file's EXIF, IPTC (IIM, record 2) and XMP, as plain text. EXIF goes before IPTC and IPTC before XMP where
//! several say something, since that is the order in which cameras and desks write them.

use std::collections::BTreeMap;

use exif::{In, Tag, Value};
use roxmltree::{Document, Node};

use super::Field;
use crate::{
    codec::{Format, PngChunks, WebPChunks},
    jpeg::syntax::marker::{self, Segments},
};

pub type Values = BTreeMap<Field, String>;

pub fn values(file: &[u8], format: Format) -> Values {
    let blocks = Blocks::of(file, format);
    let mut values = Values::new();
    for found in [
        blocks.exif.map(of_exif),
        blocks.iptc.map(of_iptc),
        blocks.xmp.map(of_xmp),
    ] {
        for (field, value) in found.into_iter().flatten() {
            if let Some(value) = cleaned(&value) {
                values.entry(field).or_insert(value);
            }
        }
    }
    values
}

/// Where the values stand; the first of each kind counts.
#[derive(Default)]
struct Blocks<'a> {
    exif: Option<&'a [u8]>,
    iptc: Option<&'a [u8]>,
    xmp: Option<&'a [u8]>,
}

impl<'a> Blocks<'a> {
    fn of(file: &'a [u8], format: Format) -> Self {
        let mut blocks = Self::default();
        match format {
            Format::Jpeg => {
                let mut segments = Segments::new(file, 2);
                while let Ok(Some(segment)) = segments.next() {
                    if segment.marker == marker::START_OF_SCAN {
                        break;
                    }
                    blocks.add_segment(segment.marker, segment.body);
                }
            }
            Format::Png => PngChunks::of(file).for_each(|(kind, data)| match &kind {
                b"eXIf" => set(&mut blocks.exif, Some(data)),
                b"iTXt" => set(&mut blocks.xmp, data.strip_prefix(PNG_XMP)),
                _ => {}
            }),
            // Theirs are not read.
            Format::Gif | Format::Tiff | Format::Bmp | Format::Avif | Format::Heic => {}
            Format::WebP => WebPChunks::of(file).for_each(|(kind, data)| match &kind {
                b"EXIF" => set(&mut blocks.exif, Some(data.strip_prefix(EXIF).unwrap_or(data))),
                b"XMP " => set(&mut blocks.xmp, Some(data)),
                _ => {}
            }),
        }
        blocks
    }

    fn add_segment(&mut self, marker: u8, body: &'a [u8]) {
        match marker {
            marker::APP1 => {
                set(&mut self.exif, body.strip_prefix(EXIF));
                set(&mut self.xmp, body.strip_prefix(JPEG_XMP));
            }
            marker::APP13 => set(&mut self.iptc, body.strip_prefix(PHOTOSHOP).and_then(resource)),
            _ => {}
        }
    }
}

fn set<'a>(slot: &mut Option<&'a [u8]>, found: Option<&'a [u8]>) {
    *slot = slot.or(found);
}

/// IPTC's among Photoshop's image resources.
fn resource(mut data: &[u8]) -> Option<&[u8]> {
    loop {
        let rest = data.strip_prefix(b"8BIM")?;
        let (id, rest) = rest.split_first_chunk::<2>()?;
        let name = usize::from(*rest.first()?) + 1;
        let rest = rest.get(name.next_multiple_of(2)..)?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(*length) as usize;
        let body = rest.get(..length)?;
        if *id == IPTC {
            return Some(body);
        }
        data = rest.get(length.next_multiple_of(2)..)?;
    }
}

fn of_exif(block: &[u8]) -> Vec<(Field, String)> {
    let Ok(exif) = exif::Reader::new().read_raw(block.to_vec()) else {
        return Vec::new();
    };
    let text = |tag: Tag| match &exif.get_field(tag, In::PRIMARY)?.value {
        Value::Ascii(parts) => parts.first().map(|part| String::from_utf8_lossy(part).into_owned()),
        _ => None,
    };
    let coordinates = || {
        let degrees = |tag: Tag, reference: Tag| {
            let Value::Rational(parts) = &exif.get_field(tag, In::PRIMARY)?.value else {
                return None;
            };
            let [degrees, minutes, seconds] = parts.get(..3)?.iter().map(|part| part.to_f64()).collect::<Vec<_>>()[..]
            else {
                return None;
            };
            let side = text(reference)?;
            let degrees = degrees + minutes / 60.0 + seconds / 3600.0;
            Some(if side.starts_with(['S', 'W']) {
                -degrees
            } else {
                degrees
            })
        };
        let latitude = degrees(Tag::GPSLatitude, Tag::GPSLatitudeRef)?;
        let longitude = degrees(Tag::GPSLongitude, Tag::GPSLongitudeRef)?;
        let are_some = latitude.abs() <= 90.0 && longitude.abs() <= 180.0;
        are_some.then(|| format!("{latitude:.6},{longitude:.6}"))
    };
    let values = [
        (Field::Copyright, text(Tag::Copyright)),
        (Field::Creator, text(Tag::Artist)),
        (Field::Caption, text(Tag::ImageDescription)),
        (Field::Gps, coordinates()),
    ];
    values
        .into_iter()
        .filter_map(|(field, value)| Some((field, value?)))
        .collect()
}

fn of_iptc(block: &[u8]) -> Vec<(Field, String)> {
    let mut values = Vec::new();
    let mut rest = block;
    while let [0x1c, record, set, high, low, data @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let Some((value, behind)) = data.split_at_checked(length) else {
            break;
        };
        rest = behind;
        let field = match (record, set) {
            (2, 80) => Field::Creator,
            (2, 105) => Field::Headline,
            (2, 110) => Field::Credit,
            (2, 116) => Field::Copyright,
            (2, 120) => Field::Caption,
            _ => continue,
        };
        values.push((field, text_of(value)));
    }
    values
}

/// UTF-8, which desks write nowadays, or Latin-1.
fn text_of(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

fn of_xmp(block: &[u8]) -> Vec<(Field, String)> {
    let Some(document) = std::str::from_utf8(block)
        .ok()
        .and_then(|text| Document::parse(text.trim_matches('\0')).ok())
    else {
        return Vec::new();
    };
    let named = [
        (Field::Copyright, DC, "rights"),
        (Field::Creator, DC, "creator"),
        (Field::Caption, DC, "description"),
        (Field::Credit, PHOTOSHOP_NAMES, "Credit"),
        (Field::Headline, PHOTOSHOP_NAMES, "Headline"),
    ];
    let value = |(field, names, name): (Field, &str, &str)| {
        let about = |node: &Node| node.is_element();
        let mut nodes = document.descendants().filter(about);
        let found = nodes.find_map(|node| {
            let attribute = node.attribute((names, name)).map(str::to_owned);
            attribute.or_else(|| node.has_tag_name((names, name)).then(|| first_text(node)).flatten())
        })?;
        Some((field, found))
    };
    named.into_iter().filter_map(value).collect()
}

/// Of an element or, where it is a list, of its first member.
fn first_text(node: Node) -> Option<String> {
    let texts = node.descendants().filter_map(|inner| inner.text());
    texts.map(str::trim).find(|text| !text.is_empty()).map(str::to_owned)
}

/// One line of a bounded length, without characters that control anything or that nobody sees.
fn cleaned(value: &str) -> Option<String> {
    let words: Vec<&str> = value
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    let line: String = words
        .join(" ")
        .chars()
        .filter(|c| *c != '\u{fffd}' && !is_unseen(*c))
        .take(MOST_CHARACTERS)
        .collect();
    (!line.is_empty()).then_some(line)
}

/// Of Unicode's format characters those that turn the text behind them about, so that it reads as what it is not, or hide in
/// it: all but the two that join and part letters, of which words and emoji are made.
fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

const EXIF: &[u8] = b"Exif\0\0";
const PHOTOSHOP: &[u8] = b"Photoshop 3.0\0";
const IPTC: [u8; 2] = [0x04, 0x04];
pub(super) const JPEG_XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
/// Its keyword, and that it is not compressed and in no language.
pub(super) const PNG_XMP: &[u8] = b"XML:com.adobe.xmp\0\0\0\0\0";
const DC: &str = "http://purl.org/dc/elements/1.1/";
const PHOTOSHOP_NAMES: &str = "http://ns.adobe.com/photoshop/1.0/";
/// The longest that IPTC allows.
const MOST_CHARACTERS: usize = 2000;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn values_are_one_line_of_words() {
        assert_eq!(cleaned(" a\0b\r\n\tc\u{1b}[31m ").unwrap(), "a b c [31m");
        assert_eq!(cleaned(" \0 "), None);
        assert_eq!(
            cleaned("photo\u{202e}gpj.\u{2066}exe\u{e0041}\u{200b}").unwrap(),
            "photogpj.exe"
        );
        assert_eq!(cleaned("\u{200f}\u{feff}"), None);
        let joined = "mi\u{200c}ravam \u{1f469}\u{200d}\u{1f692}";
        assert_eq!(cleaned(joined).unwrap(), joined);
        assert_eq!(cleaned(&"x".repeat(9000)).unwrap().len(), MOST_CHARACTERS);
    }

    #[test]
    fn xmp_is_read_as_attribute_and_as_element() {
        let packet = |inner: &str, attribute: &str| {
            format!(
                "<?xpacket begin=\"\"?><x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><r:RDF xmlns:r=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\
                 <r:Description xmlns:dc=\"{DC}\" xmlns:p=\"{PHOTOSHOP_NAMES}\" {attribute}>{inner}</r:Description></r:RDF></x:xmpmeta>"
            )
        };
        let list = packet(
            "<dc:rights><r:Alt><r:li>mine &amp; yours</r:li></r:Alt></dc:rights>",
            "p:Credit=\"Agency\"",
        );
        let found: Values = of_xmp(list.as_bytes()).into_iter().collect();
        assert_eq!(
            (found[&Field::Copyright].as_str(), found[&Field::Credit].as_str()),
            ("mine & yours", "Agency")
        );
        assert!(of_xmp(b"<broken").is_empty());
    }

    #[test]
    fn iptc_is_found_among_resources() {
        let set = |number: u8, value: &[u8]| [&[0x1c, 2, number, 0, value.len() as u8][..], value].concat();
        let iptc = [set(0, &[0, 4]), set(110, b"Agency"), set(116, b"\xa9 2026")].concat();
        let resource_of = |id: [u8; 2], body: &[u8]| {
            let pad = &[0][..body.len() % 2];
            [
                &b"8BIM"[..],
                &id,
                &[0, 0],
                &(body.len() as u32).to_be_bytes(),
                body,
                pad,
            ]
            .concat()
        };
        let all = [resource_of([4, 12], b"thumb"), resource_of(IPTC, &iptc)].concat();
        let found: Values = of_iptc(resource(&all).unwrap()).into_iter().collect();
        assert_eq!(
            (found[&Field::Copyright].as_str(), found[&Field::Credit].as_str()),
            ("© 2026", "Agency")
        );
    }
}
