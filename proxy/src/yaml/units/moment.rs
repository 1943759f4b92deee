//! Moments as Nginx's `expires` has them.

use std::str::FromStr;

use super::{Duration, UnitError};

/// When something is no longer to be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Nothing is said of it.
    Off,
    /// It never was.
    Epoch,
    /// It always will be.
    Max,
    /// Seconds after midnight.
    Daily(i64),
    /// Seconds from now on, or before now.
    After(i64),
}

impl FromStr for Moment {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        read(text).ok_or_else(|| UnitError::Moment(text.to_owned()))
    }
}

fn read(text: &str) -> Option<Moment> {
    let seconds = |text: &str| i64::try_from(Duration::of_any_unit(text)?.get().as_secs()).ok();
    Some(match (text, text.split_at_checked(1)?) {
        ("off", _) => Moment::Off,
        ("epoch", _) => Moment::Epoch,
        ("max", _) => Moment::Max,
        (_, ("@", time)) => Moment::Daily(seconds(time).filter(|time| *time <= 86_400)?),
        (_, ("-", time)) => Moment::After(-seconds(time)?),
        (_, ("+", time)) => Moment::After(seconds(time)?),
        _ => Moment::After(seconds(text)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read() {
        for (text, moment) in [
            ("2048", Moment::After(2048)),
            ("+1h", Moment::After(3600)),
            ("-1y", Moment::After(-31_536_000)),
            ("@15h30m", Moment::Daily(55_800)),
            ("max", Moment::Max),
        ] {
            assert_eq!(text.parse::<Moment>().ok(), Some(moment), "{text}");
        }
        for text in ["", "bad", "@25h", "1x", "é", "--1"] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
    }
}
