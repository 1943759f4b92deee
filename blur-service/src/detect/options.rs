//! What a client may choose: how closely to look, and how readily to believe. Never a raw threshold, whose meaning
//! would change with the models.

use std::{
    fmt::{Display, Formatter},
    str::FromStr,
};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How closely to look, and so how small a face may be and what it costs. The stronger makes every look of the weaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Detail {
    /// Portraits and groups: upright faces of about a fiftieth of the picture's long side and more.
    Fast,
    /// Also crowds, far faces, masks and hoods, faces lying on their side or upside down.
    #[default]
    Thorough,
    /// The smallest and the doubtful ones too.
    Max,
}

/// How readily a doubtful spot is taken for a face.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Sensitivity {
    /// Hides only what is certainly a face.
    Low,
    #[default]
    Normal,
    /// Rather hides a patch of wall than misses a person.
    High,
}

/// A word that names none of an option's values.
#[derive(Debug, Error, PartialEq)]
#[error("unknown {option} \"{given}\"; it is one of {known}")]
pub struct UnknownOption {
    option: &'static str,
    given: String,
    known: String,
}

impl Display for Detail {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(&name(self))
    }
}

impl FromStr for Detail {
    type Err = UnknownOption;

    fn from_str(given: &str) -> Result<Self, UnknownOption> {
        parse("detail", given)
    }
}

impl Display for Sensitivity {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(&name(self))
    }
}

impl FromStr for Sensitivity {
    type Err = UnknownOption;

    fn from_str(given: &str) -> Result<Self, UnknownOption> {
        parse("sensitivity", given)
    }
}

fn name(value: &impl ValueEnum) -> String {
    value
        .to_possible_value()
        .map_or_else(String::new, |value| value.get_name().to_owned())
}

fn parse<T: ValueEnum>(option: &'static str, given: &str) -> Result<T, UnknownOption> {
    T::from_str(given, false).map_err(|_| UnknownOption {
        option,
        given: given.to_owned(),
        known: T::value_variants().iter().map(name).collect::<Vec<_>>().join(", "),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_value_reads_back_as_written() {
        for detail in Detail::value_variants() {
            assert_eq!(detail.to_string().parse(), Ok(*detail));
            assert_eq!(serde_json::to_string(detail).unwrap(), format!("\"{detail}\""));
        }
        for sensitivity in Sensitivity::value_variants() {
            assert_eq!(sensitivity.to_string().parse(), Ok(*sensitivity));
        }
    }

    #[test]
    fn a_typo_names_what_is_known() {
        let error = "quick".parse::<Detail>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown detail \"quick\"; it is one of fast, thorough, max"
        );
    }
}
