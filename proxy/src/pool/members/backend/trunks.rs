//! Connections of HTTP/2 to a backend, which requests share.

use std::time::Duration;

use parking_lot::Mutex;

use crate::client::endpoint::Endpoint;
use crate::pool::transport::Trunk;

#[derive(Debug, Default)]
pub struct Trunks(Mutex<Vec<Trunk>>);

impl Trunks {
    /// The first with room for a further request: so few carry all while that is enough, and the others come to an end.
    pub fn find(&self, endpoint: &Endpoint, transport: u64) -> Option<Trunk> {
        let mut all = self.0.lock();
        all.retain(|trunk| !trunk.has_ended());
        let fit = |trunk: &&Trunk| trunk.is_to(endpoint, transport) && trunk.has_room();
        all.iter().find(fit).cloned()
    }

    pub fn add(&self, trunk: Trunk) {
        self.0.lock().push(trunk);
    }

    /// Ends those that nobody has used for longer.
    pub fn sweep(&self, most: Duration) {
        self.0
            .lock()
            .retain(|trunk| !trunk.has_ended() && !trunk.idles_for(most));
    }

    /// Has nobody use these any more.
    pub fn clear(&self) {
        drop(std::mem::take(&mut *self.0.lock()));
    }

    /// Ends all, with what is on them.
    pub fn cut(&self) {
        for trunk in std::mem::take(&mut *self.0.lock()) {
            // One that is no more needs no end.
            let _ = trunk.connection().cut();
        }
    }
}
