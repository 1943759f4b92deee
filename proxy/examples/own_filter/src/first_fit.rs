//! `select: { first_fit: { up_to: 8 } }`: the first backend that has fewer requests in flight than that gets the next one, so that the
//! last ones stay idle and can be switched off.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use veil::extension::{Algorithm, Backend, Candidates, Key, Select};

/// `first_fit: { up_to: 8 }`
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Requests that a backend works on before the next one gets any, for each unit of its weight.
    up_to: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { up_to: 8 }
    }
}

pub struct FirstFit {
    up_to: u32,
}

impl Algorithm for FirstFit {
    type Settings = Settings;

    fn build(settings: &Settings, _: &[Arc<Backend>]) -> Self {
        Self { up_to: settings.up_to }
    }
}

impl Select for FirstFit {
    fn pick(&self, _: &Key, candidates: &Candidates<'_>) -> Option<usize> {
        let busy = |backend: &Backend| f64::from(backend.in_flight()) / backend.share(candidates.now);
        let mut fits = candidates
            .iter()
            .filter(|(_, backend)| busy(backend) < f64::from(self.up_to));
        let least = || {
            candidates
                .iter()
                .min_by(|(_, one), (_, other)| busy(one).total_cmp(&busy(other)))
        };
        fits.next().or_else(least).map(|(place, _)| place)
    }
}
