//! The end of what a pool does in the background.

use tokio::sync::watch;

/// Returns when `stop` turns true, or when nobody is left who could say so.
pub async fn stopped(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
