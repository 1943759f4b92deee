//! Who may come in: a bounded number of places, and two bounds on memory, one for the files as they were sent and one for
//! what they unfold to. Files are refused when theirs is spent; decoded pictures wait for theirs, and since whoever waits
//! holds nothing of it, somebody always goes on.
//!
//! A picture has one place from its request's head on. Once its own head is read it takes as many as the work it is going to
//! make, and waits until there are so many; dear pictures leave a third of all to others. Whoever comes and finds no place
//! gets that of a picture which is not worked on yet, if its client holds more than its share, or if it waits for several;
//! while it is not known of somebody what that one is going to cost, it waits for a moment at the door.

mod budget;

use std::{
    collections::{BTreeMap, HashMap},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::timeout};

pub use self::budget::{Budget, Hold};
use crate::{client::Client, error::Error};

pub struct Admission {
    desk: Arc<Desk>,
    files: Budget,
    pictures: Budget,
}

/// One picture's leave to be here, from its head to its answer.
pub struct Place {
    desk: Arc<Desk>,
    id: u64,
    sent_away: Arc<Notify>,
}

struct Desk {
    places: usize,
    /// Contended when pictures come, begin and go.
    visitors: Mutex<Visitors>,
    /// A place is free, or it is known what one more picture costs.
    changed: Notify,
    /// Whoever waits for a place, one after the other.
    door: tokio::sync::Mutex<()>,
}

/// What becomes of one who wants to come in.
enum Admitted {
    Yes(Place),
    Perhaps,
    No,
}

#[derive(Default)]
struct Visitors {
    next: u64,
    /// By when they came.
    present: BTreeMap<u64, Visitor>,
}

struct Visitor {
    client: Client,
    /// Places that it has.
    has: usize,
    /// Places that it wants to have before it is worked on, once that is known.
    wants: Option<usize>,
    is_worked_on: bool,
    sent_away: Arc<Notify>,
}

impl Admission {
    /// `places` in `memory` bytes, a quarter of them for files.
    pub fn new(places: usize, memory: u64) -> Self {
        let desk = Desk {
            places,
            visitors: Mutex::default(),
            changed: Notify::new(),
            door: tokio::sync::Mutex::default(),
        };
        Self {
            desk: Arc::new(desk),
            files: Budget::new(memory / 4),
            pictures: Budget::new(memory - memory / 4),
        }
    }

    /// Takes a place for a client's picture. Who has none yet goes past those who wait.
    ///
    /// # Errors
    /// [`Error::Busy`] when there is none, and nobody who holds more than a share.
    pub async fn enter(&self, client: Client) -> Result<Place, Error> {
        if !self.desk.visitors().has_any_of(client)
            && let Admitted::Yes(place) = self.desk.admit(client)
        {
            return Ok(place);
        }
        let waiting = async {
            let _turn = self.desk.door.lock().await;
            loop {
                let mut changed = pin!(self.desk.changed.notified());
                changed.as_mut().enable();
                match self.desk.admit(client) {
                    Admitted::Yes(place) => return Ok(place),
                    Admitted::Perhaps => changed.await,
                    Admitted::No => return Err(Error::Busy),
                }
            }
        };
        timeout(PATIENCE, waiting).await.unwrap_or(Err(Error::Busy))
    }

    pub fn in_flight(&self) -> usize {
        self.desk.visitors().present.len()
    }

    /// Memory for files as they were sent.
    pub fn files(&self) -> &Budget {
        &self.files
    }

    /// Memory for pictures as they are worked on.
    pub fn pictures(&self) -> &Budget {
        &self.pictures
    }
}

impl Place {
    /// Returns when the place was given to somebody else.
    pub async fn sent_away(&self) {
        self.sent_away.notified().await;
    }

    /// Waits for as many places as are due for so much work. Clients that have fewer go first.
    pub async fn pay_for(&self, work: Duration) {
        let wanted = (work.as_secs_f64() / WORK_OF_A_PLACE.as_secs_f64()).ceil() as usize;
        let wanted = wanted.clamp(1, self.desk.for_dear_ones().max(1));
        self.desk.visitors().wants(self.id, wanted);
        self.desk.changed.notify_waiters();
        loop {
            let mut changed = pin!(self.desk.changed.notified());
            changed.as_mut().enable();
            if self.desk.visitors().give(self.id, wanted, &self.desk) {
                return;
            }
            changed.await;
        }
    }

    /// From now on nobody else gets it.
    ///
    /// # Errors
    /// [`Error::Busy`] if somebody has got it already.
    pub fn begin(&self) -> Result<(), Error> {
        let mut visitors = self.desk.visitors();
        let visitor = visitors.present.get_mut(&self.id).ok_or(Error::Busy)?;
        visitor.is_worked_on = true;
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.desk.visitors().present.remove(&self.id);
        self.desk.changed.notify_waiters();
    }
}

