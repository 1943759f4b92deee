//! Addresses in fields such as `X-Forwarded-For`, as proxies write them.

use std::net::{IpAddr, SocketAddr};

/// The entries of a field of several lines that is a list, from the last one on.
pub fn from_the_last<'a>(lines: &[&'a [u8]]) -> impl Iterator<Item = &'a [u8]> {
    let entries = lines.iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b','));
    entries.map(<[u8]>::trim_ascii).filter(|entry| !entry.is_empty())
}

/// The address in an entry such as `192.0.2.1`, `192.0.2.1:4000`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:4000`.
pub fn address(entry: &[u8]) -> Option<IpAddr> {
    let entry = std::str::from_utf8(entry).ok()?;
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = match entry.parse::<SocketAddr>() {
        Ok(address) => address.ip(),
        Err(_) => bare.unwrap_or(entry).parse().ok()?,
    };
    Some(address.to_canonical())
}
