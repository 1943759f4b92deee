//! What filters of several routes share by a name, for as long as one of them has it.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

/// Of one kind of filter. Asked only when a configuration is read.
pub struct Zones<T>(Mutex<Vec<(String, Weak<T>)>>);

impl<T> Zones<T> {
    pub const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// What others of this name have, or what is made.
    pub fn shared(&self, name: &str, make: impl FnOnce() -> T) -> Arc<T> {
        let mut zones = self.0.lock();
        zones.retain(|(_, zone)| zone.strong_count() > 0);
        let known = zones.iter().find(|(known, _)| known == name);
        if let Some(zone) = known.and_then(|(_, zone)| zone.upgrade()) {
            return zone;
        }
        let made = Arc::new(make());
        zones.push((name.to_owned(), Arc::downgrade(&made)));
        made
    }
}
