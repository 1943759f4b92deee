//! How much a connection may send of all its requests' bodies together before they are read (RFC 9113, section 5.2). An
//! upload gets no further than one window in each round trip, so that one window should hold it; but what a window holds is
//! memory, of which there is so much for all connections. (The window of a stream is as wide as can be, since this one
//! bounds it.)

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

/// The window of one connection. Once given, it cannot be taken back while the connection lasts.
#[derive(Default)]
pub struct Window {
    /// In steps beyond the narrow one.
    room: Option<SemaphorePermit<'static>>,
}

impl Window {
    /// Makes room for a body of so many bytes, or one whose length is not known, as far as there is some. Says whether it
    /// is wider now.
    pub fn widen_for(&mut self, length: Option<u64>) -> bool {
        let length = length.unwrap_or(UNKNOWN).min(u64::from(WIDEST));
        let missing = length.saturating_sub(u64::from(self.bytes())).div_ceil(u64::from(STEP));
        // Half of what is left, so that others find some.
        let steps = (missing as usize).min(ROOM.available_permits().div_ceil(2));
        match ROOM.try_acquire_many(steps as u32) {
            Ok(more) if steps > 0 => {
                match &mut self.room {
                    Some(room) => room.merge(more),
                    room => *room = Some(more),
                }
                true
            }
            _ => false,
        }
    }

    pub fn bytes(&self) -> u32 {
        NARROW + self.room.as_ref().map_or(0, |room| room.num_permits() as u32 * STEP)
    }

    pub fn is_wide(&self) -> bool {
        self.room.is_some()
    }

    /// There is so little room left that others may have to do without.
    pub fn is_wanted_by_others(&self) -> bool {
        ROOM.available_permits() < SCARCE
    }
}

/// Bytes: what one costs whose bodies are not read.
const NARROW: u32 = 65_535;
/// Bytes.
pub const WIDEST: u32 = NARROW + 16 * STEP;
const STEP: u32 = 1 << 20;
/// Bytes that a body whose length is not known may well have.
const UNKNOWN: u64 = 4 << 20;

/// For all connections together, in steps: 64 MiB.
static ROOM: Semaphore = Semaphore::const_new(64);
const SCARCE: usize = 32;

/// How often a connection with a wide window looks whether others want for one.
pub const LOOK_AGAIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_as_wide_as_bodies_while_there_is_room_for_them() {
        let mut window = Window::default();
        assert!(
            !window.widen_for(Some(60_000)) && !window.is_wide(),
            "it is wide enough"
        );
        assert!(window.widen_for(Some(10 << 20)));
        assert_eq!(window.bytes(), NARROW + 10 * STEP);
        assert!(!window.widen_for(Some(10 << 20)) && !window.widen_for(None));
        assert!(window.widen_for(Some(1 << 40)));
        assert_eq!(window.bytes(), WIDEST);

        let others: Vec<Window> = (0..100)
            .map(|_| {
                let mut window = Window::default();
                window.widen_for(Some(1 << 40));
                window
            })
            .collect();
        assert_eq!(others[0].bytes(), WIDEST, "the next one has as much");
        let room: u32 = others.iter().map(|window| window.bytes() - NARROW).sum();
        assert_eq!(room, 48 * STEP, "and all together what there is");
        assert!(window.is_wanted_by_others());
        drop((window, others));
        assert_eq!(ROOM.available_permits(), 64);
    }
}
