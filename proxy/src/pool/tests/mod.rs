#![allow(clippy::unwrap_used)]

mod admission;
mod health;
mod spawned;

use std::time::Duration;

use super::clock::Moment;
use super::members::discovery::answer::DiscoveryError;
use super::members::discovery::{follow, provider::Provider};
use super::members::written::{Found, resolved};
use super::*;

impl Pool {
    fn pick(&self, key: &Key, tried: &[Arc<Backend>]) -> Option<Lease> {
        self.0.dispatcher.pick(key, tried)
    }

    fn says(&self, said: Result<Vec<Found>, DiscoveryError>) {
        follow::note(&self.0.roster, self.provider(), said);
    }

    fn provider(&self) -> &Provider {
        &self.0.roster.providers()[0]
    }
}

fn pool(yaml: &str) -> Arc<Pool> {
    let config: PoolConfig = serde_yaml::from_str(yaml).unwrap();
    Pool::new("images", &config, None).unwrap()
}

fn client() -> Key {
    Key::of_client("192.0.2.7".parse().unwrap())
}

fn pick(pool: &Arc<Pool>, tried: &[Arc<Backend>]) -> Option<String> {
    pool.pick(&client(), tried)
        .map(|lease| lease.backend().name().to_owned())
}

fn fail(pool: &Arc<Pool>, name: &str) {
    pool.0
        .dispatcher
        .note(&pool.backend(name).unwrap(), Outcome::ConnectFailed);
}

const TWO_AND_A_BACKUP: &str = "
    select: { round_robin: {} }
    backends:
      - { address: 10.0.0.1:80, name: a }
      - { address: 10.0.0.2:80, name: b }
      - { address: 10.0.0.3:80, name: c, backup: true }";

#[test]
fn backups_serve_only_when_no_primary_is_eligible() {
    let pool = pool(TWO_AND_A_BACKUP);
    let picks: Vec<_> = (0..4).map(|_| pick(&pool, &[]).unwrap()).collect();
    assert_eq!(picks, ["a", "b", "a", "b"]);
    fail(&pool, "a");
    assert_eq!(pick(&pool, &[]).unwrap(), "b");
    fail(&pool, "b");
    assert_eq!(pick(&pool, &[]).unwrap(), "c");
    assert_eq!(pool.eligible(), 1);
}

#[test]
fn the_last_eligible_backend_is_not_ejected() {
    let pool = pool(TWO_AND_A_BACKUP);
    for name in ["a", "b", "c", "c"] {
        fail(&pool, name);
    }
    assert_eq!((pool.eligible(), pick(&pool, &[]).as_deref()), (1, Some("c")));
    assert_eq!(pool.status().panics, 0);
}

#[test]
fn never_offers_a_tried_backend() {
    let pool = pool(TWO_AND_A_BACKUP);
    let mut tried = Vec::new();
    while let Some(lease) = pool.pick(&client(), &tried) {
        tried.push(Arc::clone(lease.backend()));
    }
    let names: Vec<_> = tried.iter().map(|backend| backend.name()).collect();
    assert_eq!(names, ["a", "b", "c"]);
}

#[test]
fn panic_asks_those_believed_down_but_none_that_was_drained() {
    let pool = pool(TWO_AND_A_BACKUP);
    for backend in pool.backends() {
        backend.set_health(Health::Down);
    }
    assert!(pool.operator().set_drained("a", true));
    assert_eq!((pool.eligible(), pick(&pool, &[]).as_deref()), (0, Some("b")));
    assert_eq!(pool.status().panics, 1);
    pool.operator().set_drained("b", true);
    pool.operator().set_drained("c", true);
    assert_eq!(pick(&pool, &[]), None);
    assert!(!pool.operator().set_drained("nobody", true));
}

#[test]
fn a_full_pool_does_not_panic() {
    let pool = pool("{ backends: [{ address: 10.0.0.1:80, max_conns: 1 }, { address: 10.0.0.2:80, name: down }] }");
    pool.backend("down").unwrap().set_health(Health::Down);
    let lease = pool.pick(&client(), &[]).unwrap();
    assert!(pool.pick(&client(), &[]).is_none());
    drop(lease);
    assert!(pool.pick(&client(), &[]).is_some());
}

#[test]
fn a_lease_counts_while_it_lives() {
    let pool = pool(TWO_AND_A_BACKUP);
    let lease = pool.pick(&client(), &[]).unwrap();
    assert_eq!((lease.backend().in_flight(), pool.status().in_flight), (1, 1));
    let backend = Arc::clone(lease.backend());
    drop(lease);
    assert_eq!((backend.in_flight(), backend.requests()), (0, 1));
}

