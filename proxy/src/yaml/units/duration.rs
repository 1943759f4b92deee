//! Lengths of time.

use std::fmt;
use std::str::FromStr;
use std::time;

use schemars::JsonSchema;
use serde::de::{Deserialize, Deserializer, Error as _};

use super::UnitError;

/// A length of time: `800ms`, `30s`, `1m30s`, `2h`. Parts may be strung together, largest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
#[schemars(with = "String", extend("pattern" = r"^(?=\d)(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?$", "examples" = ["800ms", "30s", "1m30s"]))]
pub struct Duration(time::Duration);

impl Duration {
    pub const fn from_millis(millis: u64) -> Self {
        Self(time::Duration::from_millis(millis))
    }

    pub const fn from_secs(seconds: u64) -> Self {
        Self(time::Duration::from_secs(seconds))
    }

    pub const fn get(self) -> time::Duration {
        self.0
    }

    /// As Nginx has it: the parts in any order, with weeks, months of 30 days (`M`) and years of 365, spaces between them, and bare
    /// numbers of seconds; nothing where it is none.
    pub fn of_any_unit(text: &str) -> Option<Self> {
        let mut millis = 0_u64;
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let count: u64 = rest[..digits].parse().ok()?;
            let (name, unit) = UNITS.into_iter().find(|(name, _)| rest[digits..].starts_with(name))?;
            millis = millis.checked_add(unit.checked_mul(count)?)?;
            rest = rest[digits + name.len()..].trim_start();
        }
        (!text.is_empty()).then_some(Self::from_millis(millis))
    }
}

/// Nginx's, in milliseconds.
const UNITS: [(&str, u64); 9] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 604_800_000),
    ("M", 2_592_000_000),
    ("y", 31_536_000_000),
    ("", 1_000),
];

/// Reads a duration where none at all would mean to do something without a pause, or at once.
pub fn some_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let duration = Duration::deserialize(deserializer)?;
    if duration.get().is_zero() {
        return Err(D::Error::custom("has to be longer than 0s"));
    }
    Ok(duration)
}

impl FromStr for Duration {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let time = quantity::time(text).ok_or_else(|| UnitError::Duration(text.to_owned()))?;
        Ok(Self(time))
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, millis) in quantity::MILLIS {
            if rest >= millis {
                write!(f, "{}{unit}", rest / millis)?;
                rest %= millis;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_bare_number_is_told_about_units() {
        let error = serde_yaml::from_str::<Duration>("30").unwrap_err();
        assert!(error.to_string().contains("\"30\" is not a duration"), "{error}");
    }
}
