//! What lies about a picture: headers, names, logs, files, memory written to disc.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    common::{Server, contains, jpeg, portrait, segment},
    planted::{MARKER, assert_no_trace, face, traces},
};

pub fn nothing_is_left(_: &Server) {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let home = folder.path().join("home");
    fs::create_dir(&home).unwrap();
    let server = started(&home, &log);
    let name = String::from_utf8_lossy(MARKER);
    let mut file = jpeg(&portrait());
    file.splice(2..2, segment(0xe7, &[MARKER, &face()].concat()));
    let spoilt = [b"\xff\xd8\xff".as_slice(), MARKER, &face()].concat();
    for (picture, status) in [(file, 200), (spoilt, 422)] {
        for (path, body, kind) in [
            ("/v1/blur".to_owned(), picture.clone(), "image/jpeg".to_owned()),
            ("/v1/blur/report".to_owned(), picture.clone(), "image/jpeg".to_owned()),
            (
                "/v1/blur?regions=0,0,9,9".to_owned(),
                picture.clone(),
                "image/jpeg".to_owned(),
            ),
            (
                "/v1/blur".to_owned(),
                form(&picture),
                format!("multipart/form-data; boundary={BOUNDARY}"),
            ),
        ] {
            let headers = [
                ("Content-Type", kind.as_str()),
                ("User-Agent", &name),
                ("Referer", &name),
            ];
            let answer = server.send("POST", &path, &headers, &body);
            assert_eq!(answer.status, status, "{}", String::from_utf8_lossy(&answer.body));
            assert_no_trace(&answer, "the answer");
            assert!(!answer.headers.contains_key("etag"));
        }
    }
    assert_eq!(server.send("GET", &format!("/{name}"), &[], b"").status, 404);
    let process = format!("/proc/{}", server.child.id());
    let limits = fs::read_to_string(format!("{process}/limits")).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    for descriptor in fs::read_dir(format!("{process}/fd")).unwrap() {
        let target = fs::read_link(descriptor.unwrap().path()).unwrap_or_default();
        // What it tells of itself in `/metrics` it reads from the kernel.
        let is_its_own = target.starts_with(&process);
        assert!(
            target == log || is_its_own || !target.is_file(),
            "{} is open",
            target.display()
        );
    }
    drop(server);
    assert_eq!(fs::read_dir(&home).unwrap().count(), 0, "a file was written");
    let logged = fs::read(&log).unwrap();
    assert!(contains(&logged, b"broken_picture"), "nothing was logged");
    for trace in traces() {
        assert!(!contains(&logged, &trace), "a trace in the log");
    }
}

/// The program with nowhere else to write to, and its log in full.
fn started(home: &Path, log: &Path) -> Server {
    let mut child = Command::new(env!("CARGO_BIN_EXE_blur-service"))
        .args(["--listen", "127.0.0.1:0", "--die-with-parent", "--detail", "fast"])
        .current_dir(home)
        .envs(["HOME", "TMPDIR", "XDG_CACHE_HOME"].map(|name| (name, home)))
        .env("BLUR_LOG", "blur_service=trace")
        .stdout(Stdio::piped())
        .stderr(File::create(log).unwrap())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut printed = BufReader::new(child.stdout.take().unwrap());
    printed.read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on http://").unwrap().to_owned();
    let server = Server { child, address };
    server.wait_until("healthy", |server| {
        server.send("GET", "/health", &[], b"").status == 200
    });
    server
}

fn form(picture: &[u8]) -> Vec<u8> {
    let name = String::from_utf8_lossy(MARKER);
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"image\"; filename=\"{name}.jpg\"\r\n\
         Content-Type: image/jpeg\r\n\r\n"
    );
    [head.as_bytes(), picture, format!("\r\n--{BOUNDARY}--\r\n").as_bytes()].concat()
}

const BOUNDARY: &str = "a-boundary-between-parts";