#[test]
fn weight_changes_move_keys_and_keep_health() {
    let pool = pool("{ backends: [{ address: 10.0.0.1:80, name: a }, { address: 10.0.0.2:80, name: b }] }");
    let home = pick(&pool, &[]).unwrap();
    pool.backend(&home).unwrap().set_health(Health::Down);
    assert!(pool.operator().set_weight(&home, 9));
    assert_eq!(pool.backend(&home).unwrap().health(), Health::Down);
    pool.backend(&home).unwrap().set_health(Health::Up);
    assert!(pool.operator().set_weight(&home, 0));
    assert_ne!(pick(&pool, &[]).unwrap(), home);
    assert_eq!(pool.backend(&home).unwrap().standing(Moment::now()), Standing::Drained);
}

#[test]
fn live_state_survives_a_reload_by_name() {
    let before = pool(TWO_AND_A_BACKUP);
    let lease = before.pick(&client(), &[]).unwrap();
    before.operator().set_drained("b", true);
    before.operator().set_weight("c", 7);
    fail(&before, "a");
    let config: PoolConfig = serde_yaml::from_str(&TWO_AND_A_BACKUP.replace("10.0.0.2", "10.0.0.9")).unwrap();
    let after = Pool::new("images", &config, Some(&before)).unwrap();
    let now = Moment::now();
    let standing = |name| after.backend(name).unwrap().standing(now);
    assert_eq!(
        [standing("a"), standing("b"), standing("c")],
        [Standing::Ejected, Standing::Drained, Standing::Eligible]
    );
    assert_eq!(after.backend("a").unwrap().in_flight(), 1);
    assert_eq!(after.backend("c").unwrap().weight(), 7);
    assert_eq!(after.backend("b").unwrap().address().to_string(), "10.0.0.9:80");
    drop(lease);
    assert_eq!(after.backend("a").unwrap().in_flight(), 0);
}

#[test]
fn refuses_twins() {
    let config = |yaml| serde_yaml::from_str::<PoolConfig>(yaml).unwrap();
    let same_address = config("{ backends: [{ address: 10.0.0.1:80, name: a }, { address: 10.0.0.1:80, name: b }] }");
    let error = Pool::new("images", &same_address, None).err().unwrap();
    assert_eq!(
        error.to_string(),
        r#"pool "images": two backends have the address 10.0.0.1:80"#
    );
    let same_name = config("{ backends: [{ address: 10.0.0.1:80, name: a }, { address: 10.0.0.2:80, name: a }] }");
    assert!(Pool::new("images", &same_name, None).is_err());
}

const ONE_PLACE: &str = "
    queue: { length: 1, timeout: 2s }
    backends: [{ address: 10.0.0.1:80, max_conns: 1 }]";

