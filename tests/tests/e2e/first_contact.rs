//! What somebody meets who has just got the programs and has no configuration.

use std::fs;
use std::net::{SocketAddr, TcpListener};

use e2e::client;
use e2e::process::Process;
use e2e::until::SOON;

#[test]
fn listens_where_the_command_line_says() {
    let veil = Process::start("veil", &["run", "--listen", "127.0.0.1:0"]);
    let address = |before: &'static str| -> SocketAddr {
        veil.stdout.wait_for(before, |line| {
            let rest = line.split_once(before)?.1;
            rest.split([' ', '/']).next()?.parse().ok()
        })
    };
    let (admin, public) = (address("admin on http://"), address("listening on http://"));
    assert_ne!(admin, public);
    for path in [
        "/",
        "/v1/page/main.js",
        "/v1/options",
        "/openapi.json",
        "/docs",
        "/v1/problems/no_backend",
    ] {
        let answer = client().get(format!("http://{public}{path}")).send().unwrap();
        assert_eq!(answer.status(), 200, "{path}");
    }
}

#[test]
fn who_finds_the_port_taken_is_told_of_the_option() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().to_string();
    let mut veil = Process::start("veil", &["run", "--listen", &taken]);
    assert_eq!(veil.exit(SOON).code(), Some(1));
    let said = veil.stderr.all();
    assert!(
        said.contains(&format!("cannot listen on {taken}")) && said.contains("veil run --listen"),
        "{said}"
    );
    assert!(!said.contains(".yaml"), "{said}");
}

#[test]
fn a_file_and_the_option_do_not_go_together() {
    let mut veil = Process::start("veil", &["run", "--listen", "127.0.0.1:0", "-c", "veil.yaml"]);
    assert_eq!(veil.exit(SOON).code(), Some(2));
}

#[test]
fn both_programs_have_manual_pages_completions_and_a_version() {
    for (program, page) in [("veil", "veil-run.1"), ("blur-service", "blur-service-blur.1")] {
        let folder = tempfile::tempdir().unwrap();
        said(program, &["man", folder.path().to_str().unwrap()]);
        for name in [format!("{program}.1"), page.to_owned()] {
            let page = fs::read_to_string(folder.path().join(&name)).unwrap();
            assert!(page.contains(".SH SYNOPSIS"), "{name}");
        }
        for shell in ["bash", "fish", "zsh"] {
            let script = said(program, &["completions", shell]);
            assert!(script.contains(program) && script.contains("blur"), "{shell}: {script}");
        }
        let version = said(program, &["--version"]);
        assert!(
            version.starts_with(&format!("{program} 0.1.0 (")) && version.contains("avif"),
            "{version}"
        );
    }
}

fn said(program: &str, arguments: &[&str]) -> String {
    let mut process = Process::start(program, arguments);
    assert_eq!(process.exit(SOON).code(), Some(0), "{}", process.stderr.text());
    process.stdout.all()
}
