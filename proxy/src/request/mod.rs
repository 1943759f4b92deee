//! What Veil knows of a request while it lives: who sent it, when, and by which name logs and backends call it.

pub mod connection;
pub mod deadline;
pub mod expression;
pub mod jump;
pub mod networks;
pub mod notes;
pub mod pages;
pub mod path;
pub mod problem;
pub mod spelling;
pub mod syntax;
pub mod tables;
pub mod target;
#[cfg(test)]
pub mod testing;
pub mod text;
pub mod trace;
pub mod traffic;
pub mod variables;

use std::cell::Cell;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use pingora::http::RequestHeader;

use self::notes::Notes;

/// A request's own facts, for filters, the access line and error answers.
#[derive(Debug)]
pub struct RequestCtx {
    pub id: RequestId,
    /// The other end of the connection.
    pub peer: SocketAddr,
    /// Who asks: the peer, unless the peer is a trusted proxy that names another; none where that name cannot be read.
    pub client: Option<IpAddr>,
    pub scheme: Scheme,
    /// The path that routes match, where it is another than the one that was sent; see [`path::normal`].
    pub path: Option<Box<str>>,
    /// When the head had been read.
    pub received: Instant,
    /// What texts may look up by `$table_NAME`; none where there is nothing.
    pub tables: Option<Arc<dyn LookUp>>,
    pub notes: Notes,
}

/// Finds what a table says of a request.
pub trait LookUp: fmt::Debug + Send + Sync {
    /// Appends it; nothing where there is no such table.
    fn append(&self, table: &str, head: &RequestHeader, ctx: &RequestCtx, text: &mut Vec<u8>);
}

impl RequestCtx {
    /// The path that routes match. Nginx: `$uri`.
    pub fn path<'a>(&'a self, head: &'a RequestHeader) -> &'a str {
        self.path.as_deref().unwrap_or_else(|| head.uri.path())
    }

    /// Whom to count or to place the request for: where it is not known who asks, that is the proxy that knows.
    pub fn account(&self) -> IpAddr {
        self.client.unwrap_or(self.peer.ip())
    }
}

/// How the request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// The value of `X-Request-Id`: the client's own where it is sane, else 32 random hexadecimal digits, as Nginx's
/// `$request_id`. Kept in place, without an allocation.
#[derive(Clone, Copy)]
pub struct RequestId {
    bytes: [u8; Self::LONGEST],
    length: u8,
}

impl RequestId {
    /// Bytes of the longest id that is taken over from a client.
    pub const LONGEST: usize = 64;

    /// The client's id, if it is short and made of letters, digits, `.`, `_` and `-` only: it ends up in logs.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let sane = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if value.is_empty() || value.len() > Self::LONGEST || !value.iter().all(sane) {
            return None;
        }
        let mut bytes = [0; Self::LONGEST];
        bytes[..value.len()].copy_from_slice(value);
        Some(Self {
            bytes,
            length: value.len() as u8,
        })
    }

    /// A new id.
    pub fn random() -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let random = (u128::from(random_bits()) << 64) | u128::from(random_bits());
        let mut bytes = [0; Self::LONGEST];
        for (place, digit) in bytes.iter_mut().take(32).enumerate() {
            *digit = DIGITS[(random >> (4 * place)) as usize & 15];
        }
        Self { bytes, length: 32 }
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).expect("an id is made of ASCII alone")
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({self})")
    }
}

/// The next number of this thread's SplitMix64 sequence (Steele, Lea and Flood, 2014), seeded by the system's
/// randomness. Ids have to differ, not to be secret.
pub fn random_bits() -> u64 {
    thread_local! {
        static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(0));
    }
    STATE.with(|state| {
        let next = state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        state.set(next);
        let mixed = (next ^ (next >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn keeps_a_sane_id() {
        assert_eq!(RequestId::parse(b"a.B_c-9").unwrap().as_str(), "a.B_c-9");
        assert_eq!(RequestId::parse(&[b'x'; 64]).unwrap().as_str().len(), 64);
    }

    #[test]
    fn refuses_an_id_that_would_spoil_a_log() {
        for value in [&b""[..], b"a b", b"a\"b", b"a\nb", "ä".as_bytes(), &[b'x'; 65]] {
            assert!(RequestId::parse(value).is_none(), "{value:?}");
        }
    }

    #[test]
    fn makes_ids_that_differ() {
        let ids: std::collections::HashSet<String> = (0..10_000).map(|_| RequestId::random().to_string()).collect();
        assert_eq!(ids.len(), 10_000);
        assert!(
            ids.iter()
                .all(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
        );
    }
}
