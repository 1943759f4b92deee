//! Filters from outside: a crate of its own registers one before it calls [`crate::main`], and it is known like those that are
//! built in.
//!
//! What such a crate uses of this room, [`Settings`], [`Filter`], [`Verdict`](super::Verdict), [`Workshop`](super::Workshop) and
//! [`register`], stays as it is within one minor version.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, RwLock};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{DeserializeOwned, Deserializer, Error};
use serde_yaml::Value;

use super::Settings;
use crate::yaml::document::{Step, below};

/// Makes the filter `name` known, whose settings are a `S`. To be called before a configuration is read.
pub fn register<S>(name: &'static str)
where
    S: Settings + DeserializeOwned + JsonSchema + Send + Sync + Any,
{
    let registered = Registered {
        name,
        read: |value| {
            let read = serde_path_to_error::deserialize::<_, S>(value);
            let settings = read.map_err(|error| {
                let path: Vec<Step> = crate::yaml::document::steps_of(error.path());
                below(&path, &error.into_inner().to_string())
            })?;
            Ok(Arc::new(settings))
        },
        schema: |generator| generator.subschema_for::<S>(),
    };
    REGISTERED
        .write()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
        .push(registered);
}

/// Written before the program begins its work, read with each configuration.
static REGISTERED: RwLock<Vec<Registered>> = RwLock::new(Vec::new());

#[derive(Clone, Copy)]
struct Registered {
    name: &'static str,
    read: fn(Value) -> Result<Arc<Held>, String>,
    schema: fn(&mut SchemaGenerator) -> Schema,
}

type Held = dyn Settings + Send + Sync;

/// The settings of a filter from outside.
#[derive(Clone)]
pub struct Own {
    name: &'static str,
    /// As they were written.
    written: Value,
    settings: Arc<Held>,
}

impl Own {
    pub fn names() -> Vec<&'static str> {
        registered().iter().map(|registered| registered.name).collect()
    }

    pub fn schemas(generator: &mut SchemaGenerator) -> Vec<(&'static str, Schema)> {
        registered()
            .into_iter()
            .map(|registered| (registered.name, (registered.schema)(generator)))
            .collect()
    }

    /// Reads the settings of the filter of this name.
    pub fn read<'de, D: Deserializer<'de>>(name: &str, deserializer: D) -> Result<Self, D::Error> {
        let written = <Value as serde::Deserialize>::deserialize(deserializer)?;
        let known = registered().into_iter().find(|registered| registered.name == name);
        let known = known.ok_or_else(|| D::Error::custom("is not registered any more"))?;
        let settings = (known.read)(written.clone()).map_err(D::Error::custom)?;
        Ok(Self {
            name: known.name,
            written,
            settings,
        })
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    pub fn settings(&self) -> &dyn Settings {
        &*self.settings
    }
}

fn registered() -> Vec<Registered> {
    REGISTERED
        .read()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
        .clone()
}

impl PartialEq for Own {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.written == other.written
    }
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple(self.name).field(&self.written).finish()
    }
}