#[tokio::test(start_paused = true)]
async fn who_waits_gets_the_place_that_becomes_free() {
    let pool = pool(ONE_PLACE);
    let first = pool.acquire(&client(), &[]).await.unwrap();
    let waiting = tokio::spawn({
        let pool = Arc::clone(&pool);
        async move { pool.acquire(&client(), &[]).await.map(drop) }
    });
    tokio::task::yield_now().await;
    assert_eq!(pool.status().queued, 1);
    assert_eq!(pool.acquire(&client(), &[]).await.unwrap_err(), Refused::QueueFull);
    drop(first);
    assert_eq!(waiting.await.unwrap(), Ok(()));
    assert_eq!((pool.status().queued, pool.status().in_flight), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_the_timeout() {
    let pool = pool(ONE_PLACE);
    let held = pool.acquire(&client(), &[]).await.unwrap();
    let began = tokio::time::Instant::now();
    assert_eq!(pool.acquire(&client(), &[]).await.unwrap_err(), Refused::QueueTimeout);
    assert_eq!(began.elapsed(), Duration::from_secs(2));
    drop(held);
    assert!(
        pool.acquire(&client(), &[]).await.is_ok(),
        "a waiter that gave up keeps no place"
    );
}

#[tokio::test(start_paused = true)]
async fn who_waits_learns_when_nobody_can_serve_any_more() {
    let pool = pool(ONE_PLACE);
    let _held = pool.acquire(&client(), &[]).await.unwrap();
    let waiting = tokio::spawn({
        let pool = Arc::clone(&pool);
        async move { pool.acquire(&client(), &[]).await.map(drop) }
    });
    tokio::task::yield_now().await;
    let name = pool.backends()[0].name().to_owned();
    pool.operator().set_drained(&name, true);
    assert_eq!(waiting.await.unwrap(), Err(Refused::Nobody));
}

#[tokio::test(start_paused = true)]
async fn a_recovered_backend_starts_slowly() {
    let pool = pool("{ backends: [{ address: 10.0.0.1:80, name: a, weight: 10, slow_start: 10s }] }");
    let backend = pool.backend("a").unwrap();
    assert_eq!(backend.share(Moment::now()), 10.0);
    backend.set_health(Health::Down);
    backend.set_health(Health::Up);
    assert_eq!(backend.share(Moment::now()), 0.1);
    tokio::time::advance(Duration::from_secs(5)).await;
    assert!((4.9..5.1).contains(&backend.share(Moment::now())));
    tokio::time::advance(Duration::from_secs(6)).await;
    assert_eq!(backend.share(Moment::now()), 10.0);
}

#[test]
fn errors_in_a_row_and_slow_answers_eject_where_told_so() {
    let yaml = TWO_AND_A_BACKUP.to_owned() + "\n    ejection: { consecutive_5xx: 3, slower_than: 1s }";
    let pool = pool(&yaml);
    let answer = |name, status, seconds| {
        let latency = Duration::from_secs(seconds);
        pool.0
            .dispatcher
            .note(&pool.backend(name).unwrap(), Outcome::Answered { status, latency });
    };
    for status in [500, 503, 200, 500, 503] {
        answer("a", status, 0);
    }
    assert_eq!(pool.eligible(), 3);
    answer("a", 500, 0);
    assert_eq!(pool.eligible(), 2);
    answer("b", 200, 1);
    assert_eq!(pool.eligible(), 2);
    answer("b", 200, 2);
    assert_eq!((pool.eligible(), pick(&pool, &[]).as_deref()), (1, Some("c")));
}

#[tokio::test]
async fn a_suspect_gets_a_backend_that_serves_nothing_else() {
    let pool = pool("backends: [{ address: 10.0.0.1:80 }]");
    let other = pool.pick(&client(), &[]).unwrap();
    let none = pool
        .acquire_quarantined(&client(), &[], &[], Duration::from_millis(30))
        .await;
    assert!(none.is_none(), "the only backend is busy");
    let key = client();
    let (alone, ()) = tokio::join!(
        pool.acquire_quarantined(&key, &[], &[], Duration::from_secs(10)),
        async { drop(other) }
    );
    assert_eq!(pick(&pool, &[]), None);
    drop(alone.unwrap());
    assert!(pick(&pool, &[]).is_some());
}

#[tokio::test(start_paused = true)]
async fn workers_that_are_ended_at_one_moment_tell_nothing_of_a_request() {
    let pool = pool(
        "backends: [{ address: 10.0.0.1:80 }, { address: 10.0.0.2:80, name: b }, { address: 10.0.0.3:80, name: c }]",
    );
    let b = pool.backend("b").unwrap();
    let (key, tried) = (client(), [Arc::clone(&b)]);
    let deaths = [Death::now(b)];
    let ended_too = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(pool.eligible(), 3, "nobody is kept from others before it is time");
        pool.backend("c").unwrap().set_health(Health::Down);
    };
    let alone = pool.acquire_quarantined(&key, &tried, &deaths, Duration::from_secs(10));
    let (alone, ()) = tokio::join!(alone, ended_too);
    assert_eq!(alone.unwrap().backend().name(), "10.0.0.1:80");
}

fn found(yaml: &str) -> Vec<Found> {
    let written: Vec<BackendConfig> = serde_yaml::from_str(yaml).unwrap();
    written.iter().flat_map(|written| resolved(written).unwrap()).collect()
}

fn names(pool: &Pool) -> Vec<String> {
    pool.backends()
        .iter()
        .map(|backend| backend.name().to_owned())
        .collect()
}

const ONE_AND_A_FILE: &str = "{ backends: [{ address: 10.0.0.1:80, name: a }], discover: [{ file: more.yaml }] }";

fn pool_with_a_file(previous: Option<&Pool>) -> Arc<Pool> {
    let config: PoolConfig = serde_yaml::from_str(ONE_AND_A_FILE).unwrap();
    Pool::new("images", &config, previous).unwrap()
}

#[test]
fn whom_a_source_names_joins_and_leaves_and_stays_who_it_was() {
    let pool = pool_with_a_file(None);
    pool.says(Ok(found(
        "[{ address: 10.0.0.2:80, name: b }, { address: 10.0.0.3:80, name: c }]",
    )));
    assert_eq!((names(&pool).join(" "), pool.eligible()), ("a b c".to_owned(), 3));
    let b = pool.backend("b").unwrap();
    assert!(pool.operator().set_drained("b", true) && pool.operator().set_drained("c", true));

    pool.says(Ok(found(
        "[{ address: 10.0.0.2:80, name: b }, { address: 10.0.0.4:80, name: c }]",
    )));
    assert!(Arc::ptr_eq(&b, &pool.backend("b").unwrap()));
    let now = Moment::now();
    assert_eq!(pool.backend("c").unwrap().standing(now), Standing::Drained);
    assert_eq!(pool.backend("c").unwrap().address().to_string(), "10.0.0.4:80");

    pool.says(Ok(found("[{ address: 10.0.0.4:80, name: c }]")));
    assert_eq!(names(&pool), ["a", "c"]);
}

#[test]
fn a_failing_source_keeps_its_last_answer_over_a_reload_too() {
    let pool = pool_with_a_file(None);
    pool.says(Ok(found("[{ address: 10.0.0.2:80, name: b }]")));
    pool.says(Err(DiscoveryError::Nobody));
    assert_eq!(names(&pool), ["a", "b"]);
    let status = pool.provider().status();
    assert_eq!(
        (status.backends, status.failures, status.trouble.as_deref()),
        (1, 1, Some("names nobody"))
    );

    pool.operator().set_drained("b", true);
    let reloaded = pool_with_a_file(Some(&pool));
    assert_eq!(names(&reloaded), ["a", "b"]);
    assert!(!reloaded.provider().was_asked());
    reloaded.says(Ok(found("[{ address: 10.0.0.2:80, name: b, weight: 2 }]")));
    assert_eq!(
        reloaded.backend("b").unwrap().standing(Moment::now()),
        Standing::Drained
    );
    assert_eq!(reloaded.backend("b").unwrap().weight(), 2);
}

#[test]
fn a_source_cannot_name_anew_whom_the_pool_has() {
    let pool = pool_with_a_file(None);
    let twins = "[{ address: 10.0.0.1:80, name: b }, { address: 10.0.0.2:80, name: a }, { address: 10.0.0.3:80 }]";
    pool.says(Ok(found(twins)));
    assert_eq!(names(&pool), ["a", "10.0.0.3:80"]);
}

#[test]
fn the_order_is_what_requests_find() {
    let pool = pool("{ backends: [{ address: 10.0.0.1:80, name: a }, { address: 10.0.0.2:80, name: b }] }");
    let (home, other) = match pick(&pool, &[]).unwrap().as_str() {
        "a" => ("a", "b"),
        _ => ("b", "a"),
    };
    let seen = |pool: &Arc<Pool>| -> Vec<String> {
        let turns = pool.outlook().turns(&client()).into_iter();
        turns.map(|turn| format!("{}: {}", turn.backend, turn.why)).collect()
    };
    assert_eq!(
        seen(&pool),
        [
            format!("{home}: the key's own"),
            format!("{other}: next, if those before fail")
        ]
    );
    pool.backend(home).unwrap().suppose(Standing::Eligible, Health::Up, 3);
    assert_eq!(pick(&pool, &[]).unwrap(), other);
    assert_eq!(
        seen(&pool),
        [
            format!("{other}: has room, where {home} has more than its share in flight"),
            format!("{home}: 3 in flight are more than its share"),
        ]
    );
    pool.operator().set_drained(home, true);
    assert_eq!(
        seen(&pool),
        [
            format!("{other}: in place of {home}, which is drained"),
            format!("{home}: drained")
        ]
    );
}

#[test]
fn a_pool_as_it_runs_has_the_members_that_it_has_found() {
    let running = pool_with_a_file(None);
    running.says(Ok(found(
        "[{ address: 10.0.0.2:80, name: b }, { address: 10.0.0.3:80, name: c }]",
    )));
    running.operator().set_drained("b", true);
    running.backend("c").unwrap().set_health(Health::Down);
    let status = running.status();
    let here = Pool::new("images", &running.0.config.as_running(&status), None).unwrap();
    here.outlook().suppose(&status);
    let standings = |pool: &Pool| -> Vec<Standing> {
        let now = Moment::now();
        pool.backends().iter().map(|backend| backend.standing(now)).collect()
    };
    assert_eq!(names(&here), ["a", "b", "c"]);
    assert_eq!(
        standings(&here),
        [Standing::Eligible, Standing::Drained, Standing::Down]
    );
}
