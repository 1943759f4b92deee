//! Consistent hashing with bounded loads (Mirrokni, Thorup and Zadimoghaddam, 2016): a key goes to its backend unless
//! that one already has `load_factor` times its fair share of what is in flight; then to its next one.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use serde_json::{Value, json};

use super::load::Load;
use super::select::Candidates;
use crate::pool::choose::key::Key;
use crate::pool::members::backend::Backend;

/// `load_factor: 1.25`, or `off` for strict stickiness.
#[derive(Clone, Copy, Debug, PartialEq, JsonSchema)]
#[schemars(with = "Value", extend("anyOf" = [json!({ "type": "number", "exclusiveMinimum": 1 }), json!({ "const": "off" })]))]
pub enum LoadFactor {
    Off,
    /// Above 1: at 1 there would be no room for any imbalance, and hardly any key would be at home.
    Times(f64),
}

impl Default for LoadFactor {
    fn default() -> Self {
        Self::Times(1.25)
    }
}

/// A bound on how much a backend may be given.
#[derive(Clone, Copy, Debug)]
pub struct Bounded {
    pub factor: LoadFactor,
    pub load: Load,
}

impl Bounded {
    /// The bound that holds for these candidates with one more request in flight.
    pub fn with(self, key: &Key, candidates: &Candidates<'_>) -> Bound {
        let LoadFactor::Times(factor) = self.factor else {
            return Bound {
                per_share: f64::INFINITY,
                load: self.load,
            };
        };
        let (in_flight, shares) =
            candidates
                .iter()
                .fold((self.load.of(key), 0.0), |(in_flight, shares), (_, backend)| {
                    (
                        in_flight + self.load.on(backend),
                        shares + backend.share(candidates.now),
                    )
                });
        Bound {
            per_share: factor * in_flight / shares,
            load: self.load,
        }
    }
}

/// How much load a backend may have for each unit of its share.
pub struct Bound {
    per_share: f64,
    load: Load,
}

impl Bound {
    /// Whether the backend has room for one more: it has not reached the bound yet. The last request may go beyond it,
    /// so that every backend may have one, and the least busy is always admitted.
    pub fn admits(&self, backend: &Backend, candidates: &Candidates<'_>) -> bool {
        self.load.on(backend) < self.per_share * backend.share(candidates.now)
    }
}

impl<'de> Deserialize<'de> for LoadFactor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LoadFactorVisitor)
    }
}

struct LoadFactorVisitor;

impl Visitor<'_> for LoadFactorVisitor {
    type Value = LoadFactor;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number above 1, such as 1.25, or off")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<LoadFactor, E> {
        if text == "off" {
            Ok(LoadFactor::Off)
        } else {
            Err(E::invalid_value(de::Unexpected::Str(text), &self))
        }
    }

    fn visit_f64<E: de::Error>(self, factor: f64) -> Result<LoadFactor, E> {
        if factor.is_finite() && factor > 1.0 {
            return Ok(LoadFactor::Times(factor));
        }
        Err(E::invalid_value(de::Unexpected::Float(factor), &self))
    }

    fn visit_u64<E: de::Error>(self, factor: u64) -> Result<LoadFactor, E> {
        self.visit_f64(factor as f64)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn reads_a_factor_or_off() {
        assert_eq!(
            serde_yaml::from_str::<LoadFactor>("1.5").unwrap(),
            LoadFactor::Times(1.5)
        );
        assert_eq!(serde_yaml::from_str::<LoadFactor>("2").unwrap(), LoadFactor::Times(2.0));
        assert_eq!(serde_yaml::from_str::<LoadFactor>("off").unwrap(), LoadFactor::Off);
        for text in ["1", "0.9", ".inf", ".nan", "on", "-2"] {
            assert!(serde_yaml::from_str::<LoadFactor>(text).is_err(), "{text}");
        }
    }
}