impl Desk {
    fn admit(self: &Arc<Self>, client: Client) -> Admitted {
        let mut visitors = self.visitors();
        if visitors.taken() >= self.places {
            let Some(hog) = visitors.hog(client) else {
                let is_open = visitors.present.values().any(|visitor| visitor.wants.is_none());
                return if is_open { Admitted::Perhaps } else { Admitted::No };
            };
            if let Some(gone) = visitors.present.remove(&hog) {
                gone.sent_away.notify_one();
                self.changed.notify_waiters();
            }
        }
        let id = visitors.next;
        visitors.next += 1;
        let sent_away = Arc::new(Notify::new());
        let visitor = Visitor {
            client,
            has: 1,
            wants: None,
            is_worked_on: false,
            sent_away: sent_away.clone(),
        };
        visitors.present.insert(id, visitor);
        Admitted::Yes(Place {
            desk: self.clone(),
            id,
            sent_away,
        })
    }

    fn visitors(&self) -> MutexGuard<'_, Visitors> {
        self.visitors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Places that pictures of several places may have together.
    fn for_dear_ones(&self) -> usize {
        self.places - self.places.div_ceil(LEFT_TO_OTHERS).min(self.places - 1)
    }
}

impl Visitors {
    fn taken(&self) -> usize {
        self.present.values().map(|visitor| visitor.has).sum()
    }

    fn has_any_of(&self, client: Client) -> bool {
        self.present.values().any(|visitor| visitor.client == client)
    }

    fn wants(&mut self, id: u64, places: usize) {
        self.present
            .entry(id)
            .and_modify(|visitor| visitor.wants = Some(places));
    }

    /// Who has to go so that `client` may come: of those that are not worked on, one of the client that holds and wants most,
    /// if that is more than this one would have; or one that waits for several places, even if it is this client's own.
    fn hog(&self, client: Client) -> Option<u64> {
        let mut shares: HashMap<Client, usize> = HashMap::new();
        for visitor in self.present.values() {
            *shares.entry(visitor.client).or_default() += visitor.weight();
        }
        let share = |client: &Client| shares.get(client).copied().unwrap_or_default();
        let own = share(&client);
        let holds_more = |visitor: &Visitor| {
            let share = share(&visitor.client);
            let is_another = visitor.client != client && share > own + 1;
            is_another || visitor.waits_for_several() && share >= own
        };
        let waiting = self.present.iter().filter(|(_, visitor)| !visitor.is_worked_on);
        waiting
            .filter(|(_, visitor)| holds_more(visitor))
            .max_by_key(|(id, visitor)| (share(&visitor.client), visitor.weight(), **id))
            .map(|(id, _)| *id)
    }

    /// Gives one of them `wanted` places, if there are so many and it is its turn. Whoever is not here any more need not wait.
    fn give(&mut self, id: u64, wanted: usize, desk: &Desk) -> bool {
        let Some(visitor) = self.present.get(&id) else {
            return true;
        };
        if wanted <= visitor.has {
            return true;
        }
        let (client, has) = (visitor.client, visitor.has);
        let had = |client: Client| -> usize {
            let own = self.present.values().filter(|other| other.client == client);
            own.map(|other| other.has).sum()
        };
        let mut waiting = self.present.values().filter(|other| other.waits_for_several());
        let is_its_turn = !waiting.any(|other| had(other.client) < had(client));
        let dear = self.present.values().filter(|other| other.has > 1);
        let dear: usize = dear.map(|other| other.has).sum();
        let there_are = self.taken() - has + wanted <= desk.places && dear + wanted <= desk.for_dear_ones();
        if is_its_turn && there_are {
            self.present.entry(id).and_modify(|visitor| visitor.has = wanted);
        }
        is_its_turn && there_are
    }
}

impl Visitor {
    /// Places that it holds, or holds up.
    fn weight(&self) -> usize {
        self.wants.unwrap_or_default().max(self.has)
    }

    fn waits_for_several(&self) -> bool {
        self.wants.is_some_and(|wants| wants > self.has)
    }
}

