//! What a script may use up before it is stopped.

use std::time;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::yaml::units::{ByteSize, Duration};

/// `limits: { operations: 20000, time: 2ms }`. Conditions have these defaults.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "Written")]
#[schemars(with = "Written")]
pub struct Limits {
    pub operations: u64,
    pub call_depth: usize,
    pub string: usize,
    pub array: usize,
    pub map: usize,
    pub memory: i64,
    pub time: time::Duration,
}

/// As it stands in YAML.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Written {
    /// Steps of the interpreter: a comparison takes about three.
    #[schemars(range(min = 1, max = 1_000_000))]
    operations: u64,
    /// Functions that call one another.
    #[schemars(range(min = 1, max = 24))]
    call_depth: usize,
    /// Of one text, and of all those in one array or map.
    string: ByteSize,
    /// Elements of an array, with those of the arrays in it.
    #[schemars(range(min = 1, max = 10_000))]
    array: usize,
    /// Entries of a map, with those of the maps in it.
    #[schemars(range(min = 1, max = 10_000))]
    map: usize,
    /// Of all that a call holds; at most 16MiB.
    memory: ByteSize,
    /// From the call's beginning; at most 10ms.
    time: Duration,
}

impl Default for Written {
    fn default() -> Self {
        Self {
            operations: 20_000,
            call_depth: 16,
            string: ByteSize::from_kib(16),
            array: 1_000,
            map: 500,
            memory: ByteSize::from_mib(4),
            time: Duration::from_millis(5),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::try_from(Written::default()).expect("the defaults are within what may be set")
    }
}

impl TryFrom<Written> for Limits {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let within = |value: u64, most: u64| (1..=most).contains(&value);
        if !within(written.operations, 1_000_000) {
            return Err("operations are out of range; write a whole number from 1 to 1000000");
        }
        if !within(written.call_depth as u64, 24) {
            return Err("call_depth is out of range; write a whole number from 1 to 24");
        }
        if !within(written.array as u64, 10_000) || !within(written.map as u64, 10_000) {
            return Err("array or map is out of range; write a whole number from 1 to 10000");
        }
        if !within(written.string.get(), 1 << 20) {
            return Err("string is out of range; write 1B to 1MiB");
        }
        if !within(written.memory.get(), 16 << 20) {
            return Err("memory is out of range; write 1B to 16MiB");
        }
        if !within(written.time.get().as_millis() as u64, 10) {
            return Err("time is out of range; write 1ms to 10ms");
        }
        Ok(Self {
            operations: written.operations,
            call_depth: written.call_depth,
            string: written.string.get() as usize,
            array: written.array,
            map: written.map,
            memory: written.memory.get() as i64,
            time: written.time.get(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn none_can_be_taken_away() {
        for text in [
            "{ operations: 0 }",
            "{ operations: 1000001 }",
            "{ call_depth: 25 }",
            "{ array: 0 }",
            "{ map: 10001 }",
            "{ string: 2MiB }",
            "{ memory: 17MiB }",
            "{ time: 11ms }",
            "{ time: 0s }",
        ] {
            let error = serde_yaml::from_str::<Limits>(text).unwrap_err().to_string();
            assert!(error.contains("; write "), "{text}: {error}");
        }
        assert_eq!(serde_yaml::from_str::<Limits>("{}").unwrap(), Limits::default());
    }
}
