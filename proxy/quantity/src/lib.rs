//! Sizes and lengths of time as a person writes them, in YAML as on the command line. The unit is a part of the value.

use std::time::Duration;

/// Bytes: `512B`, `64KiB`, `10MiB`, `1GiB`. `k`, `m` and `g` are Nginx's, 1024 each; `kB`, `MB` and `GB` are the decimal ones.
pub fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = leading_digits(text)?;
    let factor = match unit {
        "B" => 1,
        "k" | "K" | "KiB" => 1 << 10,
        "m" | "M" | "MiB" => 1 << 20,
        "g" | "G" | "GiB" => 1 << 30,
        "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// A length of time: `800ms`, `30s`, `1m30s`, `2h`. Parts may be strung together, largest first.
pub fn time(text: &str) -> Option<Duration> {
    let mut total = 0_u64;
    let mut smallest = u64::MAX;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, after) = leading_digits(rest)?;
        let unit_length = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_length);
        let (_, millis) = MILLIS.into_iter().find(|(name, _)| *name == unit)?;
        if millis >= smallest {
            return None;
        }
        total = total.checked_add(number.checked_mul(millis)?)?;
        smallest = millis;
        rest = after;
    }
    (!text.is_empty()).then(|| Duration::from_millis(total))
}

/// The number that a text begins with, and what follows it.
fn leading_digits(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

/// The units of time and their milliseconds, largest first, as [`time`] wants its parts.
pub const MILLIS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sizes_of_both_schools() {
        for (text, size) in [
            ("512B", 512),
            ("64k", 65_536),
            ("10MiB", 10_485_760),
            ("1GB", 1_000_000_000),
        ] {
            assert_eq!(bytes(text), Some(size), "{text}");
        }
        for text in ["", "10", "MiB", "1.5MiB", "10 MiB", "10mib", "99999999999GiB"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }

    #[test]
    fn reads_times_as_people_write_them() {
        for (text, millis) in [
            ("800ms", 800),
            ("30s", 30_000),
            ("1m30s", 90_000),
            ("2h", 7_200_000),
            ("0s", 0),
        ] {
            assert_eq!(time(text), Some(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn refuses_what_could_mean_two_times() {
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
            assert_eq!(time(text), None, "{text}");
        }
    }
}
