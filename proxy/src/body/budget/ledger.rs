//! Who holds how much, who waits for more, and who gets it: arithmetic alone, in pages.

use std::collections::HashMap;
use std::net::IpAddr;

use tokio::sync::oneshot;

/// An account's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

pub(super) struct Ledger {
    total: u64,
    free: u64,
    accounts: HashMap<Ticket, Account>,
    clients: HashMap<IpAddr, Client>,
    /// What bodies hold that are still arriving.
    arriving: u64,
    /// What small ones hold.
    small: u64,
    /// What answers hold.
    answers: u64,
    /// No claim is larger.
    largest: u64,
    waiting: Vec<Waiting>,
    next: u64,
}

struct Account {
    client: IpAddr,
    held: u64,
    /// What it may come to hold; as much as it holds where nothing more arrives.
    claim: u64,
    /// Whether its claim is only what it must not exceed.
    is_untold: bool,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An upload of which more is to come, so much that its claim says how much at most.
    Arriving,
    /// An upload whose length nobody told, of which little has come. It may end, or want much more; what it holds is
    /// nothing to count on.
    Small,
    /// A whole one, which will be gone once it is answered.
    Complete,
    /// On its way to its client.
    Answer,
}

#[derive(Default)]
struct Client {
    accounts: u64,
    held: u64,
}

struct Waiting {
    ticket: Ticket,
    wanted: u64,
    claim: u64,
    granted: oneshot::Sender<()>,
}

impl Ledger {
    pub fn new(total: u64) -> Self {
        Self {
            total,
            free: total,
            accounts: HashMap::new(),
            clients: HashMap::new(),
            arriving: 0,
            small: 0,
            answers: 0,
            largest: 0,
            waiting: Vec::new(),
            next: 0,
        }
    }

    pub fn free(&self) -> u64 {
        self.free
    }

    /// How much an upload of untold length holds at most before it is taken for a large one.
    pub fn little(&self) -> u64 {
        (self.total / 16).clamp(1, LITTLE)
    }

    pub fn held(&self, ticket: Ticket) -> u64 {
        self.accounts.get(&ticket).map_or(0, |account| account.held)
    }

    pub fn open(&mut self, client: IpAddr, kind: Kind) -> Ticket {
        let ticket = Ticket(self.next);
        self.next += 1;
        let account = Account {
            client,
            held: 0,
            claim: 0,
            is_untold: kind == Kind::Small,
            kind,
        };
        self.accounts.insert(ticket, account);
        self.clients.entry(client).or_default().accounts += 1;
        ticket
    }

    /// Whether the account holds `wanted` pages from here on.
    pub fn grow(&mut self, ticket: Ticket, wanted: u64, claim: u64) -> bool {
        let may = self.may_grow(ticket, wanted, claim);
        if may {
            self.give(ticket, wanted, claim);
        }
        may
    }

    fn give(&mut self, ticket: Ticket, wanted: u64, claim: u64) {
        if wanted > self.little() {
            self.change(ticket, Kind::Small, Kind::Arriving);
        }
        self.set(ticket, wanted, Some(claim));
    }

    /// An answer leaves half of all memory to others, and all answers of a client most of what is free: they can go on without.
    pub fn grow_answer(&mut self, ticket: Ticket, wanted: u64) -> Option<u64> {
        let account = self.accounts.get(&ticket)?;
        let more = wanted.saturating_sub(account.held);
        let client = self.clients.get(&account.client).map_or(0, |client| client.held);
        let plenty = self.waiting.is_empty()
            && self.answers + more <= self.total / 2
            && self
                .free
                .checked_sub(more)
                .is_some_and(|left| CLIENTS_ANSWERS * (client + more) <= left);
        plenty.then(|| {
            self.set(ticket, wanted, Some(wanted));
            wanted
        })
    }

    pub fn shrink(&mut self, ticket: Ticket, held: u64) {
        self.set(ticket, held, None);
        self.serve();
    }

    pub fn complete(&mut self, ticket: Ticket, held: u64) {
        self.change(ticket, Kind::Small, Kind::Complete);
        self.change(ticket, Kind::Arriving, Kind::Complete);
        self.set(ticket, held, None);
        self.serve();
    }

