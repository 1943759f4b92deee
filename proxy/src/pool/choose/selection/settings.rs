//! Settings that several algorithms share.

use schemars::JsonSchema;
use serde::Deserialize;

use super::bounded::{Bounded, LoadFactor};
use super::load::Load;
use crate::pool::choose::key_config::KeyConfig;

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

/// `{}`
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}
