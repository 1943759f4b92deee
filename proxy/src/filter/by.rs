//! What clients are told apart by where each has an allowance.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};

use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::request::RequestCtx;
use crate::request::variables::Template;

/// `key: $header_x_api_key`, or several together: `key: $host/$client_address`. The client's address unless given, and where
/// the request has nothing of it; an IPv6 client is its /64 network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct By(Option<Template>);

/// Whose allowance it is: an address, or a hash that nobody can aim at another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Who(u128);

impl By {
    /// `keys` are for this process alone.
    pub fn who(&self, keys: &RandomState, request: &RequestHeader, ctx: &RequestCtx) -> Who {
        let text = self.0.as_ref().map(|template| template.bytes(request, ctx));
        match text.filter(|text| !text.is_empty()) {
            Some(text) => Who(hash(keys, &text)),
            None => Who::at(ctx.account()),
        }
    }
}

impl By {
    /// The same for the same client on every host and after every start.
    pub fn stable(&self, request: &RequestHeader, ctx: &RequestCtx) -> u64 {
        let text = self.0.as_ref().map(|template| template.bytes(request, ctx));
        match text.filter(|text| !text.is_empty()) {
            Some(text) => fnv(&text),
            None => fnv(&Who::at(ctx.account()).0.to_be_bytes()),
        }
    }
}

/// FNV-1a (Fowler, Noll, Vo), whose high bits are then mixed into the low ones.
fn fnv(text: &[u8]) -> u64 {
    let hash = text.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}

impl Who {
    pub fn at(client: IpAddr) -> Self {
        Self(match household(client) {
            IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
            IpAddr::V6(address) => address.to_bits(),
        })
    }
}

fn hash(keys: &RandomState, text: &[u8]) -> u128 {
    let half = |salt: u8| {
        let mut hasher = keys.build_hasher();
        salt.hash(&mut hasher);
        hasher.write(text);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}

/// Whom an address stands for: a subscriber has a whole IPv6 /64 to choose addresses from.
fn household(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address => address,
    }
}