    pub fn close(&mut self, ticket: Ticket) {
        self.waiting.retain(|waiting| waiting.ticket != ticket);
        self.set(ticket, 0, None);
        if let Some(account) = self.accounts.remove(&ticket)
            && let Some(client) = self.clients.get_mut(&account.client)
        {
            client.accounts -= 1;
            if client.accounts == 0 {
                self.clients.remove(&account.client);
            }
        }
        if self.accounts.is_empty() {
            self.largest = 0;
        }
        self.serve();
    }

    /// Puts the account in line for `wanted` pages.
    pub fn wait(&mut self, ticket: Ticket, wanted: u64, claim: u64) -> oneshot::Receiver<()> {
        let (granted, receiver) = oneshot::channel();
        let entry = Waiting {
            ticket,
            wanted,
            claim,
            granted,
        };
        // Whoever needs least to be whole comes first; among equals, who came first.
        let place = |waiting: &Waiting| (waiting.claim - waiting.wanted, waiting.ticket);
        let at = self.waiting.partition_point(|other| place(other) <= place(&entry));
        self.waiting.insert(at, entry);
        // Perhaps now nobody goes on, so that the first one may.
        self.serve();
        receiver
    }

    pub fn cease_waiting(&mut self, ticket: Ticket) {
        self.waiting.retain(|waiting| waiting.ticket != ticket);
    }

    /// Gives what has become free to those who wait.
    fn serve(&mut self) {
        let mut refused = 0;
        let mut at = 0;
        while at < self.waiting.len() && refused < MOST_REFUSED {
            let Waiting {
                ticket, wanted, claim, ..
            } = self.waiting[at];
            if self.grow(ticket, wanted, claim) {
                // It may have ceased to wait, and then closes its account.
                let _ = self.waiting.remove(at).granted.send(());
            } else {
                // Whoever holds memory keeps it from others, and is always tried.
                refused += usize::from(self.held(ticket) == 0);
                at += 1;
            }
        }
        if !self.waiting.is_empty() && self.all_wait() {
            self.let_one_of_untold_length_go();
        }
    }

    /// Everyone who holds memory waits for more. Told lengths alone never lead here; an upload of untold length goes on
    /// with what is free, or else the largest of them is refused, so that the others go on.
    fn let_one_of_untold_length_go(&mut self) {
        let untold = |waiting: &Waiting| {
            let account = self.accounts.get(&waiting.ticket)?;
            (account.is_untold && account.held > 0).then_some(account.held)
        };
        let fits = |waiting: &Waiting| untold(waiting).is_some_and(|held| waiting.wanted - held <= self.free);
        if let Some(at) = self.waiting.iter().position(fits) {
            let Waiting {
                ticket,
                wanted,
                claim,
                granted,
            } = self.waiting.remove(at);
            self.give(ticket, wanted, claim);
            // It may have ceased to wait, and then closes its account.
            let _ = granted.send(());
            return;
        }
        let held = self.waiting.iter().enumerate();
        let held = held.filter_map(|(at, waiting)| Some((untold(waiting)?, at)));
        if let Some((_, at)) = held.max() {
            // Who waits is told by the end of the channel.
            self.waiting.remove(at);
        }
    }

    /// Whether everyone who holds memory waits for more.
    fn all_wait(&self) -> bool {
        let waits = |ticket: &Ticket| self.waiting.iter().any(|waiting| waiting.ticket == *ticket);
        let mut holding = self.accounts.iter().filter(|(_, account)| account.held > 0);
        holding.all(|(ticket, _)| waits(ticket))
    }

    fn may_grow(&self, ticket: Ticket, wanted: u64, claim: u64) -> bool {
        let Some(account) = self.accounts.get(&ticket) else {
            return false;
        };
        let more = wanted.saturating_sub(account.held);
        let Some(left) = self.free.checked_sub(more) else {
            return false;
        };
        let client = self.clients.get(&account.client).map_or(0, |client| client.held);
        if client + more > CLIENTS_PART * left && !self.is_next(ticket, claim - wanted, left) {
            return false;
        }
        let stays_small = account.kind == Kind::Small && wanted <= self.little();
        let small = match (account.kind, stays_small) {
            (Kind::Small, true) => self.small + more,
            (Kind::Small, false) => self.small - account.held,
            _ => self.small,
        };
        if stays_small && small > self.total / SMALL_PART {
            return false;
        }
        let there_will_be = self.total - small;
        self.arriving + wanted + self.largest.max(claim) <= there_will_be
            || self.all_can_end(ticket, (!stays_small).then_some((wanted, claim)), there_will_be)
    }

