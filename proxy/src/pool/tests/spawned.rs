#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::*;
use crate::pool::members::health::HealthConfig;

const AS_WORKER: &str = "VEIL_TEST_WORKER";

/// Not a test but the worker of the other ones, for which this program starts itself again.
#[test]
fn worker_process() {
    match std::env::var(AS_WORKER).as_deref() {
        Ok("serve") => serve(),
        Ok("die") => std::process::exit(3),
        _ => {}
    }
}

fn serve() {
    let listener = TcpListener::from(std::io::stdin().as_fd().try_clone_to_owned().unwrap());
    for connection in listener.incoming() {
        let mut connection = connection.unwrap();
        let mut head = [0; 1024];
        if connection.read(&mut head).unwrap_or(0) > 0 {
            let body = std::process::id().to_string();
            let _ = write!(
                connection,
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
        }
    }
}

struct Spawned {
    pool: Arc<Pool>,
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl Spawned {
    async fn start(role: &str, more: &str) -> Self {
        let program = std::env::current_exe().unwrap();
        let yaml = format!(
            "{{ spawn: {{ workers: 2, env: {{ {AS_WORKER}: {role} }}, {more}
               command: [{program:?}, --exact, 'pool::tests::spawned::worker_process'] }}, health: {{ interval: 20ms, timeout: 100ms }} }}"
        );
        let config: PoolConfig = serde_yaml::from_str(&yaml).unwrap();
        let pool = Pool::new("blur", &config, None).unwrap();
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(Arc::clone(&pool).run(stopped));
        pool.first_round().await;
        Self { pool, stop, running }
    }

    fn backend(&self) -> Arc<Backend> {
        self.pool.backend("worker-1").unwrap()
    }

    async fn until(&self, what: &str, holds: impl Fn(&Backend) -> bool) {
        let backend = self.backend();
        let condition = async {
            while !holds(&backend) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), condition)
            .await
            .unwrap_or_else(|_| panic!("never {what}"));
    }

    async fn end(self) {
        self.stop.send(true).unwrap();
        self.running.await.unwrap();
    }
}

/// The process id that the worker at this address answers with.
async fn ask(backend: &Backend) -> std::io::Result<i32> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut connection = TcpStream::connect(backend.address().as_inet()).await?;
    connection.write_all(b"GET / HTTP/1.1\r\n\r\n").await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    let pid = answer.rsplit("\r\n").next().and_then(|body| body.parse().ok());
    pid.ok_or_else(|| std::io::Error::other(format!("answered {answer:?}")))
}

fn kill(pid: i32, signal: rustix::process::Signal) {
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal).unwrap();
}

