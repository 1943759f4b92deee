//! Answers: what a hook can decide, and the head of what a backend, or Veil itself, has answered.

use std::ops::RangeInclusive;

use http::{StatusCode, Uri};
use rhai::{Array, Dynamic, Engine, EvalAltResult, Map, Position};

use super::outcome::{Outcome, change_answer, failure};
use crate::script::draft::{Decision, field_name, field_value};
use crate::script::view;

/// Stands for the answer that is shown.
#[derive(Clone, Copy)]
pub struct Response;

pub fn register(engine: &mut Engine) {
    engine
        .register_type_with_name::<Decision>("Decision")
        .register_fn("answer", |code: i64, body: &str| answer(code, body, Map::new()))
        .register_fn("answer", answer)
        .register_fn("redirect", |to: &str| redirect(302, to))
        .register_fn("redirect", redirect)
        .register_fn("refuse", |code: i64| refuse(code, None))
        .register_fn("refuse", |code: i64, detail: &str| {
            refuse(code, Some(detail.to_owned()))
        })
        .register_type_with_name::<Response>("Response")
        .register_get_set("status", present_status, set_status)
        .register_fn("header", |_: &mut Response, name: &str| {
            view::answer_field(name).into_iter().next().unwrap_or_default()
        })
        .register_fn("headers", |_: &mut Response, name: &str| -> Array {
            view::answer_field(name).into_iter().map(Dynamic::from).collect()
        })
        .register_fn("set_header", |_: &mut Response, name: &str, value: &str| {
            change_answer(|draft| draft.answer.set(name, value))
        })
        .register_fn("add_header", |_: &mut Response, name: &str, value: &str| {
            change_answer(|draft| draft.answer.add(name, value))
        })
        .register_fn("remove_header", |_: &mut Response, name: &str| {
            change_answer(|draft| draft.answer.remove(name))
        });
}

/// Whoever decides has said all: the hook ends, returned or not. What follows would be done for a request that is refused.
fn decided(decision: Decision) -> Outcome<Dynamic> {
    Err(EvalAltResult::Exit(Dynamic::from(decision), Position::NONE).into())
}

fn answer(code: i64, body: &str, fields: Map) -> Outcome<Dynamic> {
    let fields = fields.into_iter().flat_map(|(name, value)| {
        let values = if value.is_array() {
            value.into_array().unwrap_or_default()
        } else {
            vec![value]
        };
        values
            .into_iter()
            .map(move |value| Ok((field_name(&name)?, field_value(&name, &value.to_string())?)))
    });
    let status = status(code, 200..=599).map_err(failure)?;
    if has_no_body(status.as_u16()) && !body.is_empty() {
        return Err(failure(format!("an answer of {code} has no body")));
    }
    decided(Decision::Answer {
        status,
        body: body.to_owned(),
        fields: fields.collect::<Result<_, String>>().map_err(failure)?,
    })
}

fn redirect(code: i64, to: &str) -> Outcome<Dynamic> {
    if to.parse::<Uri>().is_err() {
        return Err(failure(format!(
            "{to:?} is nowhere to send somebody to; encode what stands in it"
        )));
    }
    let mut fields = Map::new();
    fields.insert("location".into(), to.into());
    status(code, 300..=399).map_err(failure)?;
    answer(code, "", fields)
}

fn refuse(code: i64, detail: Option<String>) -> Outcome<Dynamic> {
    decided(Decision::Refuse {
        status: status(code, 400..=599).map_err(failure)?,
        detail,
    })
}

fn present_status(_: &mut Response) -> i64 {
    let drafted = view::draft(|draft| draft.status).flatten();
    let there = || view::answer(|head| head.status);
    drafted.or_else(there).map_or(0, |status| status.as_u16().into())
}

fn set_status(response: &mut Response, code: i64) -> Outcome<()> {
    let status = status(code, 200..=599).map_err(failure)?;
    let is = u16::try_from(present_status(response)).unwrap_or(0);
    if is != status && (has_no_body(status.as_u16()) || has_no_body(is)) {
        let what = format!("an answer of {is} cannot become one of {code}, as one has a body and the other has none");
        return Err(failure(what));
    }
    change_answer(|draft| {
        draft.status = Some(status);
        Ok(())
    })
}

fn has_no_body(status: u16) -> bool {
    matches!(status, 101 | 204 | 205 | 304)
}

/// # Errors
/// It is none of these.
pub fn status(code: i64, within: RangeInclusive<i64>) -> Result<StatusCode, String> {
    let known = within.contains(&code).then(|| StatusCode::from_u16(code as u16).ok());
    let what = || format!("{code} is not a status from {} to {}", within.start(), within.end());
    known.flatten().ok_or_else(what)
}
