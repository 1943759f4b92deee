//! In this process: what was last wanted longest ago goes first.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Deserialize;

use super::store::Store;
use crate::yaml::units::ByteSize;

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct MemoryConfig {
    /// Of all answers of the route together.
    #[serde(default = "size")]
    size: ByteSize,
}

fn size() -> ByteSize {
    ByteSize::from_mib(256)
}

pub struct Memory {
    most: usize,
    /// Contended by requests of the route for a moment each.
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    by_name: HashMap<String, (u64, Bytes)>,
    by_use: BTreeMap<u64, String>,
    /// Of the next use.
    number: u64,
    bytes: usize,
}

impl Memory {
    pub fn new(config: &MemoryConfig) -> Self {
        Self {
            most: usize::try_from(config.size.get()).unwrap_or(usize::MAX),
            kept: Mutex::default(),
        }
    }
}

#[async_trait]
impl Store for Memory {
    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        let found = self.kept.lock().used(name);
        Ok(found.map(|sealed| sealed.to_vec()))
    }

    async fn put(&self, name: &str, sealed: Bytes) -> Result<(), String> {
        let mut kept = self.kept.lock();
        kept.remove(name);
        if cost(&sealed) <= self.most {
            kept.insert(name.to_owned(), sealed);
            kept.shrink(self.most);
        }
        Ok(())
    }
}

impl Kept {
    fn used(&mut self, name: &str) -> Option<Bytes> {
        let sealed = self.remove(name)?;
        self.insert(name.to_owned(), sealed.clone());
        Some(sealed)
    }

    fn insert(&mut self, name: String, sealed: Bytes) {
        self.number += 1;
        self.bytes += cost(&sealed);
        self.by_use.insert(self.number, name.clone());
        self.by_name.insert(name, (self.number, sealed));
    }

    fn remove(&mut self, name: &str) -> Option<Bytes> {
        let (number, sealed) = self.by_name.remove(name)?;
        self.by_use.remove(&number);
        self.bytes -= cost(&sealed);
        Some(sealed)
    }

    fn shrink(&mut self, most: usize) {
        while self.bytes > most
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.remove(&oldest);
        }
    }
}

/// With its names, and what maps take.
fn cost(sealed: &Bytes) -> usize {
    sealed.len() + 512
}
