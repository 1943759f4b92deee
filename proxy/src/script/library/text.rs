//! Texts. What makes them longer looks at how long they may be before it does.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use rhai::{Array, Engine, ImmutableString as Text, NativeCallContext};

use super::expression;
use super::outcome::{Outcome, failure};
use crate::script::bounds::{heavy, heavy_on};

pub fn register(engine: &mut Engine) {
    engine
        .register_get("len", |text: &mut Text| length(text))
        .register_fn("len", length)
        .register_fn("+", |text: &str, number: i64| format!("{text}{number}"))
        .register_fn("+", |number: i64, text: &str| format!("{number}{text}"))
        .register_fn("+", |text: &str, truth: bool| format!("{text}{truth}"))
        .register_fn("is_empty", |text: &str| text.is_empty())
        .register_fn("contains", |text: &str, part: &str| text.contains(part))
        .register_fn("starts_with", |text: &str, part: &str| text.starts_with(part))
        .register_fn("ends_with", |text: &str, part: &str| text.ends_with(part))
        .register_fn("index_of", |text: &str, part: &str| {
            heavy_on(text);
            text.find(part).map_or(-1, |place| text[..place].chars().count() as i64)
        })
        .register_fn("sub_string", |text: &str, start: i64| sub_string(text, start, i64::MAX))
        .register_fn("sub_string", sub_string)
        .register_fn("before", |text: &str, part: &str| {
            text.split_once(part).map_or(text, |(before, _)| before).to_owned()
        })
        .register_fn("after", |text: &str, part: &str| {
            text.split_once(part).map_or("", |(_, after)| after).to_owned()
        })
        .register_fn("split", split)
        .register_fn("join", join)
        .register_fn("replace", replace)
        .register_fn("matches", matches)
        .register_fn("encode", encode);
    for (name, makes) in OF_A_TEXT {
        engine.register_fn(name, move |text: &str| {
            heavy_on(text);
            makes(text)
        });
    }
}

/// Makes another text of one.
pub type OfAText = fn(&str) -> String;

/// Those that take nothing besides.
const OF_A_TEXT: [(&str, OfAText); 4] = [
    ("trim", |text| text.trim().to_owned()),
    ("to_lower", |text| text.to_lowercase()),
    ("to_upper", |text| text.to_uppercase()),
    ("decode", decode),
];

/// What makes another text of one, by its name.
pub fn of_a_text(name: &str) -> Option<OfAText> {
    let mut all = OF_A_TEXT.iter();
    all.find(|(known, _)| *known == name).map(|(_, makes)| *makes)
}

/// Characters.
pub fn length(text: &str) -> i64 {
    text.chars().count() as i64
}

fn sub_string(text: &str, start: i64, length: i64) -> String {
    heavy_on(text);
    let count = |number: i64| usize::try_from(number).unwrap_or(0);
    text.chars().skip(count(start)).take(count(length)).collect()
}

fn split(context: NativeCallContext<'_>, text: &str, part: &str) -> Outcome<Array> {
    let most = context.engine().max_array_size();
    match part.is_empty() || text.matches(part).take(most).count() >= most {
        true => Err(failure(format!(
            "split at {part:?} makes more than {most} parts, or none"
        ))),
        false => Ok(text.split(part).map(|part| part.to_owned().into()).collect()),
    }
}

fn join(context: NativeCallContext<'_>, parts: Array, between: &str) -> Outcome<String> {
    let parts: Vec<String> = parts.into_iter().map(|part| part.to_string()).collect();
    let length = parts.iter().map(|part| part.len() + between.len()).sum();
    fits(&context, length)?;
    Ok(parts.join(between))
}

fn replace(context: NativeCallContext<'_>, text: &str, part: &str, by: &str) -> Outcome<String> {
    if part.is_empty() {
        return Err(failure("nothing cannot be replaced"));
    }
    heavy();
    let count = text.matches(part).count();
    fits(&context, text.len() + count * by.len())?;
    Ok(text.replace(part, by))
}

fn fits(context: &NativeCallContext<'_>, length: usize) -> Outcome<()> {
    match length > context.engine().max_string_size() {
        true => Err(failure("the text would be longer than its limit")),
        false => Ok(()),
    }
}

/// Whether a regular expression is found in a text. Those that scripts hold are written in them, so that each is made once.
fn matches(text: &str, expression: &str) -> Outcome<bool> {
    heavy();
    expression::is_found(expression, text).map_err(failure)
}

/// `%2F` as `/`, and `+` as a space; what is no UTF-8 is replaced.
fn decode(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

/// All but what has no meaning anywhere in an address (RFC 3986, section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Fit for a part of a query.
fn encode(context: NativeCallContext<'_>, text: &str) -> Outcome<String> {
    heavy_on(text);
    fits(&context, text.len() * 3)?;
    Ok(utf8_percent_encode(text, RESERVED).to_string())
}
