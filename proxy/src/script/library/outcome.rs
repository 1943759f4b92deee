//! What functions give that may fail, and that do something.

use rhai::EvalAltResult;

use crate::script::draft::Draft;
use crate::script::view;

pub type Outcome<T> = Result<T, Box<EvalAltResult>>;

/// A failure of a script's own making.
pub fn failure(what: impl Into<String>) -> Box<EvalAltResult> {
    let what: String = what.into();
    what.into()
}

/// Does something to what is to be done.
pub fn change(with: impl FnOnce(&mut Draft) -> Result<(), String>) -> Outcome<()> {
    let done = view::draft(with).unwrap_or_else(|| Err("a condition changes nothing".to_owned()));
    done.map_err(failure)
}

/// The same, to the request, before it goes to a backend.
pub fn change_request(with: impl FnOnce(&mut Draft) -> Result<(), String>) -> Outcome<()> {
    match view::answer(|_| ()) {
        None => change(with),
        Some(()) => Err(failure("the request has gone to a backend; change the response")),
    }
}

/// The same, to the answer, once there is one.
pub fn change_answer(with: impl FnOnce(&mut Draft) -> Result<(), String>) -> Outcome<()> {
    match view::answer(|_| ()) {
        Some(()) => change(with),
        None => Err(failure(
            "there is no answer yet; write fn on_response(response, request)",
        )),
    }
}
