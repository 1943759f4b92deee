//! Filters from outside: a crate of its own registers one before it calls [`crate::main`], and it is known like those that are
//! built in.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::{Kind, Settings};
use crate::yaml::registry::{self, Registry};

/// Makes the filter `name` known, whose settings are a `S`. To be called before a configuration is read.
///
/// # Panics
/// There is a filter of that name.
pub fn register<S>(name: &'static str)
where
    S: Settings + DeserializeOwned + JsonSchema + Send + Sync + 'static,
{
    OWN.add::<S>(name, Kind::NAMES, |settings| Arc::new(settings));
}

pub static OWN: Registry<Held> = Registry::empty();

pub type Held = dyn Settings + Send + Sync;

/// A filter from outside, as YAML sets it.
pub type Own = registry::Own<Held>;
