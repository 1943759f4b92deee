//! Sizes and lengths of time as a person writes them, in YAML as on the command line; the unit is a part of the value. And
//! addresses as proxies write them.

pub mod forwarded;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

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

/// A moment as RFC 3339 writes it, in UTC, to the millisecond: `2000-02-29T00:00:00.123Z`.
pub fn moment(moment: SystemTime) -> String {
    let since_epoch = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since_epoch.as_secs();
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let millis = since_epoch.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Year, month and day of a day since 1970-01-01. Counts in eras of 400 years that begin in March, so that the leap day
/// is a year's last (Hinnant, "chrono-compatible low-level date algorithms").
pub fn date(days_since_epoch: u64) -> (u64, u64, u64) {
    let days = days_since_epoch + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
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
    fn writes_moments_of_leap_years_and_their_ends() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_123, "2000-02-29T00:00:00.123Z"),
            (1_735_689_599_999, "2024-12-31T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(moment(UNIX_EPOCH + Duration::from_millis(millis)), text);
        }
    }

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
