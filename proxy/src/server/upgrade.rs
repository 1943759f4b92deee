//! USR2: while the program's file, started anew, gets ready to take over.

use std::future::pending;
use std::pin::Pin;

use super::admin::{NotReloaded, ReloadRequest};
use super::takeover::UpgradeError;

/// An upgrade while the successor is getting ready. Dropping it ends the successor.
#[derive(Default)]
pub struct Upgrade {
    under_way: Option<HandOver>,
    /// Asked for meanwhile; to be done if the upgrade fails, for a successor reads the configuration anyway.
    pub keeps_reload: bool,
}

/// [`takeover::hand_over`] while it goes on.
pub type HandOver = Pin<Box<dyn Future<Output = Result<u32, UpgradeError>> + Send>>;

impl Upgrade {
    /// With this successor.
    pub fn begun(successor: HandOver) -> Self {
        Self {
            under_way: Some(successor),
            keeps_reload: false,
        }
    }

    pub fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Never comes while none is under way.
    pub async fn outcome(&mut self) -> Result<u32, UpgradeError> {
        match &mut self.under_way {
            Some(under_way) => under_way.await,
            None => pending().await,
        }
    }

    pub fn keep_reload(&mut self, request: Option<ReloadRequest>) {
        tracing::warn!("no reload while an upgrade is under way; it follows if the upgrade fails");
        self.keeps_reload = true;
        if let Some(request) = request {
            // The admin's client may have left.
            let _ = request.send(Err(NotReloaded::Upgrading));
        }
    }
}
