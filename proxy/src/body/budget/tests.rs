#![allow(clippy::unwrap_used)]
use proptest::prelude::*;
use tokio::sync::oneshot::error::TryRecvError;

use super::*;
use crate::yaml::units::ByteSize;

const ALICE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
const BOB: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));
const KIB: u64 = 1 << 10;

fn budget(kib: u64) -> Arc<Budget> {
    Budget::new(
        &BodyConfig {
            memory: ByteSize::from_kib(kib),
            ..BodyConfig::default()
        },
        None,
    )
}

#[tokio::test(start_paused = true)]
async fn waits_for_memory_and_then_gives_up() {
    let budget = budget(64);
    let mut first = budget.open(ALICE, Some(40 * KIB), 0).unwrap();
    first.hold(40 * KIB).await.unwrap();
    let mut second = budget.open(ALICE, Some(40 * KIB), 0).unwrap();
    assert!(matches!(second.hold(40 * KIB).await, Err(BudgetError::Full { .. })));

    let (held, ()) = tokio::join!(second.hold(40 * KIB), async { drop(first) });
    held.unwrap();
    assert_eq!(second.bytes(), 40 * KIB);
    drop(second);
    assert_eq!(budget.in_use(), 0);
}

#[tokio::test]
async fn refuses_at_once_what_can_never_fit() {
    let budget = budget(64);
    assert!(matches!(
        budget.open(ALICE, Some(65 * KIB), 0),
        Err(BudgetError::NeverFits { .. })
    ));
    let mut untold = budget.open(ALICE, None, 1 << 20).unwrap();
    untold.hold(64 * KIB).await.unwrap();
    assert!(matches!(
        untold.hold(64 * KIB + 1).await,
        Err(BudgetError::NeverFits { .. })
    ));
}

#[tokio::test]
async fn counts_the_page_that_is_begun_and_nothing_that_is_only_promised() {
    let budget = budget(1024);
    let mut share = budget.open(ALICE, Some(500 * KIB), 0).unwrap();
    assert_eq!(budget.in_use(), 0);
    share.hold(1).await.unwrap();
    assert_eq!(budget.in_use(), PAGE);
    share.hold(PAGE + 1).await.unwrap();
    assert_eq!(budget.in_use(), 2 * PAGE);
    share.hold(100 * KIB).await.unwrap();
    share.complete(100 * KIB);
    assert_eq!(budget.in_use(), 100 * KIB);
}

