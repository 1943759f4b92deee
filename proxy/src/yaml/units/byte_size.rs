//! Amounts of bytes.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;

use super::{UnitError, leading_digits};

/// An amount of bytes: `512B`, `64KiB`, `10MiB`, `1GiB`. `k`, `m` and `g` are Nginx's, 1024 each; `kB`, `MB` and `GB` are
/// the decimal ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
#[schemars(with = "String", extend("pattern" = "^[0-9]+(B|k|K|KiB|m|M|MiB|g|G|GiB|kB|MB|GB)$", "examples" = ["64KiB", "10MiB"]))]
pub struct ByteSize(u64);

impl ByteSize {
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    pub const fn from_kib(kib: u64) -> Self {
        Self(kib << 10)
    }

    pub const fn from_mib(mib: u64) -> Self {
        Self(mib << 20)
    }

    pub const fn get(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let malformed = || UnitError::ByteSize(text.to_owned());
        let (number, unit) = leading_digits(text).ok_or_else(malformed)?;
        let factor = match unit {
            "B" => 1,
            "k" | "K" | "KiB" => 1 << 10,
            "m" | "M" | "MiB" => 1 << 20,
            "g" | "G" | "GiB" => 1 << 30,
            "kB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            _ => return Err(malformed()),
        };
        number.checked_mul(factor).map(Self).ok_or_else(malformed)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, shift) = [("GiB", 30), ("MiB", 20), ("KiB", 10)]
            .into_iter()
            .find(|(_, shift)| self.0 != 0 && self.0.trailing_zeros() >= *shift)
            .unwrap_or(("B", 0));
        write!(f, "{}{unit}", self.0 >> shift)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn reads_sizes_of_both_schools() {
        for (text, bytes) in [
            ("512B", 512),
            ("64k", 65_536),
            ("10MiB", 10_485_760),
            ("1GB", 1_000_000_000),
        ] {
            assert_eq!(text.parse::<ByteSize>().unwrap().get(), bytes, "{text}");
        }
        for text in ["", "10", "MiB", "1.5MiB", "10 MiB", "10mib", "99999999999GiB"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }
}