fn is_alive(pid: i32) -> bool {
    rustix::process::test_kill_process(rustix::process::Pid::from_raw(pid).unwrap()).is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_worker_is_out_at_once_and_back_at_the_same_address() {
    let spawned = Spawned::start("serve", "").await;
    assert_eq!(spawned.pool.eligible(), 2);
    let backend = spawned.backend();
    let first = ask(&backend).await.unwrap();
    let died = backend.died();
    kill(first, rustix::process::Signal::KILL);
    tokio::time::timeout(Duration::from_secs(10), died).await.unwrap();
    spawned
        .until("back", |backend| {
            backend.standing(Moment::now()) == Standing::Eligible && backend.deaths() == 1
        })
        .await;
    assert_ne!(ask(&backend).await.unwrap(), first);
    spawned.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_a_death_only_when_the_process_ended() {
    let spawned = Spawned::start("serve", "").await;
    let backend = spawned.backend();
    assert!(!backend.died_unbidden(backend.deaths()).await);
    let before = backend.deaths();
    kill(ask(&backend).await.unwrap(), rustix::process::Signal::KILL);
    assert!(backend.died_unbidden(before).await);
    spawned.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_worker_turns_connections_away_instead_of_letting_them_hang() {
    let spawned = Spawned::start("serve", "backoff: 1h, longest_backoff: 2h,").await;
    let backend = spawned.backend();
    let pid = ask(&backend).await.unwrap();
    kill(pid, rustix::process::Signal::STOP);
    // Accepted by the kernel, then by nobody.
    let waiting = tokio::spawn(async move { ask(&backend).await });
    kill(pid, rustix::process::Signal::KILL);
    let error = tokio::time::timeout(Duration::from_secs(10), waiting)
        .await
        .unwrap()
        .unwrap()
        .unwrap_err();
    // Reset by veil, or ended with the worker that had just taken it; answered by nobody.
    let ended = error.to_string() == r#"answered """#;
    assert!(ended || error.kind() == std::io::ErrorKind::ConnectionReset, "{error}");
    spawned
        .until("stopped", |backend| {
            backend.standing(Moment::now()) == Standing::Stopped
        })
        .await;
    assert_eq!(spawned.pool.eligible(), 1);
    spawned.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_hangs_is_killed_and_started_again() {
    let spawned = Spawned::start("serve", "hang_timeout: 100ms,").await;
    let pid = ask(&spawned.backend()).await.unwrap();
    kill(pid, rustix::process::Signal::STOP);
    spawned
        .until("back", |backend| {
            backend.standing(Moment::now()) == Standing::Eligible && backend.deaths() == 1
        })
        .await;
    assert_ne!(ask(&spawned.backend()).await.unwrap(), pid);
    spawned.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_end_with_the_pool() {
    let spawned = Spawned::start("serve", "").await;
    let mut pids = Vec::new();
    for backend in spawned.pool.backends() {
        pids.push(ask(&backend).await.unwrap());
    }
    spawned.end().await;
    assert!(pids.iter().all(|pid| !is_alive(*pid)), "{pids:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_keeps_dying_never_becomes_eligible() {
    let spawned = Spawned::start("die", "backoff: 1ms, longest_backoff: 50ms, start_timeout: 500ms,").await;
    spawned.until("in a crash loop", |backend| backend.deaths() >= 5).await;
    assert_eq!(spawned.pool.eligible(), 0);
    spawned.until("degraded", Backend::is_degraded).await;
    assert!(spawned.pool.status().degraded);
    let key = super::super::Key::of_client("192.0.2.7".parse().unwrap());
    let lease = spawned.pool.pick(&key, &[]);
    assert!(
        lease.is_none_or(|lease| lease.backend().is_running()),
        "panic offers no worker that does not run"
    );
    spawned.end().await;
}

#[test]
fn spawned_workers_are_checked_by_what_is_known_of_them_unless_told_how() {
    let checks = |yaml| serde_yaml::from_str::<PoolConfig>(yaml).unwrap().checks();
    assert_eq!(checks("{ spawn: {} }"), Some(HealthConfig::of_a_blur_worker()));
    assert_eq!(checks("{ spawn: {}, health: {} }"), Some(HealthConfig::default()));
    assert_eq!(
        checks("{ spawn: { command: [serve] } }"),
        Some(HealthConfig::of_any_worker())
    );
    assert_eq!(checks("{ backends: [{ address: 192.0.2.1:80 }] }"), None);
}

#[tokio::test]
async fn other_workers_after_a_reload_are_drained_where_those_of_their_names_were() {
    let pool = |workers: u32, previous: Option<&Pool>| {
        let config = format!("{{ spawn: {{ workers: {workers}, command: [serve] }} }}");
        Pool::new("blur", &serde_yaml::from_str(&config).unwrap(), previous).unwrap()
    };
    let before = pool(2, None);
    assert!(before.operator().set_drained("worker-1", true) && before.operator().set_weight("worker-2", 5));
    let after = pool(3, Some(&before));
    assert_eq!(after.operator().overrides(), before.operator().overrides());
    assert!(after.backend("worker-1").unwrap().is_drained());
}

#[tokio::test]
async fn a_program_that_is_not_there_is_reported_and_tried_again() {
    let config = "{ spawn: { workers: 1, command: [/does/not/exist], backoff: 1ms, start_timeout: 10ms } }";
    let pool = Pool::new("blur", &serde_yaml::from_str::<PoolConfig>(config).unwrap(), None).unwrap();
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(Arc::clone(&pool).run(stopped));
    pool.first_round().await;
    assert_eq!(pool.eligible(), 0);
    stop.send(true).unwrap();
    running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_outlive_a_reload_that_leaves_them_as_they_are() {
    let before = Spawned::start("serve", "").await;
    let pid = ask(&before.backend()).await.unwrap();
    let config = PoolConfig {
        queue: serde_yaml::from_str("{ length: 7 }").unwrap(),
        ..before.pool.0.config.clone()
    };
    let pool = Pool::new("blur", &config, Some(&before.pool)).unwrap();
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(Arc::clone(&pool).run(stopped));
    pool.first_round().await;
    before.end().await;
    assert_eq!(ask(&pool.backend("worker-1").unwrap()).await.unwrap(), pid);
    stop.send(true).unwrap();
    running.await.unwrap();
    assert!(!is_alive(pid));
}
