//! Veil by Nginx's name: what init scripts, packages and test suites do with `nginx`.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Output};

use e2e::client;
use e2e::nginx::Nginx;
use e2e::process::{Process, Signal, Stranger, binary, lives, signal_to};
use e2e::until::{SOON, until};

/// A folder with a configuration, and Veil by Nginx's name.
struct Prefix {
    folder: tempfile::TempDir,
    address: SocketAddr,
}

impl Prefix {
    /// `main` stands before the `http` block, whose one server answers with `answer`.
    fn new(main: &str, answer: &str) -> Self {
        let prefix = Self {
            folder: tempfile::tempdir().unwrap(),
            address: Nginx::free_address(),
        };
        symlink(binary("veil"), prefix.path("nginx")).unwrap();
        fs::create_dir(prefix.path("logs")).unwrap();
        prefix.configure(main, answer);
        prefix
    }

    fn configure(&self, main: &str, answer: &str) {
        let listen = self.address;
        let server = format!("server {{ listen {listen}; location / {{ return 200 {answer}; }} }}");
        let http = format!("http {{ access_log logs/access.log; {server} }}");
        fs::write(self.path("nginx.conf"), format!("{main}\nevents {{ }}\n{http}\n")).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn arguments(&self) -> [String; 6] {
        let prefix = format!("{}/", self.folder.path().display());
        ["-p", &prefix, "-c", "nginx.conf", "-e", "logs/error.log"].map(str::to_owned)
    }

    fn nginx(&self, more: &[&str]) -> Output {
        let mut nginx = Command::new(self.path("nginx"));
        nginx.args(self.arguments()).args(more).output().unwrap()
    }

    fn in_foreground(&self) -> Process {
        let arguments = self.arguments();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let process = Process::start_program(self.path("nginx").to_str().unwrap(), &arguments);
        until("it listens", SOON, || TcpStream::connect(self.address).ok());
        process
    }

    fn pid(&self) -> Option<u32> {
        fs::read_to_string(self.path("nginx.pid")).ok()?.trim().parse().ok()
    }

    fn answer(&self) -> String {
        client()
            .get(format!("http://{}/", self.address))
            .send()
            .unwrap()
            .text()
            .unwrap()
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }
}

const MAIN: &str = "pid nginx.pid; error_log logs/error.log info; daemon off;";

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn tests_a_configuration() {
    let prefix = Prefix::new(MAIN, "good");
    let good = prefix.nginx(&["-t"]);
    assert!(
        good.status.success() && said(&good).ends_with("test is successful\n"),
        "{}",
        said(&good)
    );
    assert!(said(&prefix.nginx(&["-tq"])).is_empty());
    let dumped = prefix.nginx(&["-T"]);
    let dumped = String::from_utf8_lossy(&dumped.stdout);
    assert!(
        dumped.contains("nginx.conf:\n") && dumped.contains("return 200 good;"),
        "{dumped}"
    );
    fs::write(prefix.path("nginx.conf"), "http {\n server { \n").unwrap();
    let bad = prefix.nginx(&["-t"]);
    assert_eq!(bad.status.code(), Some(1));
    let said = said(&bad);
    assert!(
        said.contains("[emerg]") && said.contains("nginx.conf:2") && said.contains("test failed"),
        "{said}"
    );
}

#[test]
fn shows_versions_as_nginx_does() {
    let prefix = Prefix::new(MAIN, "good");
    assert!(said(&prefix.nginx(&["-v"])).starts_with("nginx version: nginx/1."));
    assert!(said(&prefix.nginx(&["-V"])).contains("configure arguments: --with-"));
}

#[test]
fn obeys_signals_by_its_pid_file_in_the_foreground() {
    let prefix = Prefix::new(MAIN, "before");
    let mut process = prefix.in_foreground();
    until("the pid file is there", SOON, || {
        (prefix.pid()? == process.id()).then_some(())
    });
    assert_eq!(prefix.answer(), "before");
    prefix.configure(MAIN, "after");
    assert!(prefix.nginx(&["-s", "reload"]).status.success());
    until("it has reloaded", SOON, || (prefix.answer() == "after").then_some(()));
    for log in ["logs/error.log", "logs/access.log"] {
        until("the log has lines", SOON, || {
            (!prefix.text(log).is_empty()).then_some(())
        });
        fs::rename(prefix.path(log), prefix.path("moved")).unwrap();
        assert!(prefix.nginx(&["-s", "reopen"]).status.success());
        until("the log is there again", SOON, || {
            prefix.path(log).exists().then_some(())
        });
    }
    assert!(prefix.nginx(&["-s", "quit"]).status.success());
    assert!(process.exit(SOON).success());
    assert_eq!(prefix.pid(), None);
    let nobody = prefix.nginx(&["-s", "stop"]);
    assert!(
        nobody.status.code() == Some(1) && said(&nobody).contains("nginx.pid"),
        "{}",
        said(&nobody)
    );
}

#[test]
fn runs_in_the_background_unless_told_not_to_and_is_upgraded() {
    let prefix = Prefix::new("error_log logs/error.log;", "hidden");
    let pid = format!("pid {};", prefix.path("nginx.pid").display());
    let started = prefix.nginx(&["-g", &pid]);
    assert!(started.status.success(), "{}", said(&started));
    let first = prefix.pid().unwrap();
    assert_eq!(prefix.answer(), "hidden");
    signal_to(first, Signal::USR2);
    let second = until("the new program serves", SOON, || {
        prefix.pid().filter(|pid| *pid != first)
    });
    let _second = Stranger(second);
    until("the old one has ended", SOON, || (!lives(first)).then_some(()));
    assert_eq!((prefix.answer().as_str(), prefix.pid()), ("hidden", Some(second)));
    assert!(prefix.nginx(&["-g", &pid, "-s", "stop"]).status.success());
    until("it has ended", SOON, || (!lives(second)).then_some(()));
    assert_eq!(prefix.pid(), None);
}

#[test]
fn says_why_it_does_not_run_in_the_background() {
    let prefix = Prefix::new("pid nginx.pid; error_log logs/error.log;", "x");
    let taken = std::net::TcpListener::bind(prefix.address).unwrap();
    let refused = prefix.nginx(&[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("error.log says why"), "{}", said(&refused));
    assert!(prefix.text("logs/error.log").contains("cannot listen"));
    drop(taken);
}

/// What an error log says of refused requests, but for what differs from one to the next.
fn refusals(log: &str) -> Vec<String> {
    let refused = log.lines().filter(|line| line.contains("limiting"));
    let plain = |line: &str| {
        let (moment, line) = line.split_at("2026/11/30 04:17:30 ".len());
        assert!(moment.bytes().filter(u8::is_ascii_digit).count() == 14, "{moment}");
        let letters = line
            .split(' ')
            .filter(|word| !word.contains(['#', '*']) && word.parse::<f64>().is_err());
        letters.collect::<Vec<_>>().join(" ")
    };
    refused.map(plain).collect()
}

#[test]
fn its_error_log_tells_of_the_refused_as_nginxs_does() {
    let Some(nginx) = Nginx::binary() else {
        return e2e::skip("nginx", "nginx is not installed (Debian: apt-get install nginx)");
    };
    let lines = |program: &std::path::Path| {
        let prefix = Prefix::new(MAIN, "x");
        let zone = "limit_req_zone $binary_remote_addr zone=one:1m rate=1r/m;";
        let places =
            "location /a { limit_req zone=one; } location /b { limit_req zone=one; limit_req_log_level warn; }";
        let server = format!(
            "server {{ listen {}; root {}; {places} }}",
            prefix.address,
            prefix.folder.path().display()
        );
        let temporary =
            ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|name| format!("{name}_temp_path {name};"));
        let http = format!("http {{ access_log off; {} {zone} {server} }}", temporary.concat());
        fs::write(
            prefix.path("nginx.conf"),
            format!("{MAIN} master_process off; events {{ }} {http}\n"),
        )
        .unwrap();
        let arguments = prefix.arguments();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let _process = Process::start_program(program.to_str().unwrap(), &arguments);
        until("it listens", SOON, || TcpStream::connect(prefix.address).ok());
        for path in ["a", "a", "b"] {
            let request = format!("GET /{path} HTTP/1.1\r\nHost: c.test\r\nConnection: close\r\n\r\n");
            e2e::raw::Raw::connect(prefix.address).send(request).rest();
        }
        until("both are told of", SOON, || {
            Some(refusals(&prefix.text("logs/error.log"))).filter(|lines| lines.len() == 2)
        })
    };
    let link = tempfile::tempdir().unwrap();
    symlink(binary("veil"), link.path().join("nginx")).unwrap();
    assert_eq!(lines(&link.path().join("nginx")), lines(nginx));
}
