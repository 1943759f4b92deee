//! What one client's pictures cost is not paid by the others.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    io::Write,
    net::TcpStream,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use common::{Answer, Server, jpeg, portrait, segment};
use image::RgbImage;

#[test]
fn twenty_connections_with_dear_pictures_leave_places_to_small_ones() {
    let server = Server::start(&["--detail", "fast", "--workers", "2", "--queue", "4"]);
    let dear = jpeg(&RgbImage::from_pixel(4096, 4096, [90, 120, 60].into()));
    let small = jpeg(&portrait());
    let (stop, begun) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let mut stream = server.connect();
                    send(
                        &mut stream,
                        "?detail=max&verify=whole&profile=reencode&sensitivity=high",
                        "",
                        &dear,
                    );
                    begun.store(true, Ordering::Relaxed);
                    // Whether it is served or refused is nothing to this test.
                    let mut head = [0; 1];
                    stream
                        .set_read_timeout(Some(std::time::Duration::from_millis(200)))
                        .unwrap();
                    while !stop.load(Ordering::Relaxed) && std::io::Read::read(&mut stream, &mut head).is_err() {
                        thread::yield_now();
                    }
                }
            });
        }
        server.wait_until("begun", |_| begun.load(Ordering::Relaxed));
        let answers: Vec<u16> = (0..12).map(|_| server.blur("", &small).status).collect();
        stop.store(true, Ordering::Relaxed);
        assert_eq!(answers, [200; 12]);
    });
}

#[test]
fn whoever_comes_gets_a_place_of_one_who_holds_more_than_a_share() {
    let server = Server::start(&["--detail", "fast", "--workers", "1", "--queue", "3"]);
    let small = jpeg(&portrait());
    let mut many: Vec<TcpStream> = (1..=4)
        .map(|count| promised(&server, "X-Forwarded-For: 203.0.113.9\r\n", count))
        .collect();
    // The same client gets none of its own places.
    let same = server.send("POST", "/v1/blur", &[("X-Forwarded-For", "203.0.113.9")], &small);
    assert_eq!((same.status, same.code().as_str()), (503, "busy"));
    let other = server.send(
        "POST",
        "/v1/blur",
        &[("X-Forwarded-For", "198.51.100.1, 203.0.113.8")],
        &small,
    );
    assert_eq!(other.status, 200);
    let refused = Answer::read(many.last_mut().unwrap());
    assert_eq!((refused.status, refused.code().as_str()), (503, "busy"));
    assert!(refused.headers.contains_key("retry-after"));
}

#[test]
fn who_is_not_trusted_cannot_say_for_whom_it_asks() {
    let server = Server::start(&[
        "--detail",
        "fast",
        "--workers",
        "1",
        "--queue",
        "3",
        "--trusted-proxies",
        "192.0.2.1",
    ]);
    let _many: Vec<TcpStream> = (1..=4)
        .map(|count| promised(&server, "X-Forwarded-For: 203.0.113.9\r\n", count))
        .collect();
    let other = server.send(
        "POST",
        "/v1/blur",
        &[("X-Forwarded-For", "203.0.113.8")],
        &jpeg(&portrait()),
    );
    assert_eq!((other.status, other.code().as_str()), (503, "busy"));
}

#[test]
fn a_client_may_not_choose_more_work_than_the_operator_allows() {
    let server = Server::start(&[
        "--detail",
        "fast",
        "--max-detail",
        "thorough",
        "--max-verify",
        "regions",
    ]);
    let file = jpeg(&portrait());
    for query in ["?detail=max", "?verify=whole", "?detail=thorough&verify=whole"] {
        let refused = server.blur(query, &file);
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (403, "option_too_dear"),
            "{query}"
        );
    }
    assert_eq!(server.blur("?detail=thorough&verify=regions", &file).status, 200);
}

#[test]
fn padding_makes_no_picture_look_less_compressed() {
    let server = Server::start(&["--detail", "fast", "--max-pixels", "30000000", "--max-bytes", "64MiB"]);
    let flat = RgbImage::new(5200, 5200);
    let bare = arithmetic(&flat);
    assert!(bare.len() < 8_000, "{} bytes", bare.len());
    let comments = segment(0xfe, &[7; 60_000]).repeat(2);
    let mut padded = bare.clone();
    padded.splice(2..2, comments);
    let mut with_tail = bare.clone();
    with_tail.extend([9; 120_000]);
    let mut filled = bare.clone();
    let end = filled.len() - 2;
    filled.splice(end..end, [0; 120_000]);
    for file in [bare, padded, with_tail, filled] {
        let refused = server.blur("", &file);
        assert_eq!((refused.status, refused.code().as_str()), (413, "too_compressed"));
    }
}

fn arithmetic(pixels: &RgbImage) -> Vec<u8> {
    let options = libjpeg_turbo_rs::TransformOptions {
        arithmetic: true,
        ..Default::default()
    };
    libjpeg_turbo_rs::transform_jpeg_with_options(&jpeg(pixels), &options).unwrap()
}

/// A request whose body does not come; the service then has `count` of them.
fn promised(server: &Server, header: &str, count: usize) -> TcpStream {
    let mut stream = server.connect();
    let head =
        format!("POST /v1/blur HTTP/1.1\r\nHost: veil\r\nConnection: close\r\n{header}Content-Length: 1000\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    server.wait_until("let in", |server| {
        server.send("GET", "/health", &[], b"").json()["in_flight"] == count
    });
    stream
}

fn send(stream: &mut TcpStream, query: &str, header: &str, body: &[u8]) {
    let head = format!(
        "POST /v1/blur{query} HTTP/1.1\r\nHost: veil\r\nConnection: close\r\n{header}Content-Length: {}\r\n\r\n",
        body.len()
    );
    // One that is refused at once may close before all is written.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}
