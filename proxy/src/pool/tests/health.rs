#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::*;
use crate::pool::members::health::check::CheckResult;
use crate::pool::members::health::{Check, HealthConfig};

/// An HTTP server that gives the same answer until told another; an empty one is none at all.
#[derive(Clone)]
struct Server {
    address: SocketAddr,
    answer: Arc<Mutex<String>>,
    asked: Arc<Mutex<String>>,
}

impl Server {
    async fn start(answer: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Self {
            address,
            answer: Arc::new(Mutex::new(answer.to_owned())),
            asked: Arc::default(),
        };
        tokio::spawn(server.clone().serve(listener));
        server
    }

    async fn serve(self, listener: TcpListener) {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut head = [0; 1024];
            let length = connection.read(&mut head).await.unwrap_or(0);
            *self.asked.lock() = String::from_utf8_lossy(&head[..length]).into_owned();
            let answer = self.answer.lock().clone();
            if answer.is_empty() {
                tokio::spawn(async move { connection.read(&mut head).await });
            } else {
                let _ = connection.write_all(answer.as_bytes()).await;
            }
        }
    }

    fn answers(&self, answer: &str) {
        *self.answer.lock() = answer.to_owned();
    }
}

fn response(status: u16, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} Status\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn check(config: &HealthConfig) -> Check {
    Check::new(config, &Transport::new(TransportConfig::default()).unwrap())
}

fn at(address: SocketAddr) -> Backend {
    Backend::new(&BackendConfig::at(address), address.into(), None)
}

async fn result(yaml: &str, answer: &str) -> String {
    let server = Server::start(answer).await;
    let check = check(&serde_yaml::from_str(yaml).unwrap());
    match check.run(&at(server.address)).await {
        CheckResult::Unwell(reason) => reason.to_string(),
        result => format!("{result:?}"),
    }
}

