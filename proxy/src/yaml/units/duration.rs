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
}

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
