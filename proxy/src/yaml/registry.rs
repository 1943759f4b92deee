//! What YAML may name that crates from outside have made known: parts of one kind, by name.

use std::fmt;
use std::sync::{Arc, RwLock};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error};
use serde_yaml::Value;
use serde_yaml::with::singleton_map_recursive;

use super::document::{below, steps_of};

/// Written before the program begins its work, read with each configuration.
pub struct Registry<T: ?Sized + 'static>(RwLock<Vec<Registered<T>>>);

type Read<T> = dyn Fn(Value) -> Result<Arc<T>, String> + Send + Sync;

struct Registered<T: ?Sized> {
    name: &'static str,
    read: Arc<Read<T>>,
    schema: fn(&mut SchemaGenerator) -> Schema,
}

impl<T: ?Sized> Registry<T> {
    pub const fn empty() -> Self {
        Self(RwLock::new(Vec::new()))
    }

    /// Makes `name` known, whose settings are a `S`.
    ///
    /// # Panics
    /// The name is taken, here or by one that is `built_in`: who writes the crate is to see that at the first start.
    pub fn add<S>(&self, name: &'static str, built_in: &[&str], hold: fn(S) -> Arc<T>)
    where
        S: DeserializeOwned + JsonSchema + 'static,
    {
        let is_taken = built_in.contains(&name) || self.names().contains(&name);
        assert!(
            !is_taken,
            "{name:?} is registered, and is known already; choose another name"
        );
        let registered = Registered {
            name,
            read: Arc::new(move |value| read(value).map(hold)),
            schema: |generator| generator.subschema_for::<S>(),
        };
        self.write().push(registered);
    }

    pub fn names(&self) -> Vec<&'static str> {
        self.all().iter().map(|registered| registered.name).collect()
    }

    pub fn schemas(&self, generator: &mut SchemaGenerator) -> Vec<(&'static str, Schema)> {
        let all = self.all();
        let schemas = all.iter().map(|known| (known.name, (known.schema)(generator)));
        schemas.collect()
    }

    /// To read the settings that stand under a name.
    pub fn named(&self, name: &str) -> Option<Named<T>> {
        let all = self.all();
        let known = all.iter().find(|registered| registered.name == name)?;
        Some(Named {
            name: known.name,
            read: Arc::clone(&known.read),
        })
    }

    fn all(&self) -> std::sync::RwLockReadGuard<'_, Vec<Registered<T>>> {
        self.0.read().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Vec<Registered<T>>> {
        self.0.write().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A mistake keeps its place within the settings.
fn read<S: DeserializeOwned>(value: Value) -> Result<S, String> {
    let mut track = serde_path_to_error::Track::new();
    let deserializer = serde_path_to_error::Deserializer::new(value, &mut track);
    let read = singleton_map_recursive::deserialize(deserializer);
    read.map_err(|error: serde_yaml::Error| below(&steps_of(&track.path()), &error.to_string()))
}

/// One that is known, before its settings are read.
pub struct Named<T: ?Sized> {
    name: &'static str,
    read: Arc<Read<T>>,
}

impl<'de, T: ?Sized> DeserializeSeed<'de> for Named<T> {
    type Value = Own<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Own<T>, D::Error> {
        let written = <Value as serde::Deserialize>::deserialize(deserializer)?;
        Ok(Own {
            name: self.name,
            settings: (self.read)(written.clone()).map_err(D::Error::custom)?,
            written,
        })
    }
}

/// One from outside, as YAML sets it.
pub struct Own<T: ?Sized> {
    name: &'static str,
    /// As they were written.
    written: Value,
    settings: Arc<T>,
}

impl<T: ?Sized> Own<T> {
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// None once others share them.
    pub fn settings_mut(&mut self) -> Option<&mut T> {
        Arc::get_mut(&mut self.settings)
    }

    pub fn settings(&self) -> &T {
        &self.settings
    }

    /// The same part with other settings.
    pub fn with(&self, settings: Arc<T>) -> Self {
        Self {
            settings,
            ..self.clone()
        }
    }
}

impl<T: ?Sized> Clone for Own<T> {
    fn clone(&self) -> Self {
        Self {
            name: self.name,
            written: self.written.clone(),
            settings: Arc::clone(&self.settings),
        }
    }
}

impl<T: ?Sized> PartialEq for Own<T> {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.written == other.written
    }
}

impl<T: ?Sized> fmt::Debug for Own<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple(self.name).field(&self.written).finish()
    }
}
