//! Shares of a whole.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde_json::{Value, json};

use super::UnitError;

/// A share between nothing and all: `20%` or `0.2`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, JsonSchema)]
#[schemars(with = "Value", extend("examples" = ["20%", "0.2"], "anyOf" = [
    json!({ "type": "number", "minimum": 0, "maximum": 1 }),
    json!({ "type": "string", "pattern": "^[0-9.]+%?$" }),
]))]
pub struct Ratio(f64);

impl Ratio {
    pub const fn from_percent(percent: u8) -> Self {
        Self(percent as f64 / 100.0)
    }

    pub const fn get(self) -> f64 {
        self.0
    }

    fn checked(value: f64, text: &dyn fmt::Display) -> Result<Self, UnitError> {
        if !(0.0..=1.0).contains(&value) {
            return Err(UnitError::Ratio(text.to_string()));
        }
        Ok(Self(value))
    }
}

impl FromStr for Ratio {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, divisor) = text.strip_suffix('%').map_or((text, 1.0), |number| (number, 100.0));
        let value: f64 = number.parse().map_err(|_| UnitError::Ratio(text.to_owned()))?;
        Self::checked(value / divisor, &text)
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Ten decimals hide what binary fractions do to a written percentage, and nothing a person would write.
        write!(f, "{}%", (self.0 * 100.0 * 1e10).round() / 1e10)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn reads_a_share_with_and_without_percent() {
        assert_eq!("20%".parse::<Ratio>().unwrap().get(), 0.2);
        assert_eq!(serde_yaml::from_str::<Ratio>("0.2").unwrap().get(), 0.2);
        assert_eq!(Ratio::from_percent(7).to_string(), "7%");
        for text in ["120%", "-1%", "20", "NaN", "inf", "%"] {
            assert!(text.parse::<Ratio>().is_err(), "{text}");
        }
    }
}
