//! The process is shut in: what it tries is refused by the kernel, in each of its threads, and its work goes on.

#![allow(clippy::unwrap_used)]
#![cfg(target_arch = "x86_64")]

mod common;

use std::{fs, io::Write, process::Command};

use common::{Server, jpeg, portrait};
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
    let Some(tried) = escape(&server, &["--exec"]) else {
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

#[test]
fn the_attempts_are_real() {
    let server = Server::start(&["--detail", "fast", "--sandbox", "off"]);
    let Some(tried) = escape(&server, &[]) else { return };
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

fn escape(server: &Server, more: &[&str]) -> Option<Value> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sandbox/escape.py");
    let output = Command::new("python3")
        .arg(script)
        .arg(server.child.id().to_string())
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

/// EACCES.
const REFUSED: i64 = -13;