#[tokio::test(start_paused = true)]
async fn one_client_leaves_something_to_others() {
    let budget = budget(1024);
    let mut held = Vec::new();
    for _ in 0..100 {
        let mut share = budget.open(ALICE, Some(64 * KIB), 0).unwrap();
        if share.hold(64 * KIB).await.is_ok() {
            share.complete(64 * KIB);
            held.push(share);
        }
    }
    assert!(budget.in_use() <= 896 * KIB, "{}", budget.in_use());
    assert!(budget.in_use() >= 704 * KIB, "{}", budget.in_use());
    let mut other = budget.open(BOB, Some(64 * KIB), 0).unwrap();
    other.hold(64 * KIB).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_small_body_passes_a_large_one_that_waits() {
    let budget = budget(1024);
    let mut stalled = budget.open(ALICE, None, 1 << 20).unwrap();
    stalled.hold(600 * KIB).await.unwrap();
    let mut large = budget.open(ALICE, None, 1 << 20).unwrap();
    let mut small = budget.open(ALICE, Some(10 * KIB), 0).unwrap();
    let mut untold = budget.open(ALICE, None, 1 << 20).unwrap();
    let waits = large.hold(400 * KIB);
    tokio::pin!(waits);
    tokio::select! {
        biased;
        held = &mut waits => panic!("the large one went first: {held:?}"),
        () = std::future::ready(()) => {}
    }
    small.hold(10 * KIB).await.unwrap();
    untold.hold(20 * KIB).await.unwrap();
    drop(stalled);
    waits.await.unwrap();
}

#[tokio::test]
async fn the_addresses_of_one_network_are_one_client() {
    assert_eq!(
        network("2001:db8::1".parse().unwrap()),
        network("2001:db8::ffff:0:0:2".parse().unwrap())
    );
    assert_ne!(
        network("2001:db8::1".parse().unwrap()),
        network("2001:db8:0:1::1".parse().unwrap())
    );
    assert_eq!(
        network("::ffff:10.0.0.1".parse().unwrap()),
        network("10.0.0.1".parse().unwrap())
    );
}

#[tokio::test(start_paused = true)]
async fn answers_leave_half_of_it_to_uploads() {
    let budget = budget(1024);
    let mut answers: Vec<Share> = (0..32)
        .map(|host| budget.open_answer(IpAddr::from([10, 0, 1, host])))
        .collect();
    for length in [16 * KIB, 32 * KIB, 64 * KIB] {
        for answer in &mut answers {
            answer.hold_if_plenty(length);
        }
    }
    assert!(budget.in_use() <= 512 * KIB);
    let mut upload = budget.open(ALICE, Some(300 * KIB), 0).unwrap();
    upload.hold(300 * KIB).await.unwrap();
}

#[tokio::test]
async fn the_answers_of_one_client_leave_most_of_it_to_others() {
    let budget = budget(64 * KIB);
    let mut answers: Vec<Share> = (0..200).map(|_| budget.open_answer(ALICE)).collect();
    for length in [4 * KIB, 16 * KIB, 1024 * KIB] {
        for answer in &mut answers {
            answer.hold_if_plenty(length);
        }
    }
    let quarter = 16384 * KIB;
    assert!(
        (quarter * 3 / 4..=quarter).contains(&budget.in_use()),
        "{}",
        budget.in_use()
    );
    assert!(budget.open_answer(BOB).hold_if_plenty(quarter / 2));
}

proptest! {
    /// Whatever the lengths, the clients and the order of the bytes: as long as nobody stalls, somebody always goes on,
    /// every upload whose length is told ends, one of untold length is refused only where it and all others wait, and the
    /// books are right.
    #[test]
    fn uploads_never_share_out_all_memory_among_them(
        uploads in prop::collection::vec((1u64..=60, 0u8..4, any::<bool>()), 1..40),
        turns in prop::collection::vec(any::<prop::sample::Index>(), 400),
    ) {
        let mut ledger = Ledger::new(64);
        let mut going: Vec<_> = uploads
            .into_iter()
            .map(|(length, host, told)| {
                let kind = if told { Kind::Arriving } else { Kind::Small };
                let ticket = ledger.open(IpAddr::from([10, 0, 0, host]), kind);
                // Those that are not told find three quarters at least.
                let length = if told { length } else { length.min(48) };
                (ticket, length, told, None::<oneshot::Receiver<()>>)
            })
            .collect();
        let mut turns = turns.into_iter().cycle();
        while !going.is_empty() {
            let mut refused = Vec::new();
            for (at, (_, _, told, waits)) in going.iter_mut().enumerate() {
                match waits.as_mut().map(oneshot::Receiver::try_recv) {
                    Some(Ok(())) => *waits = None,
                    Some(Err(TryRecvError::Closed)) => {
                        prop_assert!(!*told, "one whose length is told was refused");
                        refused.push(at);
                    }
                    Some(Err(TryRecvError::Empty)) | None => {}
                }
            }
            prop_assert!(refused.len() <= 1, "more were refused than had to be");
            if let Some(at) = refused.pop() {
                let others_go_on = going.iter().enumerate().any(|(other, (ticket, .., waits))| {
                    other != at && waits.is_none() && ledger.held(*ticket) > 0
                });
                prop_assert!(!others_go_on, "one was refused although others go on");
                ledger.close(going.swap_remove(at).0);
                continue;
            }
            let ready: Vec<usize> = (0..going.len()).filter(|at| going[*at].3.is_none()).collect();
            prop_assert!(!ready.is_empty(), "all wait for each other");
            let at = ready[turns.next().unwrap().index(ready.len())];
            let (ticket, length, told, waits) = &mut going[at];
            let held = ledger.held(*ticket);
            if held == *length {
                ledger.close(*ticket);
                going.swap_remove(at);
                continue;
            }
            let wanted = held + 1 + (*length - held - 1) / 3;
            let claim = match *told {
                true => *length,
                false if wanted <= 4 => wanted,
                false => 64,
            };
            if !ledger.grow(*ticket, wanted, claim) {
                *waits = Some(ledger.wait(*ticket, wanted, claim));
            }
            let all: u64 = going.iter().map(|(ticket, ..)| ledger.held(*ticket)).sum();
            prop_assert_eq!(all + ledger.free(), 64);
        }
        prop_assert_eq!(ledger.free(), 64);
    }
}

#[test]
fn survives_a_reload_that_leaves_it_alone() {
    let (before, config) = (
        budget(64),
        BodyConfig {
            memory: ByteSize::from_kib(64),
            ..BodyConfig::default()
        },
    );
    assert!(Arc::ptr_eq(&before, &Budget::new(&config, Some(&before))));
    assert!(!Arc::ptr_eq(
        &before,
        &Budget::new(&BodyConfig::default(), Some(&before))
    ));
}
