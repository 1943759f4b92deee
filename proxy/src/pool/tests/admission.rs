//! Who gets a place, and what a pool costs that has none to give.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use tokio::task::JoinHandle;

use super::*;
use crate::pool::choose::chooser::MOST_TRIED;

fn wait(pool: &Arc<Pool>, tried: &[Arc<Backend>]) -> JoinHandle<Result<Lease, Refused>> {
    let (pool, tried) = (Arc::clone(pool), tried.to_vec());
    tokio::spawn(async move { pool.acquire(&client(), &tried).await })
}

#[tokio::test(start_paused = true)]
async fn a_free_place_goes_to_the_first_who_may_have_it() {
    let pool = pool(
        "backends: [{ address: 10.0.0.1:80, name: a, max_conns: 1 }, { address: 10.0.0.2:80, name: b, max_conns: 1 }]",
    );
    let (a, b) = (pool.backend("a").unwrap(), pool.backend("b").unwrap());
    let on_a = pool.pick(&client(), std::slice::from_ref(&b)).unwrap();
    let on_b = pool.pick(&client(), std::slice::from_ref(&a)).unwrap();
    let not_a = wait(&pool, std::slice::from_ref(&a));
    tokio::task::yield_now().await;
    let any = wait(&pool, &[]);
    tokio::task::yield_now().await;
    assert_eq!(pool.status().queued, 2);
    drop(on_a);
    let lease = any.await.unwrap().unwrap();
    assert!(lease.backend().is(&a) && pool.status().queued == 1);
    drop(on_b);
    assert!(not_a.await.unwrap().unwrap().backend().is(&b));
}

#[tokio::test(start_paused = true)]
async fn a_place_that_nobody_takes_any_more_goes_to_the_next() {
    let pool = pool("backends: [{ address: 10.0.0.1:80, max_conns: 1 }]");
    let held = pool.pick(&client(), &[]).unwrap();
    let gone = wait(&pool, &[]);
    tokio::task::yield_now().await;
    let waiting = wait(&pool, &[]);
    tokio::task::yield_now().await;
    gone.abort();
    tokio::task::yield_now().await;
    drop(held);
    assert!(waiting.await.unwrap().is_ok());
}

/// Asks until nobody is left, as a request does that cannot connect anywhere; returns how many it asked.
async fn knock(pool: &Arc<Pool>) -> usize {
    let mut tried = Vec::new();
    while let Ok(lease) = pool.acquire(&client(), &tried).await {
        lease.report(Outcome::ConnectFailed);
        tried.push(Arc::clone(lease.backend()));
    }
    tried.len()
}

/// Each refuses connections at once.
fn dead(backends: u32, more: &str) -> Arc<Pool> {
    let list: Vec<_> = (0..backends)
        .map(|number| format!("{{ address: '127.1.{}.{}:1' {more} }}", number / 250, number % 250 + 1))
        .collect();
    pool(&format!("backends: [{}]", list.join(", ")))
}

#[tokio::test(start_paused = true)]
async fn no_request_asks_a_pool_that_is_dead_until_it_is_forgotten() {
    for (backends, more) in [(100, ""), (100, ", max_fails: 0"), (1, "")] {
        let pool = dead(backends, more);
        let first = knock(&pool).await;
        assert!((1..=MOST_TRIED).contains(&first), "{first}");
        for _ in 0..100 {
            assert_eq!(knock(&pool).await, 0, "nobody answers");
            tokio::time::advance(Duration::from_millis(101)).await;
        }
        tokio::time::sleep(Duration::from_secs(10)).await;
        let again = knock(&pool).await;
        assert!((1..=MOST_TRIED).contains(&again), "{again}");
    }
}

#[tokio::test]
async fn the_first_that_can_be_connected_to_ends_the_silence() {
    let door = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = door.local_addr().unwrap();
    let refusing = "{ address: '127.0.0.1:1' }";
    let pool = pool(&format!("backends: [{refusing}, {{ address: '{address}' }}]"));
    knock(&pool).await;
    assert!(pool.acquire(&client(), &[]).await.is_err());
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if pool.acquire(&client(), &[]).await.is_ok() {
            return;
        }
    }
    panic!("it was silent for five seconds");
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_is_well_again_ends_the_silence() {
    let pool = dead(3, "");
    knock(&pool).await;
    assert!(pool.acquire(&client(), &[]).await.is_err());
    pool.0.dispatcher.serve();
    assert!(pool.acquire(&client(), &[]).await.is_ok());
}

