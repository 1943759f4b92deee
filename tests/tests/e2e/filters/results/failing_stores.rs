//! Stores of answers that fail, lie or are somebody else: each costs a miss.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use e2e::nginx::Nginx;
use e2e::openssl::{OWN, openssl};
use e2e::redis::Redis;
use e2e::skip;
use rustix::process::Signal;

use super::{SECRET, counting, files, home, in_folder, in_redis, keeping, kept, send};

#[test]
fn a_folder_that_fails_costs_a_miss() {
    let (home, backend) = (home(), counting());
    let veil = keeping(&in_folder(&home), &backend);
    kept(&veil, "a");
    for file in files(&home) {
        fs::remove_file(&file).unwrap();
        fs::create_dir(file).unwrap();
    }
    assert!(!send(&veil, "/", &[], "a").is_kept);
    // What Veil still writes may come in between.
    let gone = (0..100).any(|_| fs::remove_dir_all(home.path().join("kept")).is_ok());
    assert!(gone);
    assert!(!send(&veil, "/", &[], "b").is_kept);
    fs::create_dir(home.path().join("kept")).unwrap();
    kept(&veil, "c");
}

#[test]
fn a_redis_that_fails_costs_a_miss() {
    let Some(binary) = Redis::binary() else {
        return skip("results: redis", "neither redis-server nor valkey-server is installed");
    };
    let (home, backend, address) = (home(), counting(), Nginx::free_address());
    let veil = keeping(&in_redis(&home, address), &backend);
    assert!(!send(&veil, "/", &[], "a").is_kept, "nobody listens");
    let redis = Redis::start(&binary, address);
    let said = kept(&veil, "a");
    redis.signal(Signal::STOP);
    assert_ne!(send(&veil, "/", &[], "a").text, said, "it hangs");
    redis.signal(Signal::CONT);
    kept(&veil, "a");
    drop(redis);
    let redis = Redis::start(&binary, address);
    kept(&veil, "a");
    assert_eq!(redis.say("DBSIZE"), ":1");
    for change in [
        "redis.call('SETRANGE', k, 20, 'xyz')",
        "redis.call('SET', k, 'short')",
        "redis.call('DEL', k)",
        "redis.call('DEL', k) redis.call('RPUSH', k, 'a list')",
    ] {
        let before = kept(&veil, "a");
        redis.say(&format!(
            "EVAL \"for _, k in ipairs(redis.call('KEYS', '*')) do {change} end\" 0"
        ));
        assert_ne!(send(&veil, "/", &[], "a").text, before, "{change}");
    }
    assert!(veil.metric("veil_result_cache_total{result=\"error\",route=\"/\"}") >= 3.0);
}

/// What something else at the store's address may say.
#[test]
fn a_stranger_in_the_place_of_redis_costs_a_miss() {
    for said in [
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "-ERR\r\n",
        "$536870912\r\nx",
        "*1\r\n",
        ":1\r\n",
        "$-5\r\n\r\n",
        "",
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(said.as_bytes());
                thread::spawn(move || stream.read(&mut [0; 4096]));
            }
        });
        let (home, backend) = (home(), counting());
        let veil = keeping(&in_redis(&home, address), &backend);
        let texts = ["a", "a"].map(|body| send(&veil, "/", &[], body));
        assert!(
            texts.iter().all(|said| !said.is_kept && said.text.starts_with(SECRET)),
            "{said:?}"
        );
    }
}

#[test]
fn a_redis_is_believed_in_tls_for_its_certificate() {
    let Some(binary) = Redis::binary() else {
        return skip("results: redis", "neither redis-server nor valkey-server is installed");
    };
    let (home, backend) = (home(), counting());
    for name in ["own", "other"] {
        let (certificate, key) = (format!("{name}.crt"), format!("{name}.key"));
        let files = ["-out", &*certificate, "-keyout", &*key];
        let named = [
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ];
        openssl(home.path(), &[&OWN[..], &files, &named].concat());
    }
    let (plain, secure) = (Nginx::free_address(), Nginx::free_address());
    let file = |name: &str| home.path().join(name).display().to_string();
    let (certificate, key, port) = (file("own.crt"), file("own.key"), secure.port().to_string());
    let options = [
        "--tls-port",
        &port,
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-auth-clients",
        "no",
    ];
    let redis = Redis::start_with(&binary, plain, &options);
    let store = |ca: &str| {
        let (ca, key) = (file(ca), file("key"));
        format!("redis: {{ url: 'rediss://{secure}', ca: {ca}, key_file: {key} }}")
    };
    let stranger = keeping(&store("other.crt"), &backend);
    assert!(["a", "a"].iter().all(|body| !send(&stranger, "/", &[], body).is_kept));
    assert_eq!(redis.say("DBSIZE"), ":0");
    let veil = keeping(&store("own.crt"), &backend);
    kept(&veil, "a");
    assert_eq!(redis.say("DBSIZE"), ":1");
}
