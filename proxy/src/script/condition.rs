//! `when: header("x-tier") == "gold"`: a condition on a request, read with the configuration.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use super::hook::Failure;
use super::program::Program;
use super::tally::{Tally, since_start};
use super::view::Seen;
use crate::yaml::document::at_in_text;

/// An expression that is true or false, in Rhai; conf/programming.md says what it may name.
#[derive(Clone, JsonSchema)]
#[schemars(with = "String", extend("examples" = ["header(\"x-tier\") == \"gold\" && client in cidr(\"10.0.0.0/8\")"]))]
pub struct Condition {
    text: String,
    program: Arc<Program>,
}

impl Condition {
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it holds for a request.
    ///
    /// # Errors
    /// It goes wrong on this one, which is logged with whose condition it is.
    pub fn holds(&self, seen: Seen<'_>, owner: &str) -> Result<bool, Failure> {
        let began = Instant::now();
        let held = self.program.holds(seen);
        CONDITIONS.ran(began.elapsed(), held.is_err());
        if let Err(failure) = &held
            && let Some(silent) = CONDITIONS.tells(since_start())
        {
            let (request, line) = (seen.ctx.id.as_str(), failure.line);
            tracing::error!(owner, line, request, silent, "a condition has failed: {failure}");
        }
        held
    }
}

/// Of all conditions together.
pub static CONDITIONS: Tally = Tally::new();

/// For a key whose value may be left out with it, and not alone: `when:` with nothing behind it would be no condition.
///
/// # Errors
/// It is none.
pub fn written<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Condition>, D::Error> {
    Condition::deserialize(deserializer).map(Some)
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Condition {}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match Program::condition(&text) {
            Ok(program) => Ok(Self {
                text,
                program: Arc::new(program),
            }),
            Err(mistake) => Err(de::Error::custom(at_in_text(
                mistake.line,
                mistake.column,
                &mistake.what,
            ))),
        }
    }
}