    /// Whether a body that lacks so much when it has grown is the next one to be whole, though its client holds much:
    /// no other that waits lacks less, and there is something left for newcomers; or nobody else goes on.
    fn is_next(&self, ticket: Ticket, lacks: u64, left: u64) -> bool {
        let others = || self.waiting.iter().filter(|other| other.ticket != ticket);
        let is_least = others().all(|other| lacks <= other.claim - other.wanted);
        let waits = |other: &Ticket| others().any(|waiting| waiting.ticket == *other);
        let all_wait = || {
            let mut holding = self.accounts.iter().filter(|(_, account)| account.held > 0);
            holding.all(|(other, _)| *other == ticket || waits(other))
        };
        is_least && left >= self.total / NEWCOMERS_PART || all_wait()
    }

    /// Whether the bodies that are arriving can all arrive in the memory that there will be, one after the other, when
    /// this one has grown: whoever lacks least goes first, and leaves what it held to those behind it.
    fn all_can_end(&self, ticket: Ticket, grown: Option<(u64, u64)>, there_will_be: u64) -> bool {
        let is_untold = self.accounts.get(&ticket).is_some_and(|account| account.is_untold);
        let lacks = |claim: u64, held: u64, is_untold: bool| match is_untold {
            // It has to do with what there is.
            true => claim.min(there_will_be).saturating_sub(held),
            false => claim - held,
        };
        let others = self.accounts.iter();
        let others = others.filter(|(other, account)| account.is_arriving() && **other != ticket);
        let mut arriving: Vec<(u64, u64)> = others
            .map(|(_, account)| (lacks(account.claim, account.held, account.is_untold), account.held))
            .chain(grown.map(|(wanted, claim)| (lacks(claim, wanted, is_untold), wanted)))
            .collect();
        arriving.sort_unstable();
        let held: u64 = arriving.iter().map(|(_, held)| held).sum();
        let Some(mut available) = there_will_be.checked_sub(held) else {
            return false;
        };
        arriving.into_iter().all(|(lacks, held)| {
            let can_end = lacks <= available;
            available += held;
            can_end
        })
    }

    /// Turns an account of one kind into one of another.
    fn change(&mut self, ticket: Ticket, from: Kind, to: Kind) {
        let Some(account) = self.accounts.get_mut(&ticket).filter(|account| account.kind == from) else {
            return;
        };
        account.kind = to;
        match from {
            Kind::Small => self.small -= account.held,
            Kind::Arriving => self.arriving -= account.held,
            Kind::Complete | Kind::Answer => {}
        }
        if to == Kind::Arriving {
            self.arriving += account.held;
        }
    }

    fn set(&mut self, ticket: Ticket, held: u64, claim: Option<u64>) {
        let Some(account) = self.accounts.get_mut(&ticket) else {
            return;
        };
        let before = std::mem::replace(&mut account.held, held);
        account.claim = claim.unwrap_or(account.claim).max(held);
        self.largest = self.largest.max(account.claim);
        let change = |amount: &mut u64| *amount = *amount + held - before;
        self.free = self.free + before - held;
        change(&mut self.clients.entry(account.client).or_default().held);
        match account.kind {
            Kind::Arriving => change(&mut self.arriving),
            Kind::Small => change(&mut self.small),
            Kind::Answer => change(&mut self.answers),
            Kind::Complete => {}
        }
    }
}

impl Account {
    /// Whether it holds memory and waits for more of its body.
    fn is_arriving(&self) -> bool {
        self.kind == Kind::Arriving && self.held > 0
    }
}

/// How many times what is free a client may hold.
const CLIENTS_PART: u64 = 3;

/// Where a client's answers hold so much, so many times as much has to be free. A quarter of all memory, then: by default
/// as much as two answers may have.
const CLIENTS_ANSWERS: u64 = 3;

/// 64 KiB.
const LITTLE: u64 = 16;

/// What small uploads of untold length may hold together: one part in so many.
const SMALL_PART: u64 = 4;

/// What is left free, as long as anybody's body goes on: one part in so many.
const NEWCOMERS_PART: u64 = 8;

/// How many of those who wait and hold nothing are tried in vain before the rest is left for later.
const MOST_REFUSED: usize = 16;
