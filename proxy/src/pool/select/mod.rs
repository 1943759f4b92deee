//! Which backend of a pool a request goes to.

use serde::Deserialize;

/// `select: { ketama: { key: client_address } }`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SelectConfig {
    Ketama(KetamaConfig),
}

impl Default for SelectConfig {
    fn default() -> Self {
        Self::Ketama(KetamaConfig::default())
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KetamaConfig {
    pub key: KeyConfig,
}

/// What a request is told apart by.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyConfig {
    #[default]
    ClientAddress,
    /// The value of this header; the client's address where it is absent.
    Header(String),
    Path,
}
