//! Numbers, addresses and moments as text, appended in place. Every request writes a dozen of them, and the standard
//! library's formatting costs ten times as much.

use std::io::Write;
use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

/// Two digits a byte.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

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

/// Appends seconds with their thousandths: `1.234`.
pub fn push_seconds(text: &mut Vec<u8>, milliseconds: u128) {
    push_number(text, (milliseconds / 1000) as u64);
    text.push(b'.');
    push_digits(text, (milliseconds % 1000) as u64, 3);
}

/// Appends an address as its `Display` writes it.
pub fn push_address(text: &mut Vec<u8>, address: IpAddr) {
    let IpAddr::V4(v4) = address else {
        return write!(text, "{address}").expect("a Vec takes what is written to it");
    };
    let mut digits = [0; "255.255.255.255".len()];
    let mut end = 0;
    let mut push = |byte| {
        digits[end] = byte;
        end += 1;
    };
    for (place, octet) in v4.octets().into_iter().enumerate() {
        if place > 0 {
            push(b'.');
        }
        if octet >= 100 {
            push(b'0' + octet / 100);
        }
        if octet >= 10 {
            push(b'0' + octet / 10 % 10);
        }
        push(b'0' + octet % 10);
    }
    text.extend_from_slice(&digits[..end]);
}

/// Appends a moment as RFC 3339 writes it, in UTC, to the millisecond: `2000-02-29T00:00:00.123Z`.
pub fn push_moment(text: &mut Vec<u8>, moment: SystemTime) {
    let since_epoch = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since_epoch.as_secs();
    let (year, month, day) = quantity::date(seconds / 86_400);
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
        assert_eq!(quantity::date(0), (1970, 1, 1));
        assert_eq!(quantity::date(11_016), (2000, 2, 29));
        assert_eq!(quantity::date(19_782), (2024, 2, 29));
        assert_eq!(quantity::date(20_453), (2025, 12, 31));
    }
}
