//! Which Nginx a configuration was written for: what it says nothing of depends on that.

use std::fmt;
use std::str::FromStr;

/// `1.28.0`
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version([u16; 3]);

impl Version {
    /// The newest stable one.
    pub const NEWEST: Self = Self([1, 30, 0]);

    /// Whether backends are spoken to in HTTP/1.1, over connections that are kept, where nothing else is said.
    pub fn keeps_connections(self) -> bool {
        self >= Self([1, 29, 7])
    }
}

impl Default for Version {
    fn default() -> Self {
        Self::NEWEST
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Option<Vec<u16>> = text.split('.').map(|number| number.parse().ok()).collect();
        match numbers.as_deref() {
            Some([major, minor]) => Ok(Self([*major, *minor, 0])),
            Some([major, minor, patch]) => Ok(Self([*major, *minor, *patch])),
            _ => Err(format!("{text:?} is no version of Nginx's, such as 1.28.0")),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "{major}.{minor}.{patch}")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn versions_are_numbers() {
        for (text, keeps) in [
            ("1.18", false),
            ("1.29.6", false),
            ("1.29.7", true),
            ("1.30.0", true),
            ("2.0", true),
        ] {
            assert_eq!(text.parse::<Version>().unwrap().keeps_connections(), keeps, "{text}");
        }
        for text in ["", "1", "1.2.3.4", "1.x", "-1.2", "1.99999"] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }
}
