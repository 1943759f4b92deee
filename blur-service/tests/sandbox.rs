//! The process is shut in: what it tries is refused by the kernel, in each of its threads, and its work goes on.

#![allow(clippy::unwrap_used)]
#![cfg(target_arch = "x86_64")]

mod common;

use std::{
    fs,
    io::{Read, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::Command,
};

use common::{Server, has_heic, jpeg, portrait};
use serde_json::Value;

#[test]
fn no_thread_opens_a_file_or_a_connection_or_starts_a_program() {
    let server = Server::start(&["--detail", "fast"]);
    server.blur("", &jpeg(&portrait()));
    for thread in fs::read_dir(format!("/proc/{}/task", server.child.id())).unwrap() {
        let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        for line in ["NoNewPrivs:\t1", "Seccomp:\t2"] {
            assert!(status.contains(line), "{status}");
        }
    }
    let Some(tried) = escape(server.child.id(), &["--exec"]) else {
        return;
    };
    for (attempt, results) in tried.as_object().unwrap() {
        let results = results.as_array().unwrap();
        assert!(results.len() >= 3, "{attempt}: {results:?}");
        assert!(
            results.iter().all(|result| *result == REFUSED),
            "{attempt}: {results:?}"
        );
    }
    // And its work goes on.
    assert_eq!(server.blur("", &jpeg(&portrait())).headers["x-faces"], "1");
    assert_eq!(server.send("GET", "/metrics", &[], b"").status, 200);
    ends_well(server);
}

/// What libheif runs in has less still.
#[test]
fn what_decodes_heic_reaches_nothing() {
    if !has_heic() {
        return;
    }
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_blur-service")).with_file_name("veil-heic");
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let mut reader = Command::new(program)
        .arg("read")
        .stdin(OwnedFd::from(theirs.try_clone().unwrap()))
        .stdout(OwnedFd::from(theirs))
        .spawn()
        .unwrap();
    ours.write_all(&(64_u64 << 20).to_le_bytes()).unwrap();
    let mut word = [0];
    ours.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"R");
    let about = |what: &str| fs::read_to_string(format!("/proc/{}/{what}", reader.id())).unwrap();
    assert!(about("status").contains("Seccomp:\t2"));
    let limits = about("limits");
    for (limit, most) in [
        ("Max data size", "67108864"),
        ("Max cpu time", "30"),
        ("Max file size", "0"),
        ("Max core file size", "0"),
    ] {
        let line = limits.lines().find(|line| line.starts_with(limit)).unwrap();
        assert_eq!(line[limit.len()..].split_whitespace().next(), Some(most), "{line}");
    }
    if let Some(tried) = escape(reader.id(), &["--exec"]) {
        for (attempt, results) in tried.as_object().unwrap() {
            assert_eq!(results, &Value::from(vec![FORBIDDEN]), "{attempt}");
        }
    }
    drop(ours);
    assert!(reader.wait().unwrap().success());
}

#[test]
fn the_attempts_are_real() {
    let server = Server::start(&["--detail", "fast", "--sandbox", "off"]);
    let Some(tried) = escape(server.child.id(), &[]) else {
        return;
    };
    for attempt in ["open", "openat", "socket", "kill"] {
        let results = tried[attempt].as_array().unwrap();
        assert!(
            results.iter().all(|result| result.as_i64().unwrap() >= 0),
            "{attempt}: {results:?}"
        );
    }
    ends_well(server);
}

#[test]
fn models_of_a_folder_are_read_before() {
    let models = concat!(env!("CARGO_MANIFEST_DIR"), "/models");
    let server = Server::start(&["--detail", "fast", "--sandbox", "require", "--model-dir", models]);
    assert_eq!(server.blur("", &jpeg(&portrait())).headers["x-faces"], "1");
}

fn escape(process: u32, more: &[&str]) -> Option<Value> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sandbox/escape.py");
    let output = Command::new("python3")
        .arg(script)
        .arg(process.to_string())
        .args(more)
        .output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("PermissionError") {
        let _ = writeln!(std::io::stderr(), "\nskipped: sandbox: no right to trace processes");
        return None;
    }
    assert!(output.status.success(), "{said}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

fn ends_well(mut server: Server) {
    let id = server.child.id().to_string();
    assert!(Command::new("kill").arg(id).status().unwrap().success());
    assert!(server.child.wait().unwrap().success());
}

/// EPERM.
const FORBIDDEN: i64 = -1;
/// EACCES.
const REFUSED: i64 = -13;
