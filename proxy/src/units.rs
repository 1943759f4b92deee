//! Quantities as a person writes them in YAML: parsed once, at the edge, and exact from then on.
//! A bare number is refused where it could mean two things; the unit is part of the value.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time;

use ipnet::IpNet;
use serde::de::{self, Deserialize, Deserializer, Visitor};

/// A length of time: `800ms`, `30s`, `1m30s`, `2h`. Parts may be strung together, largest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

/// An amount of bytes: `512B`, `64KiB`, `10MiB`, `1GiB`. `k`, `m` and `g` are Nginx's, 1024 each; `kB`, `MB` and `GB` are
/// the decimal ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

/// A share between nothing and all: `20%` or `0.2`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
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

/// So many in a time: `10/s`, `600/m`, `100/h`, `5/10s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// A network, `10.0.0.0/8` or `fd00::/8`; an address alone stands for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cidr(IpNet);

impl Cidr {
    pub const fn get(self) -> IpNet {
        self.0
    }

    /// Whether the network holds the address. An IPv4 address that arrived on an IPv6 socket counts as IPv4.
    pub fn contains(self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for Cidr {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let malformed = || UnitError::Cidr(text.to_owned());
        let Ok(network) = text.parse::<IpNet>() else {
            return text
                .parse::<IpAddr>()
                .map(|address| Self(address.into()))
                .map_err(|_| malformed());
        };
        if network.trunc() != network {
            return Err(UnitError::HostBits {
                written: text.to_owned(),
                meant: network.trunc(),
            });
        }
        Ok(Self(network))
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum UnitError {
    #[error("{0:?} is not a duration; write a whole number with its unit, such as 800ms, 30s or 1m30s")]
    Duration(String),
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

fn leading_digits(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
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

    #[test]
    fn reads_a_share_with_and_without_percent() {
        assert_eq!("20%".parse::<Ratio>().unwrap().get(), 0.2);
        assert_eq!(serde_yaml::from_str::<Ratio>("0.2").unwrap().get(), 0.2);
        assert_eq!(Ratio::from_percent(7).to_string(), "7%");
        for text in ["120%", "-1%", "20", "NaN", "inf", "%"] {
            assert!(text.parse::<Ratio>().is_err(), "{text}");
        }
    }

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

    #[test]
    fn an_address_alone_is_a_network_of_one() {
        let one: Cidr = "192.0.2.1".parse().unwrap();
        assert_eq!(one.to_string(), "192.0.2.1/32");
        assert!(one.contains("::ffff:192.0.2.1".parse().unwrap()));
        assert!(!one.contains("192.0.2.2".parse().unwrap()));
    }

    #[test]
    fn a_network_with_host_bits_is_told_what_it_meant() {
        let error = "10.1.2.3/8".parse::<Cidr>().unwrap_err();
        assert!(error.to_string().ends_with("; write 10.0.0.0/8"), "{error}");
    }

    #[test]
    fn a_bare_number_is_told_about_units() {
        let error = serde_yaml::from_str::<Duration>("30").unwrap_err();
        assert!(error.to_string().contains("\"30\" is not a duration"), "{error}");
    }

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
