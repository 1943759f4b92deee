//! A share of a route's requests to another pool: a new version for a few clients first.

use std::sync::Arc;

use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::filter::By;
use crate::pool::Pool;
use crate::request::RequestCtx;

/// `split: { pools: [{ pool: old, weight: 95 }, { pool: new, weight: 5 }] }`. A client stays with its pool; where the last
/// pool's share grows, those that it had stay.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(try_from = "SplitFields")]
#[schemars(with = "SplitFields")]
pub struct SplitConfig {
    pub pools: Vec<ShareConfig>,
    key: By,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SplitFields {
    pools: Vec<ShareConfig>,
    /// What clients are told apart by: `$cookie_session`, say.
    #[serde(default)]
    key: By,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ShareConfig {
    pub pool: String,
    /// Its share beside the others'; 0 for none.
    #[schemars(range(max = 65535))]
    weight: u16,
}

impl TryFrom<SplitFields> for SplitConfig {
    type Error = &'static str;

    fn try_from(fields: SplitFields) -> Result<Self, Self::Error> {
        match fields.pools.iter().any(|share| share.weight > 0) {
            true => Ok(Self {
                pools: fields.pools,
                key: fields.key,
            }),
            false => Err("no pool has a share; write a weight above 0"),
        }
    }
}

impl SplitConfig {
    /// Which of the pools serves a request, by its place.
    pub fn choose(&self, request: &RequestHeader, ctx: &RequestCtx) -> usize {
        let total: u64 = self.pools.iter().map(|share| u64::from(share.weight)).sum();
        let hash = self.key.stable(request, ctx);
        // The hash as a fraction of all there are, scaled to the weights.
        let mut point = ((u128::from(hash) * u128::from(total)) >> u64::BITS) as u64;
        for (place, share) in self.pools.iter().enumerate() {
            match point.checked_sub(share.weight.into()) {
                Some(rest) => point = rest,
                None => return place,
            }
        }
        0
    }
}

/// Who serves a route's requests.
pub enum Serving {
    Nobody,
    One(Arc<Pool>),
    Some(SplitConfig, Vec<Arc<Pool>>),
}

impl Serving {
    pub fn pool(&self, request: &RequestHeader, ctx: &RequestCtx) -> Option<&Arc<Pool>> {
        match self {
            Self::Nobody => None,
            Self::One(pool) => Some(pool),
            Self::Some(split, pools) => pools.get(split.choose(request, ctx)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::request::testing::{ctx, request};

    fn chosen(weights: [u16; 2]) -> Vec<usize> {
        let [old, new] = weights;
        let split: SplitConfig = serde_yaml::from_str(&format!(
            "{{ key: $header_x_user, pools: [{{ pool: old, weight: {old} }}, {{ pool: new, weight: {new} }}] }}"
        ))
        .unwrap();
        let choose = |user: u32| {
            split.choose(
                &request("GET", "/", &[("x-user", &user.to_string())]),
                &ctx("192.0.2.1"),
            )
        };
        (0..10_000).map(choose).collect()
    }

    #[test]
    fn each_gets_its_share_and_keeps_its_clients() {
        let (few, more) = (chosen([95, 5]), chosen([90, 10]));
        let share = few.iter().sum::<usize>();
        assert!((400..600).contains(&share), "{share}");
        assert!(
            few.iter().zip(&more).all(|(few, more)| few <= more),
            "who was moved stays moved"
        );
        assert_eq!(few, chosen([95, 5]));
        assert_eq!(chosen([1, 0]).iter().sum::<usize>(), 0);
        assert_eq!(chosen([0, 1]).iter().sum::<usize>(), 10_000);
    }
}
