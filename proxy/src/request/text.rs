//! Numbers, addresses and moments as text, appended in place. Every request writes a dozen of them, and the standard
//! library's formatting costs ten times as much.

use std::io::Write;
use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

/// Appends a number in decimal digits.
pub fn push_number(text: &mut Vec<u8>, number: u64) {
    let mut digits = [0; u64::MAX.ilog10() as usize + 1];
    let mut first = digits.len();
    let mut left = number;
    loop {
        first -= 1;
        digits[first] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    text.extend_from_slice(&digits[first..]);
}

/// Appends the last so many decimal digits of a number, zeros in front included.
pub fn push_digits(text: &mut Vec<u8>, number: u64, places: usize) {
    let start = text.len();
    text.resize(start + places, b'0');
    let mut left = number;
    for digit in text[start..].iter_mut().rev() {
        *digit = b'0' + (left % 10) as u8;
        left /= 10;
    }
}

/// Appends an address as its `Display` writes it.
pub fn push_address(text: &mut Vec<u8>, address: IpAddr) {
    let IpAddr::V4(v4) = address else {
        return write!(text, "{address}").expect("a Vec takes what is written to it");
    };
    for (place, octet) in v4.octets().into_iter().enumerate() {
        if place > 0 {
            text.push(b'.');
        }
        push_number(text, octet.into());
    }
}

/// Appends a moment as RFC 3339 writes it, in UTC, to the millisecond: `2000-02-29T00:00:00.123Z`.
pub fn push_moment(text: &mut Vec<u8>, moment: SystemTime) {
    let since_epoch = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since_epoch.as_secs();
    let (year, month, day) = date(seconds / 86_400);
    for (number, places, after) in [
        (year, 4, b'-'),
        (month, 2, b'-'),
        (day, 2, b'T'),
        (seconds / 3600 % 24, 2, b':'),
        (seconds / 60 % 60, 2, b':'),
        (seconds % 60, 2, b'.'),
        (since_epoch.subsec_millis().into(), 3, b'Z'),
    ] {
        push_digits(text, number, places);
        text.push(after);
    }
}

/// Year, month and day of a day since 1970-01-01. Counts in eras of 400 years that begin in March, so that the leap day
/// is a year's last (Hinnant, "chrono-compatible low-level date algorithms").
fn date(days_since_epoch: u64) -> (u64, u64, u64) {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn written(push: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut text = Vec::new();
        push(&mut text);
        String::from_utf8(text).unwrap()
    }

    proptest! {
        #[test]
        fn writes_what_display_writes(number: u64, address: IpAddr) {
            prop_assert_eq!(written(|text| push_number(text, number)), number.to_string());
            prop_assert_eq!(written(|text| push_address(text, address)), address.to_string());
        }
    }

    #[test]
    fn writes_zeros() {
        assert_eq!(written(|text| push_number(text, 0)), "0");
        assert_eq!(written(|text| push_digits(text, 7, 3)), "007");
        assert_eq!(written(|text| push_digits(text, 12_345, 3)), "345");
    }

    #[test]
    fn writes_a_moment() {
        let moment = UNIX_EPOCH + Duration::from_millis(951_782_400_123);
        assert_eq!(written(|text| push_moment(text, moment)), "2000-02-29T00:00:00.123Z");
    }

    #[test]
    fn knows_the_calendar() {
        assert_eq!(date(0), (1970, 1, 1));
        assert_eq!(date(11_016), (2000, 2, 29));
        assert_eq!(date(19_782), (2024, 2, 29));
        assert_eq!(date(20_453), (2025, 12, 31));
    }
}
