//! Options as they are written: their values in words, and what is said of mistakes.

use std::fmt;

use clap::ValueEnum;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::Options;
use crate::{codec::Wanted, error::Error};

/// The members of a JSON object, as a query would have them.
///
/// # Errors
/// [`Error::RepeatedOption`]: readers of JSON differ on which of two is meant. [`Error::BadRequest`] for any other text.
pub fn members(text: &str) -> Result<Vec<(String, String)>, Error> {
    let Ok(Members(members)) = serde_json::from_str(text) else {
        let why = "the options are not a JSON object such as {\"effect\": \"solid\", \"regions\": [[10, 20, 64, 80]]}";
        return Err(Error::BadRequest(why.into()));
    };
    let count = |name: &str| members.iter().filter(|(other, _)| other == name).count();
    if let Some(name) = Options::NAMES.into_iter().find(|name| count(name) > 1) {
        return Err(Error::RepeatedOption { name });
    }
    let value = |value: Box<RawValue>| serde_json::from_str(value.get()).unwrap_or_else(|_| value.get().to_owned());
    Ok(members.into_iter().map(|(name, is)| (name, value(is))).collect())
}

/// Of a JSON object, all of them as they are written.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

/// A margin from 1 (the face's box itself) to 4.
///
/// # Errors
/// What was expected instead.
pub fn parse_margin(value: &str) -> Result<f32, String> {
    let margin: Option<f32> = value.parse().ok();
    margin
        .filter(|margin| (1.0..=4.0).contains(margin))
        .ok_or_else(|| "a number from 1 to 4".to_owned())
}

pub(super) fn parse_format(value: &str) -> Result<Wanted, Error> {
    if value == "heic" {
        let expected =
            "written: its coders are neither free of patents nor safe; there are keep, jpeg, png, webp, avif";
        return Err(invalid("format", value, expected.to_owned()));
    }
    parse("format", value)
}

pub(super) fn parse_quality(value: &str) -> Result<u8, Error> {
    let quality: Option<u8> = value.parse().ok();
    let quality = quality.filter(|quality| (1..=100).contains(quality));
    quality.ok_or_else(|| invalid("quality", value, "a whole number from 1 to 100".to_owned()))
}

pub(super) fn parse<T: ValueEnum>(name: &'static str, value: &str) -> Result<T, Error> {
    T::from_str(value, false).map_err(|_| {
        let names: Vec<String> = T::value_variants()
            .iter()
            .filter_map(T::to_possible_value)
            .map(|v| v.get_name().to_owned())
            .collect();
        invalid(name, value, format!("one of {}", names.join(", ")))
    })
}

/// A value as it is written.
pub fn name_of(value: impl ValueEnum) -> String {
    let value = value.to_possible_value();
    value.map(|value| value.get_name().to_owned()).unwrap_or_default()
}

pub(super) fn invalid(name: &'static str, value: &str, expected: String) -> Error {
    Error::InvalidOption {
        name,
        value: shortened(value),
        expected,
    }
}

pub(super) fn unknown(name: &str) -> Error {
    if name == "report" {
        let why = "the report has a path of its own: POST /v1/blur/report, or `Accept: multipart/mixed` for picture and report";
        return Error::BadRequest(why.into());
    }
    let nearest = Options::NAMES
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(known, name), known))
        .min()
        .filter(|(distance, known)| *distance <= known.len() / 2)
        .map(|(_, known)| known);
    Error::UnknownOption {
        name: shortened(name),
        nearest,
        known: Options::NAMES.join(", "),
    }
}

/// What a client sent is given back in part only.
pub(super) fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}
