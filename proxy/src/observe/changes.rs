//! What was last asked of the program as a whole, and how it went: for whoever looks when something is not as it should be.

use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// The last reload and the last upgrade.
#[derive(Debug, Default)]
pub struct Changes(Mutex<LastChanges>);

/// Those that there have been; of an upgrade that succeeded, the successor tells.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
pub struct LastChanges {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_reload: Option<Change>,
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
        self.0.lock().last_reload = Some(Change::ended(result));
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
