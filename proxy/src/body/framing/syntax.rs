//! What targets, hosts and lengths may be made of.

/// What a URI can be made of, which the routes need: most targets show it by their letters. A fragment is no part of one.
pub(super) fn is_target(target: &[u8]) -> bool {
    let plain = |byte: &u8| matches!(byte, b'!' | b'$'..=b';' | b'=' | b'?'..=b'_' | b'a'..=b'z' | b'|' | b'~');
    let is_uri = || {
        let text = std::str::from_utf8(target).ok();
        !target.contains(&b'#') && text.is_some_and(|text| text.parse::<http::Uri>().is_ok())
    };
    !target.is_empty() && (target.iter().all(plain) || is_uri())
}

pub(super) fn authority_of_absolute(target: &[u8]) -> Option<&[u8]> {
    let scheme_end = target.iter().position(|byte| *byte == b':')?;
    let (scheme, rest) = target.split_at(scheme_end);
    if !scheme.eq_ignore_ascii_case(b"http") && !scheme.eq_ignore_ascii_case(b"https") {
        return None;
    }
    let rest = rest.strip_prefix(b"://")?;
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?' | b'#'))
        .unwrap_or(rest.len());
    Some(&rest[..end]).filter(|authority| is_host(authority))
}

/// A host with or without a port. Who it names is for DNS to say; here it must not hold what ends or splits an
/// authority.
pub(super) fn is_host(value: &[u8]) -> bool {
    let (name, port) = match value.iter().rposition(|byte| *byte == b':') {
        Some(colon) if !value[colon..].contains(&b']') => (&value[..colon], &value[colon + 1..]),
        _ => (value, &b""[..]),
    };
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=%".contains(byte);
    let name_is_good = match name.strip_prefix(b"[") {
        Some(address) => address
            .strip_suffix(b"]")
            .is_some_and(|inside| !inside.is_empty() && inside.iter().all(|byte| b":,".contains(byte) || plain(byte))),
        None => !name.is_empty() && name.iter().all(plain),
    };
    name_is_good && !name.windows(2).any(|pair| pair == b"..") && port.iter().all(u8::is_ascii_digit)
}
