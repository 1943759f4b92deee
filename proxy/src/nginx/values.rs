//! Values as Nginx writes them.

use crate::yaml::units::{ByteSize, Duration};

/// `30`, `30s`, `1m30s`, `500ms`, `1h`, `1d`; nothing where it is none.
pub fn time(text: &str) -> Option<Duration> {
    Duration::of_any_unit(text)
}

/// `512`, `8k`, `10m`, `1g`; nothing where it is none.
pub fn size(text: &str) -> Option<ByteSize> {
    let (digits, factor) = match text.char_indices().last()? {
        (at, 'k' | 'K') => (&text[..at], 1 << 10),
        (at, 'm' | 'M') => (&text[..at], 1 << 20),
        (at, 'g' | 'G') => (&text[..at], 1 << 30),
        _ => (text, 1),
    };
    let bytes = digits.parse::<u64>().ok()?.checked_mul(factor)?;
    format!("{bytes}B").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_nginx_reads() {
        for (text, seconds) in [
            ("30", 30.0),
            ("30s", 30.0),
            ("1m30s", 90.0),
            ("1m 30s", 90.0),
            ("500ms", 0.5),
            ("1h", 3600.0),
            ("0", 0.0),
            ("1d", 86_400.0),
        ] {
            assert_eq!(time(text).map(|time| time.get().as_secs_f64()), Some(seconds), "{text}");
        }
        for text in ["", "s", "-1", "1x", "99999999999999999999s", "1.5s", "é"] {
            assert_eq!(time(text), None, "{text}");
        }
        for (text, bytes) in [("512", 512), ("8k", 8192), ("10m", 10 << 20), ("1g", 1 << 30), ("0", 0)] {
            assert_eq!(size(text).map(ByteSize::get), Some(bytes), "{text}");
        }
        for text in ["", "k", "1t", "-1", "99999999999g", "é"] {
            assert_eq!(size(text), None, "{text}");
        }
    }
}
