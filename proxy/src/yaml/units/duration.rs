//! Lengths of time.

use std::fmt;
use std::str::FromStr;
use std::time;

use schemars::JsonSchema;
use serde::de::{Deserialize, Deserializer, Error as _};

use super::{UnitError, leading_digits};

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
        let malformed = || UnitError::Duration(text.to_owned());
        let mut total = 0_u64;
        let mut smallest = u64::MAX;
        let mut rest = text;
        while !rest.is_empty() {
            let (number, after) = leading_digits(rest).ok_or_else(malformed)?;
            let unit_length = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
            let (unit, after) = after.split_at(unit_length);
            let millis = MILLIS.iter().find(|(name, _)| *name == unit).ok_or_else(malformed)?.1;
            if millis >= smallest {
                return Err(malformed());
            }
            total = number
                .checked_mul(millis)
                .and_then(|part| total.checked_add(part))
                .ok_or_else(malformed)?;
            smallest = millis;
            rest = after;
        }
        if text.is_empty() {
            return Err(malformed());
        }
        Ok(Self::from_millis(total))
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, millis) in MILLIS {
            if rest >= millis {
                write!(f, "{}{unit}", rest / millis)?;
                rest %= millis;
            }
        }
        Ok(())
    }
}

/// Largest first, as [`Duration`] wants its parts.
const MILLIS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn reads_durations_as_people_write_them() {
        for (text, millis) in [
            ("800ms", 800),
            ("30s", 30_000),
            ("1m30s", 90_000),
            ("2h", 7_200_000),
            ("0s", 0),
        ] {
            assert_eq!(
                text.parse::<Duration>().unwrap(),
                Duration::from_millis(millis),
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_what_could_mean_two_durations() {
        for text in [
            "",
            "30",
            "s",
            "30 s",
            "1.5s",
            "-1s",
            "30s1m",
            "1s1s",
            "30sec",
            "99999999999999d",
        ] {
            assert!(text.parse::<Duration>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_bare_number_is_told_about_units() {
        let error = serde_yaml::from_str::<Duration>("30").unwrap_err();
        assert!(error.to_string().contains("\"30\" is not a duration"), "{error}");
    }
}
