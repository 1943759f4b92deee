//! Options as they are written: their values in words, and what is said of mistakes.

use clap::ValueEnum;
use serde_json::Value;

use super::Options;
use crate::{codec::Wanted, error::Error};

/// The members of a JSON object, as a query would have them.
///
/// # Errors
/// [`Error::BadRequest`] for any other text.
pub fn members(text: &str) -> Result<Vec<(String, String)>, Error> {
    let Ok(Value::Object(members)) = serde_json::from_str(text) else {
        let why = "the options are not a JSON object such as {\"effect\": \"solid\", \"regions\": [[10, 20, 64, 80]]}";
        return Err(Error::BadRequest(why.into()));
    };
    let value = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(members.into_iter().map(|(name, is)| (name, value(is))).collect())
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
