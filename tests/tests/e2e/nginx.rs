//! Beside a real Nginx: `nginx_ip_hash` and `ketama` choose what its `ip_hash` and `hash … consistent` choose.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::thread;

use e2e::backend::Backend;
use e2e::client;
use e2e::nginx::Nginx;
use e2e::random::Random;
use e2e::raw::Raw;
use e2e::veil::Veil;

const KEYS: usize = 10_000;
const WEIGHTS: [u32; 4] = [3, 3, 1, 2];
/// The backend that is down in the second round.
const DOWN: usize = 1;

#[test]
fn the_same_backend_for_ten_thousand_keys() {
    let Some(binary) = Nginx::binary() else {
        e2e::skip("nginx", "nginx is not installed (Debian: apt-get install nginx)");
        return;
    };
    let backends: Vec<Backend> = ["a", "b", "c", "d"].map(Backend::named).into();
    let keys = keys();
    let nginx = Peer::start(binary, &backends);
    let veil = Veil::start(&veil_yaml(&backends));
    for (path, down) in [
        ("/ip_hash", false),
        ("/consistent", false),
        ("/ip_hash", true),
        ("/consistent", true),
    ] {
        if down {
            drain(&veil, &backends[DOWN]);
        }
        let round = if down { "/down" } else { "/up" };
        let (theirs, ours) = thread::scope(|scope| {
            let theirs = scope.spawn(|| choices(nginx.address, &format!("{round}{path}"), &keys));
            (choices(veil.public, path, &keys), theirs.join().unwrap())
        });
        let differing = keys
            .iter()
            .zip(theirs.iter().zip(&ours))
            .filter(|(_, (theirs, ours))| theirs != ours);
        assert_eq!(differing.count(), 0, "{round}{path}");
        let shares = shares(&ours);
        assert_eq!(shares.len(), if down { 3 } else { 4 }, "{round}{path}: {shares:?}");
    }
}

/// A tenth of them IPv6. Each once: the order of Nginx's round robin, its last resort, would differ otherwise.
fn keys() -> Vec<String> {
    let mut random = Random::new(5);
    let mut four = || u32::from_be_bytes(std::array::from_fn(|_| random.byte()));
    (0..KEYS)
        .map(|number| match number % 10 {
            0 => {
                let low = (u64::from(four()) << 32) | u64::from(four());
                Ipv6Addr::from((0x2001_0db8_u128 << 96) | u128::from(low)).to_string()
            }
            // From 1.0.0.0 to 100.255.255.255, out of the way of the addresses that stand for nobody.
            _ => Ipv4Addr::from((1 + four() % 100) << 24 | four() >> 8).to_string(),
        })
        .collect()
}

/// Who answers each client.
fn choices(address: SocketAddr, path: &str, keys: &[String]) -> Vec<Vec<u8>> {
    let mut connection = Raw::connect(address);
    let mut choice = |key: &String| {
        connection.send(format!(
            "GET {path} HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: {key}\r\n\r\n"
        ));
        let answer = connection.response();
        assert_eq!(answer.status(), 200, "{path} for {key}");
        answer.body
    };
    keys.iter().map(&mut choice).collect()
}

fn shares(choices: &[Vec<u8>]) -> HashMap<&[u8], usize> {
    choices.iter().fold(HashMap::new(), |mut shares, choice| {
        *shares.entry(choice.as_slice()).or_default() += 1;
        shares
    })
}

fn drain(veil: &Veil, backend: &Backend) {
    for pool in ["ip_hash", "consistent"] {
        let path = format!("/pools/{pool}/{}/drain", backend.address);
        assert_eq!(client().post(veil.admin_url(&path)).send().unwrap().status(), 200);
    }
}

fn veil_yaml(backends: &[Backend]) -> String {
    let backends: Vec<String> = backends
        .iter()
        .zip(WEIGHTS)
        .map(|(backend, weight)| format!("{{ address: {}, weight: {weight} }}", backend.address))
        .collect();
    let backends = backends.join(", ");
    format!(
        "version: 1
listeners: {{ public: {{ address: 127.0.0.1:0, trusted_proxies: [127.0.0.1] }} }}
admin: {{ address: 127.0.0.1:0 }}
access_log: {{ to: off }}
routes:
  - {{ match: {{ path_exact: /ip_hash }}, pool: ip_hash }}
  - {{ match: {{ path_exact: /consistent }}, pool: consistent }}
pools:
  ip_hash: {{ select: nginx_ip_hash, backends: [{backends}] }}
  consistent: {{ select: {{ ketama: {{ load_factor: off }} }}, backends: [{backends}] }}
"
    )
}

/// A real Nginx in front of the same backends: under /up/ all serve, under /down/ one is marked `down`.
struct Peer {
    _process: Nginx,
    address: SocketAddr,
}

impl Peer {
    fn start(binary: &Path, backends: &[Backend]) -> Self {
        let address = Nginx::free_address();
        let servers = |down: bool| -> String {
            let server = |(place, (backend, weight)): (usize, (&Backend, u32))| {
                let down = if down && place == DOWN { " down" } else { "" };
                format!("server {} weight={weight}{down};\n", backend.address)
            };
            backends.iter().zip(WEIGHTS).enumerate().map(server).collect()
        };
        let upstream = |name: &str, hash: &str, down: bool| {
            format!("upstream {name} {{ {hash};\n{} keepalive 8; }}\n", servers(down))
        };
        let http = format!(
            "  keepalive_requests 1000000;
  {up_ip_hash}{up_consistent}{down_ip_hash}{down_consistent}
  server {{
    listen {address};
    set_real_ip_from 127.0.0.1;
    real_ip_header X-Forwarded-For;
    proxy_http_version 1.1;
    proxy_set_header Connection \"\";
    location = /up/ip_hash {{ proxy_pass http://up_ip_hash; }}
    location = /up/consistent {{ proxy_pass http://up_consistent; }}
    location = /down/ip_hash {{ proxy_pass http://down_ip_hash; }}
    location = /down/consistent {{ proxy_pass http://down_consistent; }}
  }}",
            up_ip_hash = upstream("up_ip_hash", "ip_hash", false),
            up_consistent = upstream("up_consistent", "hash $remote_addr consistent", false),
            down_ip_hash = upstream("down_ip_hash", "ip_hash", true),
            down_consistent = upstream("down_consistent", "hash $remote_addr consistent", true),
        );
        Self {
            _process: Nginx::start(binary, address, &http),
            address,
        }
    }
}
