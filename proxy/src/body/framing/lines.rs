//! Lines of a head that end with LF alone, where a listener takes them (RFC 9112, section 2.2).

use bytes::BytesMut;

/// Gives each line of the head at the beginning of `bytes` its CR. The first `seen` bytes have theirs, and nothing behind the
/// head's empty line is touched: it is a body, or another request.
pub(super) fn mend_lines(bytes: &mut BytesMut, seen: usize) {
    let mut from = seen.min(bytes.len());
    while let Some(offset) = bytes[from..].iter().position(|byte| *byte == b'\n') {
        let mut line_feed = from + offset;
        if line_feed == 0 || bytes[line_feed - 1] != b'\r' {
            let rest = bytes.split_off(line_feed);
            bytes.extend_from_slice(b"\r");
            bytes.unsplit(rest);
            line_feed += 1;
        }
        from = line_feed + 1;
        let is_within = bytes[..from] != b"\r\n"[..];
        if is_within && bytes[..from].ends_with(b"\r\n\r\n") {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_head_is_mended() {
        for (sent, mended) in [
            (
                "GET / HTTP/1.0\nHost: a\n\nbody\nbody\n",
                "GET / HTTP/1.0\r\nHost: a\r\n\r\nbody\nbody\n",
            ),
            (
                "GET / HTTP/1.0\r\nHost: a\n\r\n\n",
                "GET / HTTP/1.0\r\nHost: a\r\n\r\n\n",
            ),
            ("GET / HTTP/1.0\r\n\r\nb\n", "GET / HTTP/1.0\r\n\r\nb\n"),
            ("\nGET / HTTP/1.0\n\n", "\r\nGET / HTTP/1.0\r\n\r\n"),
            ("GET / HT", "GET / HT"),
        ] {
            let mut bytes = BytesMut::from(sent);
            mend_lines(&mut bytes, 0);
            assert_eq!(bytes, mended, "{sent:?}");
        }
    }

    #[test]
    fn however_it_comes_it_is_the_same() {
        let sent = b"GET / HTTP/1.0\nHost: a\n\nbody\n";
        for cut in 0..sent.len() {
            let mut bytes = BytesMut::from(&sent[..cut]);
            mend_lines(&mut bytes, 0);
            let is_whole = bytes.ends_with(b"\r\n\r\n") || cut > 24;
            let seen = bytes.len();
            bytes.extend_from_slice(&sent[cut..]);
            if !is_whole {
                mend_lines(&mut bytes, seen);
            }
            assert_eq!(bytes, b"GET / HTTP/1.0\r\nHost: a\r\n\r\nbody\n"[..], "{cut}");
        }
    }
}
