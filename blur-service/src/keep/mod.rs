//! What a picture says of itself in words and is kept where it is asked for and allowed: who made it, whose it is, what it
//! shows, where it was. The named values are read from EXIF, IPTC and XMP, cleaned, and written anew into one XMP packet of
//! ours. No block of the file is copied, and nothing but these values is in the packet.

mod insert;
mod packet;
mod read;

use std::{fmt, str::FromStr};

use clap::ValueEnum;
use serde::Serialize;

use crate::{codec::Format, error::Error};

/// A value that may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Field {
    /// Whose it is: EXIF Copyright, IPTC 2:116, XMP dc:rights.
    Copyright,
    /// Who made it: EXIF Artist, IPTC 2:80, XMP dc:creator.
    Creator,
    /// Whom to name: IPTC 2:110, XMP photoshop:Credit.
    Credit,
    /// What it shows: EXIF ImageDescription, IPTC 2:120, XMP dc:description.
    Caption,
    /// In short: IPTC 2:105, XMP photoshop:Headline.
    Headline,
    /// Where it was taken: EXIF's coordinates.
    Gps,
}

/// Which fields; a list with commas between, and nothing else for none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<Field>);

impl Fields {
    pub const NONE: Self = Self(Vec::new());

    pub fn all() -> Self {
        Self(Field::value_variants().to_vec())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first that `others` has not.
    pub fn first_beyond(&self, others: &[&Self]) -> Option<Field> {
        let is_there = |field: &Field| others.iter().any(|other| other.0.contains(field));
        self.0.iter().copied().find(|field| !is_there(field))
    }
}

impl FromStr for Fields {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || {
            Field::value_variants()
                .iter()
                .map(Field::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        };
        let field = |name: &str| Field::from_str(name, false).map_err(|_| format!("a list of {}", names()));
        let written = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        let mut fields = written.map(field).collect::<Result<Vec<_>, _>>()?;
        fields.sort_unstable();
        fields.dedup();
        Ok(Self(fields))
    }
}

impl fmt::Display for Field {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        formatter.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

/// Writes those of `fields` that `original` has into `written`, which is the answer; returns which those were.
///
/// # Errors
/// [`Error::ProofFailed`] if anything but the packet would be new in the answer.
pub fn keep(fields: &Fields, original: &[u8], format: Format, written: &mut Vec<u8>) -> Result<Vec<Field>, Error> {
    if fields.is_empty() {
        return Ok(Vec::new());
    }
    let found = read::values(original, format);
    let kept: Vec<(Field, String)> = fields
        .0
        .iter()
        .filter_map(|field| found.get(field).map(|value| (*field, value.clone())))
        .collect();
    if kept.is_empty() {
        return Ok(Vec::new());
    }
    let packet = packet::of(&kept);
    match insert::into(written, packet.as_bytes()) {
        Some(with_packet) => *written = with_packet,
        // A format that cannot hold it.
        None => return Ok(Vec::new()),
    }
    Ok(kept.into_iter().map(|(field, _)| field).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn fields_are_a_list_of_names() {
        let fields: Fields = "gps, copyright,gps".parse().unwrap();
        assert_eq!(fields.0, [Field::Copyright, Field::Gps]);
        assert_eq!("".parse(), Ok(Fields::NONE));
        assert_eq!(
            "copyrihgt".parse::<Fields>().unwrap_err(),
            "a list of copyright, creator, credit, caption, headline, gps"
        );
        assert_eq!(fields.first_beyond(&[&"copyright".parse().unwrap()]), Some(Field::Gps));
        assert_eq!(fields.first_beyond(&[&Fields::all()]), None);
    }
}