#[tokio::test]
async fn believes_what_the_answer_says() {
    let json = r#"{ timeout: 200ms, max_body: 64B, expect: { json: { status: healthy, queue_depth: "< 8" } } }"#;
    for (answer, result_of_it) in [
        (response(200, r#"{"status":"healthy","queue_depth":7}"#), "Well"),
        (
            response(200, r#"{"status":"healthy","queue_depth":8}"#),
            "json queue_depth is Number(8), expected < 8",
        ),
        (response(200, "healthy"), "the body is not JSON"),
        (
            response(500, r#"{"status":"healthy","queue_depth":7}"#),
            "status 500, expected 200",
        ),
        (response(503, r#"{"status":"draining"}"#), "Draining"),
        (response(503, r#"{"status":"busy"}"#), "Busy"),
        (response(503, r#"{"status":"loading"}"#), "status 503, expected 200"),
        (response(200, &" ".repeat(65)), "the answer is longer than 64B"),
        (String::new(), "no answer within 200ms"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{".to_owned(),
            "ConnectionClosed",
        ),
    ] {
        assert_eq!(result(json, &answer).await, result_of_it, "{answer:?}");
    }
}

#[tokio::test]
async fn any_answer_is_enough_of_a_worker_of_which_nothing_is_known() {
    let server = Server::start(&response(404, "no such page")).await;
    let check = check(&HealthConfig::of_any_worker());
    assert!(matches!(check.run(&at(server.address)).await, CheckResult::Well));
    assert!(server.asked.lock().starts_with("GET / HTTP/1.1\r\n"));
}

#[tokio::test]
async fn what_is_asked_and_what_the_answer_has_in_it_can_be_said() {
    let yaml = "{ method: OPTIONS, expect: { body: pong } }";
    assert_eq!(result(yaml, &response(200, "ping, pong")).await, "Well");
    assert_eq!(
        result(yaml, &response(200, "ping")).await,
        "the body is not as expected: \"pong\""
    );
    let server = Server::start(&response(200, "pong")).await;
    let check = check(&serde_yaml::from_str(yaml).unwrap());
    assert!(matches!(check.run(&at(server.address)).await, CheckResult::Well));
    assert!(server.asked.lock().starts_with("OPTIONS /health HTTP/1.1\r\n"));
    for yaml in ["method: get", "method: CONNECT", "method: 'A B'", "method: ''"] {
        assert!(serde_yaml::from_str::<HealthConfig>(yaml).is_err(), "{yaml}");
    }
}

#[tokio::test]
async fn a_connection_may_be_enough() {
    let server = Server::start("").await;
    let check = check(&serde_yaml::from_str("tcp: true").unwrap());
    assert!(matches!(check.run(&at(server.address)).await, CheckResult::Well));
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    assert!(matches!(check.run(&at(address)).await, CheckResult::Unwell(_)));
}

#[tokio::test]
async fn says_that_nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let CheckResult::Unwell(reason) = check(&HealthConfig::default()).run(&at(address)).await else {
        panic!("well")
    };
    assert_eq!(reason.to_string(), "ConnectError: Connection refused (os error 111)");
}

#[tokio::test]
async fn asks_for_the_path_with_host_and_headers() {
    let server = Server::start(&response(200, "")).await;
    let yaml = format!(
        "{{ path: /ready?deep=1, host: blur.internal, port: {}, headers: {{ X-Probe: veil }} }}",
        server.address.port()
    );
    let elsewhere = SocketAddr::new(server.address.ip(), 9);
    assert!(matches!(
        check(&serde_yaml::from_str(&yaml).unwrap()).run(&at(elsewhere)).await,
        CheckResult::Well
    ));
    let asked = server.asked.lock().to_ascii_lowercase();
    assert!(asked.starts_with("get /ready?deep=1 http/1.1\r\n"), "{asked}");
    assert!(
        asked.contains("\r\nhost: blur.internal\r\n") && asked.contains("\r\nx-probe: veil\r\n"),
        "{asked}"
    );
}

#[test]
fn refuses_what_cannot_be_sent_or_done() {
    for yaml in [
        "{ interval: 0s }",
        "{ timeout: 0s }",
        "{ fall: 0 }",
        "{ path: health }",
        "{ path: 'http://x/' }",
        "{ path: '/a b' }",
        "{ headers: { 'a b': c } }",
    ] {
        assert!(serde_yaml::from_str::<HealthConfig>(yaml).is_err(), "{yaml}");
    }
}

/// A running pool of one backend, asked every few milliseconds.
struct Watched {
    pool: Arc<Pool>,
    server: Server,
    _stop: watch::Sender<bool>,
}

impl Watched {
    async fn start(answer: &str) -> Self {
        let server = Server::start(answer).await;
        let yaml = format!(
            "{{ health: {{ interval: 5ms, rise: 2, fall: 2 }}, backends: [{{ address: {} }}] }}",
            server.address
        );
        let config: PoolConfig = serde_yaml::from_str(&yaml).unwrap();
        let pool = Pool::new("images", &config, None).unwrap();
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(Arc::clone(&pool).run(stopped));
        pool.first_round().await;
        Self {
            pool,
            server,
            _stop: stop,
        }
    }

    fn standing(&self) -> Standing {
        self.pool.backends()[0].standing(Moment::now())
    }

    async fn becomes(&self, standing: Standing) {
        let change = async {
            while self.standing() != standing {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), change)
            .await
            .expect("the standing changes within 10 s");
    }
}

#[tokio::test]
async fn the_first_answer_counts_alone() {
    assert_eq!(Watched::start(&response(200, "")).await.standing(), Standing::Eligible);
    assert_eq!(Watched::start(&response(500, "")).await.standing(), Standing::Down);
}

#[tokio::test]
async fn goes_down_and_comes_back() {
    let watched = Watched::start(&response(200, "")).await;
    watched.server.answers(&response(500, ""));
    watched.becomes(Standing::Down).await;
    watched.server.answers(&response(200, ""));
    watched.becomes(Standing::Eligible).await;
}

#[tokio::test]
async fn draining_is_not_down() {
    let watched = Watched::start(&response(200, "")).await;
    watched.server.answers(&response(503, r#"{"status":"draining"}"#));
    watched.becomes(Standing::Draining).await;
    assert_eq!(watched.pool.backends()[0].health(), Health::Up);
    watched.server.answers(&response(200, ""));
    watched.becomes(Standing::Eligible).await;
}
