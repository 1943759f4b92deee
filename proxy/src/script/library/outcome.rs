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