/// Half a second of one core: what most pictures take at most.
const WORK_OF_A_PLACE: Duration = Duration::from_millis(500);
/// How long to wait until somebody's costs are known, which for a small file is soon.
const PATIENCE: Duration = Duration::from_millis(500);
/// One place of so many is for pictures that need one only.
const LEFT_TO_OTHERS: usize = 3;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::client::Trusted;

    async fn several(admission: &Admission, who: u8, count: usize) -> Vec<Place> {
        let mut places = Vec::new();
        for _ in 0..count {
            places.push(admission.enter(client(who)).await.unwrap());
        }
        places
    }

    #[tokio::test]
    async fn who_finds_all_places_taken_waits_until_it_is_known_what_they_cost() {
        let admission = Admission::new(3, 1 << 20);
        let places = several(&admission, 1, 3).await;
        let dear = async {
            tokio::task::yield_now().await;
            // It waits for more places than there are, until it is sent away.
            places[2].pay_for(Duration::from_secs(9)).await;
        };
        let (small, ()) = tokio::join!(admission.enter(client(1)), dear);
        assert!(small.is_ok());
        assert!(places[2].begin().is_err());
    }

    fn client(number: u8) -> Client {
        let nobody: Trusted = "".parse().unwrap();
        Client::of([192, 0, 2, number].into(), &[], &nobody)
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_free_again_when_its_picture_is_gone() {
        let admission = Admission::new(1, 1 << 20);
        let place = admission.enter(client(1)).await.unwrap();
        assert!(matches!(admission.enter(client(1)).await, Err(Error::Busy)));
        drop(place);
        assert!(admission.enter(client(1)).await.is_ok());
        assert_eq!(admission.in_flight(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_holds_more_than_a_share_makes_room_for_others_and_never_for_itself() {
        let admission = Admission::new(6, 1 << 20);
        let many = several(&admission, 1, 6).await;
        assert!(admission.enter(client(1)).await.is_err());
        let others = several(&admission, 2, 3).await;
        assert!(admission.enter(client(2)).await.is_err(), "half of the places each");
        let third = admission.enter(client(3)).await.unwrap();
        // The last that came were the first to go.
        for (index, place) in many.iter().enumerate() {
            assert_eq!(place.begin().is_ok(), index < 3, "{index}");
        }
        let stayed: Vec<bool> = others.iter().map(|place| place.begin().is_ok()).collect();
        assert_eq!((third.begin().is_ok(), &stayed[..]), (true, &[true, true, false][..]));
        many[5].sent_away().await;
    }

    #[tokio::test]
    async fn what_is_worked_on_stays() {
        let admission = Admission::new(2, 1 << 20);
        let places = several(&admission, 1, 2).await;
        for place in &places {
            place.pay_for(Duration::ZERO).await;
            place.begin().unwrap();
        }
        assert!(admission.enter(client(2)).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn dear_pictures_leave_places_to_others_and_give_up_theirs_while_they_wait() {
        let admission = Arc::new(Admission::new(18, 1 << 20));
        let one = admission.enter(client(1)).await.unwrap();
        one.pay_for(Duration::from_secs(4)).await;
        one.begin().unwrap();
        let waiting = several(&admission, 1, 10).await;
        for place in &waiting {
            let paid = tokio::time::timeout(Duration::ZERO, place.pay_for(Duration::from_secs(4)));
            assert!(paid.await.is_err());
        }
        // All eighteen are taken; whoever comes with a small picture gets one all the same, even if it is the same client.
        let small = several(&admission, 1, 10).await;
        assert!(admission.enter(client(1)).await.is_err());
        assert_eq!(waiting.iter().filter(|place| place.begin().is_ok()).count(), 0);
        drop((small, one));
        let last = admission.enter(client(1)).await.unwrap();
        last.pay_for(Duration::from_secs(9000)).await;
        assert_eq!(admission.desk.visitors().taken(), 12);
    }

    #[tokio::test]
    async fn who_has_less_is_served_first() {
        let admission = Admission::new(18, 1 << 20);
        let [busy, again] = <[Place; 2]>::try_from(several(&admission, 1, 2).await).ok().unwrap();
        let other = admission.enter(client(2)).await.unwrap();
        busy.pay_for(Duration::from_secs(4)).await;
        let four = Duration::from_secs(4);
        let waits = async |place: &Place| tokio::time::timeout(Duration::ZERO, place.pay_for(four)).await.is_err();
        assert!(waits(&again).await && waits(&other).await);
        let _also = admission.enter(client(1)).await.unwrap();
        drop(busy);
        assert!(waits(&again).await);
        assert!(!waits(&other).await);
    }

    #[test]
    fn files_beyond_the_budget_are_refused() {
        let admission = Admission::new(9, 4 << 20);
        let hold = admission.files().take(900 << 10).unwrap();
        assert!(matches!(admission.files().take(200 << 10), Err(Error::Busy)));
        assert_eq!(admission.files().bytes_taken(), 900 << 10);
        drop(hold);
        assert!(admission.files().take(200 << 10).is_ok());
    }

    #[tokio::test]
    async fn a_picture_that_could_never_fit_is_refused_and_does_not_wait() {
        let admission = Admission::new(9, 4 << 20);
        assert!(matches!(
            admission.pictures().wait_for(4 << 20).await,
            Err(Error::TooMuchMemory { .. })
        ));
    }

    #[tokio::test]
    async fn a_picture_waits_until_memory_is_free() {
        let admission = Arc::new(Admission::new(9, 4 << 20));
        let hold = admission.pictures().wait_for(2 << 20).await.unwrap();
        let waiting = tokio::spawn({
            let admission = admission.clone();
            async move { admission.pictures().wait_for(2 << 20).await.is_ok() }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(hold);
        assert!(waiting.await.unwrap());
    }
}
