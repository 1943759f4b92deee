//! Too few descriptors.

use super::*;

/// `veil run` that may open this many files.
fn run_with_files(files: u32, file: &std::path::Path) -> Process {
    let limited = format!("ulimit -n {files} && exec \"$0\" run -c \"$1\"");
    let veil = binary("veil");
    let (veil, file) = (veil.to_str().unwrap(), file.to_str().unwrap());
    Process::start_program("sh", &["-c", &limited, veil, file])
}

#[test]
fn a_lack_of_descriptors_is_told_once_and_passes() {
    let backend = Backend::start(|request| match request.path() {
        "/hang" => Answer::Hang,
        _ => Answer::ok("done"),
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("veil.yaml");
    let pool = format!("{{ backends: [{{ address: {} }}] }}", backend.address);
    std::fs::write(&file, configuration(&pool)).unwrap();
    let process = run_with_files(80, &file);
    let announced = |before: &str| -> SocketAddr {
        process.stdout.wait_for(before, |line| {
            line.split_once(before)?.1.split([' ', '/']).next()?.parse().ok()
        })
    };
    let (admin, public) = (announced("admin on http://"), announced("listening on http://"));
    for _ in 0..2 {
        let hanging: Vec<Raw> = (0..100)
            .map(|_| {
                let mut client = Raw::connect(public);
                client.send("GET /hang HTTP/1.1\r\nHost: a\r\n\r\n");
                client
            })
            .collect();
        process.stderr.wait_for("the lack", |line| {
            line.contains("cannot accept connections").then_some(())
        });
        drop(hanging);
        until("there is room again", SOON, || {
            let mut client = get(public);
            (client.response().status() == 200).then_some(())
        });
    }
    let told = process.stderr.text().matches("cannot accept connections").count();
    assert_eq!(told, 1);
    let mut client = Raw::connect(admin);
    client.send("GET /pools HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let pools = String::from_utf8(client.response().body).unwrap();
    assert!(pools.contains("\"standing\":\"eligible\""), "{pools}");
}

#[test]
fn a_backend_that_could_not_be_asked_for_lack_of_descriptors_has_not_failed() {
    let backend = Backend::start(|request| match request.path() {
        "/hang" => Answer::Hang,
        _ => Answer::ok("done"),
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("veil.yaml");
    let pool = format!(
        "{{ backends: [{{ address: {}, max_fails: 1 }}], health: {{ path: /, interval: 50ms }} }}",
        backend.address
    );
    std::fs::write(&file, configuration(&pool)).unwrap();
    let process = run_with_files(70, &file);
    let public: SocketAddr = process.stdout.wait_for("the listener", |line| {
        line.split_once("listening on http://")?
            .1
            .split(' ')
            .next()?
            .parse()
            .ok()
    });
    // First the clients, so that there is a descriptor for each of them and for few of their backends.
    let mut clients: Vec<Raw> = (0..34).map(|_| get(public)).collect();
    for client in &mut clients {
        // The last ones may find that their backend's connection has no descriptor left.
        assert!([200, 503].contains(&client.response().status()));
    }
    for client in &mut clients {
        client.send("GET /hang HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    process.stderr.wait_for("the lack", |line| {
        line.contains("for lack of descriptors").then_some(())
    });
    let is_refused = |client: &mut Raw| !client.stays_open(Duration::from_millis(1));
    let refused = clients.iter_mut().map(is_refused).filter(|refused| *refused).count();
    assert!(refused > 0);
    drop(clients);
    until("there is room again", SOON, || {
        (get(public).response().status() == 200).then_some(())
    });
    let log = process.stderr.text();
    for word in ["ejected", "\"down"] {
        assert!(!log.contains(word), "{log}");
    }
    assert_eq!(log.matches("for lack of descriptors").count(), 1, "{log}");
}

#[test]
fn a_limit_of_connections_above_that_of_files_is_doubted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("veil.yaml");
    std::fs::write(&file, configuration("{ backends: [{ address: 127.0.0.1:1 }] }")).unwrap();
    let process = run_with_files(100, &file);
    process.stderr.wait_for("the doubt", |line| {
        let told = line.contains("max_connections is 10000, more than the 100 files");
        (told && line.contains("veil.yaml:2:")).then_some(())
    });
}
