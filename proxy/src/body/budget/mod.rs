//! One memory budget for the bodies of all requests and answers.
//!
//! Memory is taken as bytes arrive, never for what a client promises, and it is given back when its holder ends, however
//! it ends. Who asks for more gets it under two rules, and waits in line otherwise, whoever needs least first:
//!
//! - A client holds at most three times what is still free (dynamic thresholds: Choudhury and Hahne 1998). So one
//!   client alone leaves a quarter to others, and where many hold much, each newcomer still finds its part. Only the body
//!   that lacks least of all that wait may pass it.
//! - There is always an order in which every body that is still arriving can arrive as a whole (the banker's algorithm:
//!   Dijkstra 1965). Otherwise uploads could share out all memory among them, and none could end.
//!
//! How much an upload of untold length will take nobody knows, and where it takes more than is left, all could wait for
//! each other. As soon as all that hold memory wait, one of untold length goes on with what is free; where that is too
//! little, the largest of them is refused at once. An upload whose length is told is never refused for that.

mod ledger;

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::timeout;

use self::ledger::{Kind, Ledger, Ticket};
use super::config::BodyConfig;

/// Memory for bodies, counted in pages. Bodies in memory-backed files count as the others do.
pub struct Budget {
    /// Contended by all bodies, for some hundred instructions a piece.
    ledger: Mutex<Ledger>,
    pages: u64,
    wait: Duration,
    spill_above: u64,
}

impl Budget {
    /// A reload that leaves the amounts as they are keeps `previous`, and with it what requests in flight hold.
    pub fn new(config: &BodyConfig, previous: Option<&Arc<Self>>) -> Arc<Self> {
        let pages = pages(config.memory.get());
        let (wait, spill_above) = (config.memory_wait.get(), config.spill_above.get());
        match previous {
            Some(same) if (same.pages, same.wait, same.spill_above) == (pages, wait, spill_above) => same.clone(),
            _ => Arc::new(Self {
                ledger: Mutex::new(Ledger::new(pages)),
                pages,
                wait,
                spill_above,
            }),
        }
    }

    /// Bytes of memory that a body could ever get.
    pub fn total(&self) -> u64 {
        self.pages * PAGE
    }

    /// Bytes of memory that bodies hold at this moment.
    pub fn in_use(&self) -> u64 {
        (self.pages - self.ledger.lock().free()) * PAGE
    }

    /// Bodies above this many bytes are kept in memory-backed files.
    pub(super) fn spill_above(&self) -> u64 {
        self.spill_above
    }

    /// An account for a body of `client`'s that has `length` bytes, or at most `longest` where that is not known. It
    /// holds nothing yet.
    pub(super) fn open(
        self: &Arc<Self>,
        client: IpAddr,
        length: Option<u64>,
        longest: u64,
    ) -> Result<Share, BudgetError> {
        let wanted = length.unwrap_or(0);
        if pages(wanted) > self.pages {
            return Err(BudgetError::NeverFits {
                wanted,
                total: self.total(),
            });
        }
        let most = pages(length.unwrap_or(longest)).min(self.pages);
        let kind = if length.is_some() { Kind::Arriving } else { Kind::Small };
        let ticket = self.ledger.lock().open(network(client), kind);
        Ok(Share {
            budget: Arc::clone(self),
            ticket,
            most,
            is_told: length.is_some(),
            held: 0,
        })
    }

    /// An account for an answer to `client`. What it holds is counted as on its way out.
    pub(super) fn open_answer(self: &Arc<Self>, client: IpAddr) -> Share {
        let ticket = self.ledger.lock().open(network(client), Kind::Answer);
        Share {
            budget: Arc::clone(self),
            ticket,
            most: self.pages,
            is_told: false,
            held: 0,
        }
    }
}

/// A body's part of the budget, until it is dropped.
pub(super) struct Share {
    budget: Arc<Budget>,
    ticket: Ticket,
    /// Pages that the whole body can take.
    most: u64,
    /// Whether it will take as many.
    is_told: bool,
    /// Pages.
    held: u64,
}

impl Share {
    /// Bytes.
    pub fn bytes(&self) -> u64 {
        self.held * PAGE
    }

    /// Holds memory for `length` bytes from here on; waits for it for `memory_wait` at the longest.
    pub async fn hold(&mut self, length: u64) -> Result<(), BudgetError> {
        if length <= self.bytes() {
            return Ok(());
        }
        let total = self.budget.total();
        let least = pages(length);
        if least > self.budget.pages {
            return Err(BudgetError::NeverFits { wanted: length, total });
        }
        // A little ahead, so that not every chunk asks: an eighth more, of what may still come.
        let most = self.most.max(least);
        let wanted = pages(length + (length / 8).min(AHEAD)).clamp(least, most);
        let granted = {
            let mut ledger = self.budget.ledger.lock();
            let little = ledger.little();
            let claim = |held| match self.is_told || held > little {
                true => most,
                false => held,
            };
            match ledger.grow(self.ticket, wanted, claim(wanted)) || ledger.grow(self.ticket, least, claim(least)) {
                true => None,
                false => Some(ledger.wait(self.ticket, least, claim(least))),
            }
        };
        if let Some(granted) = granted {
            self.await_grant(granted, length).await?;
        }
        self.held = self.budget.ledger.lock().held(self.ticket);
        Ok(())
    }

    async fn await_grant(&self, granted: oneshot::Receiver<()>, length: u64) -> Result<(), BudgetError> {
        if let Ok(Ok(())) = timeout(self.budget.wait, granted).await {
            return Ok(());
        }
        let mut ledger = self.budget.ledger.lock();
        ledger.cease_waiting(self.ticket);
        // It may have been granted in the moment of giving up.
        match ledger.held(self.ticket) >= pages(length) {
            true => Ok(()),
            false => Err(BudgetError::Full {
                wanted: length,
                total: self.budget.total(),
            }),
        }
    }

    /// Holds memory for `length` bytes of an answer, if there is plenty; an answer that gets none goes at its client's
    /// pace.
    pub fn hold_if_plenty(&mut self, length: u64) -> bool {
        if length <= self.bytes() {
            return true;
        }
        let granted = self
            .budget
            .ledger
            .lock()
            .grow_answer(self.ticket, pages(length + AHEAD / 4));
        if let Some(held) = granted {
            self.held = held;
        }
        granted.is_some()
    }

    /// Gives back what is above `length` bytes.
    pub fn shrink(&mut self, length: u64) {
        let pages = pages(length);
        if pages < self.held {
            self.held = pages;
            self.budget.ledger.lock().shrink(self.ticket, pages);
        }
    }

    /// The body has come in: it takes no more, and will be gone once it is answered.
    pub fn complete(&mut self, length: u64) {
        self.held = pages(length).min(self.held);
        self.budget.ledger.lock().complete(self.ticket, self.held);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.ledger.lock().close(self.ticket);
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum BudgetError {
    #[error("{wanted} bytes for a body are more than all memory for bodies, {total} bytes")]
    NeverFits { wanted: u64, total: u64 },
    #[error("no {wanted} bytes for a body became free, of {total}")]
    Full { wanted: u64, total: u64 },
}

/// Who counts as one client: an IPv4 address, or the network of an IPv6 one that a provider gives to a customer.
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        address => address,
    }
}

fn pages(bytes: u64) -> u64 {
    bytes.div_ceil(PAGE)
}

/// What a memory-backed file is made of, so that its last page is not forgotten.
const PAGE: u64 = 4096;

/// Bytes that a body may hold before they have come.
const AHEAD: u64 = 256 << 10;

#[cfg(test)]
mod tests;
