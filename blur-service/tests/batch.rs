//! Several pictures in one request, and what becomes of each.

#![allow(clippy::unwrap_used)]

mod common;

use std::io::Write;

use common::{Answer, Server, encoded, jpeg, portrait};
use image::ImageFormat;

#[test]
fn each_picture_has_its_own_outcome_in_its_place() {
    let server = Server::start(&["--detail", "fast"]);
    let pictures = [
        ("a.jpg", jpeg(&portrait())),
        ("notes \"\r\n.txt", b"no picture".to_vec()),
        ("c.png", encoded(&portrait().into(), ImageFormat::Png)),
    ];
    let answer = post(&server, "/v1/blur/batch", &pictures, &[("effect", "solid")]);
    assert_eq!(answer.status, 200);
    let parts = parts(&answer);
    assert_eq!(parts.len(), 3);
    for (index, media_type) in [(0, "image/jpeg"), (1, "application/problem+json"), (2, "image/png")] {
        let (head, _) = &parts[index];
        assert!(head.contains(&format!("Content-Type: {media_type}\r\n")), "{head}");
    }
    assert!(parts[0].0.contains("filename*=UTF-8''a.jpg\r\n") && parts[0].0.contains("x-faces: 1\r\n"));
    let problem: serde_json::Value = serde_json::from_slice(&parts[1].1).unwrap();
    assert_eq!(
        (&problem["code"], &problem["status"]),
        (&"unsupported_format".into(), &415.into())
    );
    // What one alone would be.
    let alone = server.blur("?effect=solid", &pictures[0].1);
    assert_eq!(parts[0].1, alone.body);
}

#[test]
fn what_is_wrong_with_the_request_is_told_of_the_whole() {
    let server = Server::start(&["--detail", "fast", "--max-bytes", "64KiB"]);
    let small = (
        "a.jpg",
        jpeg(&image::imageops::resize(
            &portrait(),
            64,
            64,
            image::imageops::FilterType::Triangle,
        )),
    );
    let codes = |pictures: &[(&str, Vec<u8>)], fields: &[(&str, &str)]| {
        post(&server, "/v1/blur/batch", pictures, fields).json()["code"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        codes(std::slice::from_ref(&small), &[("efect", "solid")]),
        "unknown_option"
    );
    assert_eq!(codes(&[], &[("effect", "solid")]), "bad_request");
    assert_eq!(
        codes(&[("a", vec![0; 40 << 10]), ("b", vec![0; 100 << 10])], &[]),
        "too_many_bytes"
    );
    let many = vec![("a.jpg", b"x".to_vec()); 257];
    assert_eq!(codes(&many, &[]), "too_many_parts");
    let raw = server.send("POST", "/v1/blur/batch", &[], &small.1);
    assert_eq!(raw.json()["code"], "bad_request");
    let two = post(&server, "/v1/blur", &[small.clone(), small], &[]);
    assert!(two.json()["detail"].as_str().unwrap().contains("/v1/blur/batch"));
}

#[test]
fn nothing_is_worked_on_for_who_has_left() {
    let server = Server::start(&["--detail", "max", "--workers", "1"]);
    let picture = jpeg(&image::imageops::resize(
        &portrait(),
        2000,
        2000,
        image::imageops::FilterType::Triangle,
    ));
    let pictures = vec![("a.jpg", picture); 20];
    let (content_type, body) = form(&pictures, &[]);
    let mut stream = server.connect();
    let head = format!(
        "POST /v1/blur/batch HTTP/1.1\r\nHost: veil\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&body).unwrap();
    let in_flight = |server: &Server| {
        server.send("GET", "/health", &[], b"").json()["in_flight"]
            .as_u64()
            .unwrap()
    };
    server.wait_until("working", |server| in_flight(server) == 1);
    drop(stream);
    server.wait_until("idle", |server| in_flight(server) == 0);
    assert!(
        server.send("GET", "/health", &[], b"").json()["processed"]
            .as_u64()
            .unwrap()
            < 20
    );
}

fn post(server: &Server, path: &str, pictures: &[(&str, Vec<u8>)], fields: &[(&str, &str)]) -> Answer {
    let (content_type, body) = form(pictures, fields);
    let mut stream = server.connect();
    // To HTTP/1.0 the parts come without chunks around them.
    let head = format!(
        "POST {path} HTTP/1.0\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // A service that refuses may close before the body is through.
    let _ = stream.write_all(&body);
    Answer::read(&mut stream)
}

fn form(pictures: &[(&str, Vec<u8>)], fields: &[(&str, &str)]) -> (String, Vec<u8>) {
    let mut body = Vec::new();
    for (name, value) in fields {
        body.extend(format!("--limit\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").bytes());
    }
    for (name, picture) in pictures {
        let name = name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A");
        let head = format!("--limit\r\nContent-Disposition: form-data; name=\"image\"; filename=\"{name}\"\r\n\r\n");
        body.extend(head.bytes().chain(picture.iter().copied()).chain(*b"\r\n"));
    }
    body.extend(b"--limit--\r\n");
    ("multipart/form-data; boundary=limit".to_owned(), body)
}

/// Heads and bodies.
fn parts(answer: &Answer) -> Vec<(String, Vec<u8>)> {
    let content_type = &answer.headers["content-type"];
    let boundary = content_type.strip_prefix("multipart/mixed; boundary=").unwrap();
    let mut parts = Vec::new();
    let mut rest = answer
        .body
        .strip_prefix(format!("--{boundary}\r\n").as_bytes())
        .unwrap();
    loop {
        let blank = find(rest, b"\r\n\r\n");
        let head = String::from_utf8(rest[..blank + 2].to_vec()).unwrap();
        let end = find(rest, format!("\r\n--{boundary}").as_bytes());
        parts.push((head, rest[blank + 4..end].to_vec()));
        rest = &rest[end + boundary.len() + 4..];
        match rest.strip_prefix(b"\r\n") {
            Some(next) => rest = next,
            None => return parts,
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> usize {
    bytes.windows(what.len()).position(|window| window == what).unwrap()
}
