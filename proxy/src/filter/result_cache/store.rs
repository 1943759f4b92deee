//! What a place for answers is.

use async_trait::async_trait;
use bytes::Bytes;

/// Keeps sealed answers by their names, at least until room is wanted. Whoever asks may give up waiting at any time.
#[async_trait]
pub trait Store: Send + Sync {
    /// None where there is none.
    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, String>;

    async fn put(&self, name: &str, sealed: Bytes) -> Result<(), String>;

    /// It has failed: what it holds on to may be dead.
    fn begin_anew(&self) {}
}
