//! How many in which time.

use std::fmt;
use std::str::FromStr;
use std::time;

use schemars::JsonSchema;

use super::{Duration, UnitError};

/// So many in a time: `10/s`, `600/m`, `100/h`, `5/10s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("pattern" = r"^\d+/(d|h|m|s|ms|(\d+(d|h|m|s|ms))+)$", "examples" = ["10/s", "600/m"]))]
pub struct Rate {
    count: u32,
    per: Duration,
}

impl Rate {
    pub const fn per_second(count: u32) -> Self {
        Self {
            count,
            per: Duration::from_secs(1),
        }
    }

    pub const fn count(self) -> u32 {
        self.count
    }

    pub const fn per(self) -> time::Duration {
        self.per.get()
    }

    /// How many that makes over another time.
    pub fn over(self, time: time::Duration) -> f64 {
        f64::from(self.count) * time.as_secs_f64() / self.per().as_secs_f64()
    }
}

impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let malformed = || UnitError::Rate(text.to_owned());
        let (count, per) = text.split_once('/').ok_or_else(malformed)?;
        let count = count
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| count.parse().ok())
            .flatten();
        let one = if per.starts_with(|c: char| c.is_ascii_digit()) {
            ""
        } else {
            "1"
        };
        let per: Duration = format!("{one}{per}").parse().map_err(|_| malformed())?;
        if per.get().is_zero() {
            return Err(malformed());
        }
        Ok(Self {
            count: count.ok_or_else(malformed)?,
            per,
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per = self.per.to_string();
        let alone = per
            .strip_prefix('1')
            .filter(|unit| !unit.contains(|c: char| c.is_ascii_digit()));
        write!(f, "{}/{}", self.count, alone.unwrap_or(&per))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn reads_a_rate_by_the_second_and_by_other_times() {
        for (text, count, seconds) in [("10/s", 10, 1), ("600/m", 600, 60), ("1/10s", 1, 10), ("0/h", 0, 3_600)] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.count(), rate.per().as_secs()), (count, seconds), "{text}");
            assert_eq!(rate.to_string(), text);
        }
        assert_eq!(
            "600/m".parse::<Rate>().unwrap().over(time::Duration::from_secs(3)),
            30.0
        );
        for text in ["", "10", "10/", "/s", "+1/s", "10/0s", "10/week", "1.5/s", "10 / s"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }
}
