//! Amounts of bytes.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;

use super::UnitError;

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
        let bytes = quantity::bytes(text).ok_or_else(|| UnitError::ByteSize(text.to_owned()))?;
        Ok(Self(bytes))
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
