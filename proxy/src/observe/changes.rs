//! What was last asked of the program as a whole, and how it went: for whoever looks when something is not as it should be.

use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// The last reload and the last upgrade.
#[derive(Debug)]
pub struct Changes(Mutex<LastChanges>);

impl Default for Changes {
    fn default() -> Self {
        Self(Mutex::new(LastChanges {
            configured_at: now().as_secs(),
            ..LastChanges::default()
        }))
    }
}

/// Those that there have been; of an upgrade that succeeded, the successor tells.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
pub struct LastChanges {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_reload: Option<Change>,
    /// Since when the configuration holds that is served, in seconds since 1970: the last good reload, or the start.
    #[serde(default)]
    pub configured_at: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_upgrade: Option<Change>,
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub struct Change {
    /// Seconds since 1970.
    pub at: u64,
    pub outcome: ChangeOutcome,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ChangeOutcome {
    UnderWay,
    Succeeded,
    /// All stays as it was.
    Failed,
}

impl Changes {
    pub fn last(&self) -> LastChanges {
        self.0.lock().clone()
    }

    pub fn reloaded<E: ToString>(&self, result: Result<(), &E>) {
        let change = Change::ended(result);
        let mut last = self.0.lock();
        if change.outcome == ChangeOutcome::Succeeded {
            last.configured_at = change.at;
        }
        last.last_reload = Some(change);
    }

    pub fn upgrades(&self) {
        self.0.lock().last_upgrade = Some(Change::now(ChangeOutcome::UnderWay, None));
    }

    pub fn upgraded<E: ToString>(&self, result: Result<(), &E>) {
        self.0.lock().last_upgrade = Some(Change::ended(result));
    }
}

impl Change {
    fn now(outcome: ChangeOutcome, error: Option<String>) -> Self {
        Self {
            at: now().as_secs(),
            outcome,
            error,
        }
    }

    fn ended<E: ToString>(result: Result<(), &E>) -> Self {
        match result {
            Ok(()) => Self::now(ChangeOutcome::Succeeded, None),
            Err(error) => Self::now(ChangeOutcome::Failed, Some(error.to_string())),
        }
    }

    /// How long ago it was.
    pub fn age(&self) -> Duration {
        now().saturating_sub(Duration::from_secs(self.at))
    }
}

fn now() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_refused_reload_leaves_the_last_good_one() {
        let changes = Changes::default();
        let start = changes.last().configured_at;
        assert!(start > 0);
        changes.0.lock().configured_at = 7;
        changes.reloaded(Err(&"a mistake"));
        assert_eq!(changes.last().configured_at, 7);
        changes.reloaded::<String>(Ok(()));
        assert!(changes.last().configured_at >= start);
    }
}
