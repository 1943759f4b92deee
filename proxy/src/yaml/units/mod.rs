//! Quantities as a person writes them in YAML: parsed once, at the edge, and exact from then on.
//! A bare number is refused where it could mean two things; the unit is part of the value.

mod byte_size;
mod cidr;
mod duration;
mod headers;
mod moment;
mod rate;
mod ratio;

use std::borrow::Cow;
use std::fmt;

use ipnet::IpNet;
use serde::de::{self, Deserialize, Deserializer, Visitor};

pub use self::byte_size::ByteSize;
pub use self::cidr::Cidr;
pub use self::duration::{Duration, some_time};
pub use self::headers::headers;
pub use self::moment::Moment;
pub use self::rate::Rate;
pub use self::ratio::Ratio;

#[derive(Debug, thiserror::Error)]
pub enum UnitError {
    #[error("{0:?} is not a duration; write a whole number with its unit, such as 800ms, 30s or 1m30s")]
    Duration(String),
    #[error("{0:?} is not a moment; write 30d, -1h, @15h30m, epoch, max or off")]
    Moment(String),
    #[error("{0:?} is not a size; write a whole number with its unit, such as 512B, 64KiB or 10MiB")]
    ByteSize(String),
    #[error("{0:?} is not a share; write 20% or 0.2, at least 0% and at most 100%")]
    Ratio(String),
    #[error("{0:?} is not a rate; write a whole number and a time, such as 10/s or 100/m")]
    Rate(String),
    #[error("{0:?} is not a network; write 10.0.0.0/8, fd00::/8 or one address")]
    Cidr(String),
    #[error("{written:?} has bits set behind its prefix; write {meant}")]
    HostBits { written: String, meant: IpNet },
}

/// As Nginx writes it, or YAML.
pub fn on_or_off<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    struct Switch;

    impl Visitor<'_> for Switch {
        type Value = bool;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("on or off")
        }

        fn visit_bool<E: de::Error>(self, on: bool) -> Result<bool, E> {
            Ok(on)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<bool, E> {
            match text {
                "on" => Ok(true),
                "off" => Ok(false),
                _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
            }
        }
    }

    deserializer.deserialize_any(Switch)
}

/// Reads a quantity from a YAML scalar: the text itself, or a bare number as the text it was written with, so that
/// the error can say which unit is missing.
struct Scalar;

impl<'de> Visitor<'de> for Scalar {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a quantity with its unit")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(text.to_owned().into())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(number.to_string().into())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(number.to_string().into())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(number.to_string().into())
    }
}

macro_rules! deserialize_from_str {
    ($($unit:ty),*) => {$(
        impl<'de> Deserialize<'de> for $unit {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Scalar)?.parse().map_err(de::Error::custom)
            }
        }

        impl serde::Serialize for $unit {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}

deserialize_from_str!(Duration, ByteSize, Ratio, Rate, Cidr);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_shown_reads_back(millis in 0_u64..1 << 45, bytes: u64, percent in 0_u8..=100) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(duration.to_string().parse::<Duration>().unwrap(), duration);
            let size = ByteSize::from_bytes(bytes);
            prop_assert_eq!(size.to_string().parse::<ByteSize>().unwrap(), size);
            let ratio = Ratio::from_percent(percent);
            prop_assert_eq!(ratio.to_string().parse::<Ratio>().unwrap(), ratio);
        }
    }
}
