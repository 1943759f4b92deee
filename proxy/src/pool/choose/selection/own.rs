//! Algorithms from outside: a crate of its own registers one before it calls [`crate::main`], and it is known like those that
//! are built in.

use std::borrow::Cow;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::select::{Algorithm, Select};
use crate::pool::choose::key_config::KeyConfig;
use crate::pool::members::backend::Backend;
use crate::yaml::registry::{self, Registry};

pub static OWN: Registry<dyn Held> = Registry::empty();

/// An algorithm from outside, as YAML sets it.
pub type Own = registry::Own<dyn Held>;

/// Settings, and what is made of them.
pub trait Held: Send + Sync {
    fn build(&self, tier: &[Arc<Backend>]) -> Box<dyn Select>;

    fn key(&self) -> &KeyConfig;

    fn strict(&self) -> Option<Arc<dyn Held>>;
}

pub struct SettingsOf<A: Algorithm>(pub A::Settings);

impl<A: Algorithm + 'static> Held for SettingsOf<A>
where
    A::Settings: Send + Sync,
{
    fn build(&self, tier: &[Arc<Backend>]) -> Box<dyn Select> {
        Box::new(A::build(&self.0, tier))
    }

    fn key(&self) -> &KeyConfig {
        A::key(&self.0)
    }

    fn strict(&self) -> Option<Arc<dyn Held>> {
        let strict = A::strict(&self.0)?;
        Some(Arc::new(Self(strict)))
    }
}

/// What [`super::with_all_names`] makes alternatives of: the settings of each, by its name.
impl JsonSchema for Own {
    fn schema_name() -> Cow<'static, str> {
        "OwnSelection".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let settings: serde_json::Map<_, _> = OWN
            .schemas(generator)
            .into_iter()
            .map(|(name, schema)| (name.to_owned(), schema.to_value()))
            .collect();
        json_schema!({ "properties": settings })
    }
}
