//! Consistent hashing with bounded loads (Mirrokni, Thorup and Zadimoghaddam, 2016): a key goes to its backend unless
//! that one already has `load_factor` times its fair share of what is in flight; then to its next one.

use std::cell::OnceCell;
use std::fmt;

use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use serde_json::{Value, json};

use super::load::Load;
use super::select::{Candidates, SMALL_TIER};
use crate::pool::choose::key::Key;
use crate::pool::clock::Moment;
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
#[derive(Debug)]
pub struct Bounded {
    factor: LoadFactor,
    load: Load,
    /// Contended by picks of large tiers that come to need it in the same moment.
    last: Mutex<Option<(Moment, Sums)>>,
}

/// What all candidates together have in flight, and their shares.
#[derive(Clone, Copy, Debug)]
struct Sums {
    in_flight: f64,
    shares: f64,
}

impl Bounded {
    pub fn new(factor: LoadFactor, load: Load) -> Self {
        Self {
            factor,
            load,
            last: Mutex::new(None),
        }
    }

    /// The bound that holds for these candidates with one more request in flight.
    pub fn with<'a>(&'a self, key: &'a Key, candidates: &'a Candidates<'a>) -> Bound<'a> {
        Bound {
            bounded: self,
            key,
            candidates,
            per_share: OnceCell::new(),
        }
    }

    /// Of a large tier, what it was within this millisecond.
    fn sums(&self, candidates: &Candidates<'_>) -> Sums {
        if candidates.backends.len() <= SMALL_TIER {
            return Sums::of(self.load, candidates);
        }
        let mut last = self.last.lock();
        match *last {
            Some((then, sums)) if then == candidates.now => sums,
            _ => {
                let sums = Sums::of(self.load, candidates);
                *last = Some((candidates.now, sums));
                sums
            }
        }
    }
}

impl Sums {
    fn of(load: Load, candidates: &Candidates<'_>) -> Self {
        let none = Self {
            in_flight: 0.0,
            shares: 0.0,
        };
        candidates.iter().fold(none, |sums, (_, backend)| Self {
            in_flight: sums.in_flight + load.on(backend),
            shares: sums.shares + backend.share(candidates.now),
        })
    }
}

/// How much load a backend may have for each unit of its share; known once it is needed.
pub struct Bound<'a> {
    bounded: &'a Bounded,
    key: &'a Key,
    candidates: &'a Candidates<'a>,
    per_share: OnceCell<f64>,
}

impl Bound<'_> {
    /// Whether the backend has room for one more: it has not reached the bound yet. The last request may go beyond it,
    /// so that every backend may have one, and the least busy is always admitted.
    pub fn admits(&self, backend: &Backend) -> bool {
        let LoadFactor::Times(factor) = self.bounded.factor else {
            return true;
        };
        let load = self.bounded.load.on(backend);
        // Whoever is idle has room under any bound.
        load == 0.0 || load < self.per_share(factor) * backend.share(self.candidates.now)
    }

    fn per_share(&self, factor: f64) -> f64 {
        *self.per_share.get_or_init(|| {
            let sums = self.bounded.sums(self.candidates);
            factor * (self.bounded.load.of(self.key) + sums.in_flight) / sums.shares
        })
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
