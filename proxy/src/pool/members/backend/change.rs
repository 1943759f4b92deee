//! What happens to a backend: requests come and go, they fail, checks and operators have their say.

use std::sync::atomic::Ordering;

use super::Backend;
use super::standing::{Health, Standing};
use crate::pool::clock::Moment;
use crate::pool::members::ejection::Tolerance;
use crate::pool::transport::Connection;

impl Backend {
    /// Takes a place among the requests in flight, for an upload of so many bytes, unless `max_conns` are taken or
    /// another request is the trial.
    pub(in crate::pool) fn claim(&self, now: Moment, bytes: u64) -> bool {
        if !self.live.occupancy.take(self.max_conns, bytes) {
            return false;
        }
        if self.live.occupancy.is_quarantined() || !self.live.ejection.admit(self.tolerance, now) {
            self.release(bytes);
            return false;
        }
        self.live.requests.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Takes a place although the backend is not fit to serve: the last resort.
    pub(in crate::pool) fn claim_in_panic(&self, bytes: u64) -> bool {
        let claimed = self.live.occupancy.take(self.max_conns, bytes);
        self.live.requests.fetch_add(u64::from(claimed), Ordering::Relaxed);
        claimed
    }

    /// Keeps further requests away; says whether nobody else does already. Those that it has go on.
    pub(in crate::pool) fn quarantine(&self) -> bool {
        self.live.occupancy.quarantine()
    }

    pub(in crate::pool) fn end_quarantine(&self) {
        self.live.occupancy.end_quarantine();
    }

    /// Takes the only place, once no other request is left.
    pub(in crate::pool) fn claim_quarantined(&self, bytes: u64) -> bool {
        let claimed = self.live.occupancy.take_alone(bytes);
        self.live.requests.fetch_add(u64::from(claimed), Ordering::Relaxed);
        claimed
    }

    /// Gives back the place of an upload of so many bytes.
    pub(in crate::pool) fn release(&self, bytes: u64) {
        self.live.occupancy.give_back(bytes);
    }

    /// A request has a connection; it ends once the backend is found to be down. Returns what
    /// [`Backend::disconnected`] takes.
    pub(in crate::pool) fn connected(&self, connection: Connection) -> u64 {
        self.live.unreachable_at.store(0, Ordering::Relaxed);
        self.live.connections.join(connection)
    }

    /// Whether the connection was ended from here while its request was on it.
    pub(in crate::pool) fn has_cut(&self, number: u64) -> bool {
        !self.live.connections.has(number)
    }

    /// Ends the connections of requests on which the backend hears nothing, although it may pass its checks: a way that
    /// swallows large packets, or one that has forgotten its connections. Returns how many.
    pub(in crate::pool) fn cut_unheard(&self) -> usize {
        self.live.connections.cut_unheard()
    }

    /// The request needs its connection no more.
    pub(in crate::pool) fn disconnected(&self, number: u64) {
        self.live.connections.leave(number);
    }

    pub(in crate::pool) fn succeeded(&self) {
        self.live.ejection.succeeded();
    }

    /// Counts a failed attempt; says whether it ejects the backend. See [`Ejection::failed`].
    pub(in crate::pool) fn failed(&self, may_eject: impl FnOnce() -> bool) -> bool {
        self.live.failures.fetch_add(1, Ordering::Relaxed);
        self.live.ejection.failed(self.tolerance, Moment::now(), may_eject)
    }

    /// What fails next came from a backend that was reached.
    pub(in crate::pool) fn reached(&self) {
        self.live.ejection.reached();
    }

    /// Counts an answer; returns how many of 500 and above there were in a row.
    pub(in crate::pool) fn answered(&self, status: u16) -> u32 {
        self.live.ejection.answered(status)
    }

    pub(in crate::pool) fn eject(&self, may_eject: impl FnOnce() -> bool) -> bool {
        self.live.ejection.eject(self.tolerance, Moment::now(), may_eject)
    }

    pub(in crate::pool) fn tolerance(&self) -> Tolerance {
        self.tolerance
    }

    /// Returns what the health was before. Recovery forgives past failures and begins the slow start.
    pub(in crate::pool) fn set_health(&self, health: Health) -> Health {
        let before = self.health();
        if health == Health::Up && before != Health::Up {
            self.live.ejection.forgive();
            if before == Health::Down {
                self.live.recovered_at.store(Moment::now().raw(), Ordering::Relaxed);
            }
        }
        self.live.health.store(health as u8, Ordering::Release);
        if health == Health::Down && before != Health::Down {
            self.live.connections.cut();
            self.live.trunks.cut();
        }
        if health != before {
            self.live.health_changed.send_replace(());
        }
        before
    }

    /// It has passed a check that began at this moment; says whether this ends an ejection.
    pub(in crate::pool) fn set_well(&self, began: Moment) -> bool {
        self.live.well_at.store(began.raw(), Ordering::Relaxed);
        let was_out = self.live.ejection.excludes(self.tolerance, Moment::now());
        self.live.ejection.refute(began) && was_out
    }

    /// Whether it has passed a check that began after this moment.
    pub(in crate::pool) fn was_well_since(&self, moment: Moment) -> bool {
        Moment::from_raw(self.live.well_at.load(Ordering::Relaxed)) > moment
    }

    pub(in crate::pool) fn set_drained(&self, drained: bool) {
        self.live.drained.store(drained, Ordering::Release);
    }

    /// Returns whether it was draining before.
    pub(in crate::pool) fn set_draining(&self, draining: bool) -> bool {
        self.live.draining.swap(draining, Ordering::AcqRel)
    }

    pub(in crate::pool) fn set_weight(&self, weight: u32) {
        self.live.weight.store(weight, Ordering::Relaxed);
    }

    pub(in crate::pool) fn set_running(&self) {
        self.live.draining.store(false, Ordering::Release);
        self.live.recovered_at.store(Moment::now().raw(), Ordering::Relaxed);
        self.live.running.store(true, Ordering::Release);
    }

    pub(in crate::pool) fn set_degraded(&self, degraded: bool) {
        self.live.degraded.store(degraded, Ordering::Relaxed);
    }

    /// Takes on what another process knows of this backend.
    pub(in crate::pool) fn suppose(&self, standing: Standing, health: Health, in_flight: u32) {
        let live = &*self.live;
        live.occupancy.assume(in_flight, standing == Standing::Full);
        live.health.store(health as u8, Ordering::Release);
        live.running.store(standing != Standing::Stopped, Ordering::Release);
        live.drained.store(standing == Standing::Drained, Ordering::Release);
        live.draining.store(standing == Standing::Draining, Ordering::Release);
        if standing == Standing::Ejected {
            self.eject(|| true);
        }
    }

    /// Takes the backend out at once: its process does not run. `unbidden` counts it as a death.
    pub(in crate::pool) fn set_stopped(&self, unbidden: bool) {
        self.live.running.store(false, Ordering::Release);
        self.live.deaths.send_modify(|deaths| *deaths += u64::from(unbidden));
    }
}