#[test]
fn a_weight_is_bounded_and_so_is_the_ring() {
    let config = "backends: [{ address: 10.0.0.1:80, name: a, weight: 4294967295 }]";
    let error = serde_yaml::from_str::<PoolConfig>(config).unwrap_err().to_string();
    assert!(error.contains("4294967295 is more than 65535"), "{error}");
    let pool = pool(
        "backends: [{ address: 10.0.0.1:80, name: a, weight: 65535 }, { address: 10.0.0.2:80, name: b, weight: 65535 },
        { address: 10.0.0.3:80, name: c }]",
    );
    assert!(pool.operator().set_weight("c", u32::MAX) && pool.backend("c").unwrap().weight() == GREATEST_WEIGHT);
    let picks: Vec<_> = (1..=30)
        .map(|host| {
            let key = Key::of_client([192, 0, 2, host].into());
            pool.outlook().home(&key).unwrap().name().to_owned()
        })
        .collect();
    assert!(["a", "b", "c"].iter().all(|name| picks.iter().any(|pick| pick == name)));
}

/// Two workers of this program's own that run as far as the pool knows, each with one pair of hands.
fn own_workers() -> Arc<Pool> {
    let pool = pool("spawn: { workers: 2, args: [--workers, '1', --queue, '3'] }");
    pool.backends().iter().for_each(start);
    pool.0.dispatcher.serve();
    pool
}

fn start(worker: &Arc<Backend>) {
    worker.set_running();
    worker.set_health(Health::Up);
}

fn die(worker: &Arc<Backend>) {
    worker.set_stopped(true);
    worker.set_health(Health::Unknown);
}

#[tokio::test(start_paused = true)]
async fn one_clients_uploads_use_every_idle_worker() {
    let pool = own_workers();
    let mut leases = Vec::new();
    for _ in 0..8 {
        leases.push(pool.acquire(&client(), &[]).await.unwrap());
        let in_flight: Vec<_> = pool.backends().iter().map(|worker| worker.in_flight()).collect();
        assert!(
            in_flight[0].abs_diff(in_flight[1]) <= 1 || leases.len() > 2,
            "{in_flight:?}"
        );
    }
    let waiting = wait(&pool, &[]);
    tokio::task::yield_now().await;
    assert_eq!(pool.status().queued, 1, "each takes one and lets three wait");
    tokio::time::advance(Duration::from_secs(20)).await;
    leases.pop();
    assert!(waiting.await.unwrap().is_ok(), "waiting is the quickest way");
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_is_due_is_waited_for() {
    let pool = own_workers();
    let lease = pool.acquire(&client(), &[]).await.unwrap();
    let tried = [Arc::clone(lease.backend())];
    pool.backends().iter().for_each(die);
    drop(lease);
    let (new, again) = (wait(&pool, &[]), wait(&pool, &tried));
    tokio::task::yield_now().await;
    assert_eq!(pool.status().queued, 2);
    pool.backends().iter().for_each(start);
    pool.0.dispatcher.serve();
    assert!(new.await.unwrap().is_ok());
    assert!(again.await.unwrap().is_ok(), "the one in its place is another process");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_keeps_dying_is_not_waited_for() {
    let pool = own_workers();
    for worker in pool.backends() {
        die(&worker);
        worker.set_degraded(true);
    }
    assert_eq!(pool.acquire(&client(), &[]).await.unwrap_err(), Refused::Nobody);
}

#[test]
fn consecutive_errors_eject_by_default_but_never_the_last() {
    let pool = pool("backends: [{ address: 10.0.0.1:80, name: a }, { address: 10.0.0.2:80, name: b }]");
    let answer = |name| {
        let latency = Duration::from_millis(1);
        let outcome = Outcome::Answered { status: 500, latency };
        pool.0.dispatcher.note(&pool.backend(name).unwrap(), outcome);
    };
    (0..4).for_each(|_| answer("a"));
    assert_eq!(pool.eligible(), 2);
    answer("a");
    assert_eq!(pool.eligible(), 1);
    (0..20).for_each(|_| answer("b"));
    assert_eq!(pool.eligible(), 1);
    let status = pool.status();
    let trouble = status.backends[0].trouble.as_ref().unwrap();
    assert_eq!(
        (trouble.cause, trouble.why.as_str()),
        (Cause::Requests, "answered 500, 5 errors in a row")
    );
    assert_eq!(status.backends[0].statuses[&500], 5);
}
