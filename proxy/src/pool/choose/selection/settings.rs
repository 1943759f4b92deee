//! Settings that several algorithms share.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::bounded::{Bounded, LoadFactor};
use super::load::Load;
use super::select::{Algorithm, Select};
use crate::pool::choose::key_config::KeyConfig;
use crate::pool::members::backend::Backend;

/// `{ key: client_address, load_factor: 1.25 }`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct HashConfig {
    pub key: KeyConfig,
    pub load_factor: LoadFactor,
    /// What `load_factor` bounds.
    pub load: Load,
}

impl HashConfig {
    pub fn bounded(&self) -> Bounded {
        Bounded::new(self.load_factor, self.load)
    }

    /// The same, whatever the load.
    pub fn strict(&self) -> Self {
        Self {
            load_factor: LoadFactor::Off,
            ..self.clone()
        }
    }
}

/// An algorithm by which a key has its backend, as far as that has room.
pub trait ByKey: Select + Sized {
    fn new(bounded: Bounded, tier: &[Arc<Backend>]) -> Self;
}

impl<S: ByKey> Algorithm for S {
    type Settings = HashConfig;

    fn build(settings: &HashConfig, tier: &[Arc<Backend>]) -> Self {
        Self::new(settings.bounded(), tier)
    }

    fn key(settings: &HashConfig) -> &KeyConfig {
        &settings.key
    }

    fn strict(settings: &HashConfig) -> Option<HashConfig> {
        Some(settings.strict())
    }
}

/// `{}`
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}
