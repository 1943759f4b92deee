//! What the API promises, asked of the real program.

#![allow(clippy::unwrap_used)]

mod common;

use std::io::Write;
use std::time::{Duration, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::STANDARD};
use common::{Answer, Server, encoded, exif, jpeg, orientations, portrait, segment};
use image::{DynamicImage, ImageFormat, imageops};
use serde_json::json;

#[test]
fn a_face_is_gone_in_every_format_and_under_every_effect() {
    let server = Server::start(&["--detail", "fast"]);
    let pixels = DynamicImage::from(portrait());
    for (format, media_type) in [
        (ImageFormat::Png, "image/png"),
        (ImageFormat::WebP, "image/webp"),
        (ImageFormat::Jpeg, "image/jpeg"),
    ] {
        let file = if format == ImageFormat::Jpeg {
            jpeg(&portrait())
        } else {
            encoded(&pixels, format)
        };
        let found = server.detect("", &file);
        let [face] = &found["faces"].as_array().unwrap()[..] else {
            panic!("{media_type}: {found}");
        };
        let before = detail_in(&file, face);
        for effect in ["smooth", "mosaic", "gaussian", "solid"] {
            let answer = server.blur(&format!("?effect={effect}"), &file);
            assert_eq!(answer.status, 200);
            assert_eq!(answer.headers["content-type"], media_type);
            assert_eq!(answer.headers["x-faces"], "1");
            assert_eq!(answer.headers["cache-control"], "no-store");
            for step in ["queue", "decode", "detect", "redact", "verify", "encode"] {
                assert!(answer.headers["server-timing"].contains(&format!("{step};dur=")));
            }
            let answers: Vec<Answer> = (0..3)
                .map(|_| server.blur(&format!("?effect={effect}"), &file))
                .collect();
            for answer in &answers {
                let left = detail_in(&answer.body, face);
                assert!(left < 0.6 * before, "{media_type} {effect}: {left} of {before}");
            }
            // Now and then the noise on the cells looks like a face; it is new in every answer.
            let gone = answers
                .iter()
                .any(|answer| server.detect("", &answer.body)["faces"].as_array().unwrap().is_empty());
            assert!(gone, "{media_type} {effect}");
        }
    }
}

/// How much a picture changes from pixel to pixel in the middle of a face's box.
fn detail_in(file: &[u8], face: &serde_json::Value) -> f64 {
    let side = |name: &str| face[name].as_f64().unwrap() as u32;
    let picture = match file {
        [0xff, 0xd8, ..] => jpeg_pixels(file),
        _ => image::load_from_memory(file).unwrap().to_luma8(),
    };
    let (width, height) = (side("width") / 2, side("height") / 2);
    let middle = imageops::crop_imm(&picture, side("x") + width / 2, side("y") + height / 2, width, height).to_image();
    let changes = (1..height).flat_map(|y| (1..width).map(move |x| (x, y))).map(|(x, y)| {
        let here = middle.get_pixel(x, y)[0];
        here.abs_diff(middle.get_pixel(x - 1, y)[0]) as f64 + here.abs_diff(middle.get_pixel(x, y - 1)[0]) as f64
    });
    changes.sum::<f64>() / f64::from(width * height)
}

fn jpeg_pixels(file: &[u8]) -> image::GrayImage {
    use zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions};
    let options = DecoderOptions::default().jpeg_set_out_colorspace(ColorSpace::Luma);
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(file), options);
    let pixels = decoder.decode().unwrap();
    let (width, height) = decoder.dimensions().unwrap();
    image::GrayImage::from_raw(width as u32, height as u32, pixels).unwrap()
}

#[test]
fn a_report_tells_what_was_found_done_and_left_behind() {
    let server = Server::start(&["--detail", "fast"]);
    let mut file = jpeg(&portrait());
    file.splice(2..2, [segment(0xe1, &exif(6)), segment(0xfe, b"a comment")].concat());
    file.extend(b"behind");
    let answer = server.send("POST", "/v1/blur/report?effect=solid&verify=whole", &[], &file);
    assert_eq!(
        (answer.status, answer.headers["content-type"].as_str()),
        (200, "application/json")
    );
    assert_eq!(
        (&*answer.headers["x-faces"], &*answer.headers["x-veil-path"]),
        ("1", "splice")
    );
    let report = answer.json();
    assert_eq!(report["source"]["orientation"], 6);
    assert_eq!(report["path"]["name"], "splice");
    assert_eq!(report["path"]["turned_upright"], false);
    assert_eq!(report["options"]["effect"], "solid");
    assert_eq!(report["options"]["verify"], "whole");
    assert_eq!(report["second_look"]["looks"], 1);
    assert_eq!(
        report["removed"],
        serde_json::json!({ "exif": 1, "comment": 1, "tail": 1 })
    );
    assert_eq!(report["faces"], server.detect("", &file)["faces"]);
    assert!(report["milliseconds"]["verify"].as_f64().unwrap() > 0.0);
    let picture = STANDARD.decode(report["picture"]["base64"].as_str().unwrap()).unwrap();
    assert_eq!(report["picture"]["bytes"], picture.len());
    assert_eq!(picture, server.blur("?effect=solid", &file).body);
}

#[test]
fn what_is_still_seen_is_hidden_in_every_format() {
    let server = Server::start(&["--detail", "fast", "--verify", "whole"]);
    let pixels = DynamicImage::from(portrait());
    for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
        let file = if format == ImageFormat::Jpeg {
            jpeg(&portrait())
        } else {
            encoded(&pixels, format)
        };
        for effect in ["smooth", "mosaic", "gaussian", "solid"] {
            let answer = server.blur(&format!("?effect={effect}"), &file);
            assert_eq!(answer.status, 200, "{format:?} {effect}");
            let left = server.detect("", &answer.body);
            assert_eq!(left["faces"], serde_json::json!([]), "{format:?} {effect}");
        }
    }
    assert_eq!(
        server.blur("?verify=off", &jpeg(&portrait())).code(),
        "option_not_allowed"
    );
    let metrics = String::from_utf8(server.send("GET", "/metrics", &[], b"").body).unwrap();
    let looks = metrics
        .lines()
        .find_map(|line| line.strip_prefix("blur_second_look_total{what=\"looks\"} "))
        .unwrap_or_else(|| panic!("{metrics}"));
    // Each of the pictures was looked at again.
    assert!(looks.parse::<u32>().unwrap() >= 12, "{looks}");
}

#[test]
fn a_one_bit_scan_has_its_face_hidden() {
    let server = Server::start(&["--verify", "off"]);
    let mut dots = imageops::grayscale(&portrait());
    imageops::dither(&mut dots, &imageops::BiLevel);
    let file = encoded(&dots.into(), ImageFormat::Png);
    assert_eq!(server.blur("", &file).headers["x-faces"], "1");
}

#[test]
fn no_core_of_the_process_is_ever_written() {
    let server = Server::start_cold(&[]);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.child.id())).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    let numbers: Vec<&str> = core
        .split_whitespace()
        .filter(|word| word.parse::<u64>().is_ok())
        .collect();
    assert_eq!(numbers, ["0", "0"], "{core}");
}

#[test]
fn boxes_are_in_upright_pixels_whatever_the_orientation() {
    let server = Server::start(&["--detail", "fast"]);
    let upright = imageops::crop_imm(&portrait(), 0, 0, 512, 400).to_image();
    let expected = server.detect("", &jpeg(&upright));
    for (orientation, stored) in orientations(&upright) {
        let mut file = jpeg(&stored);
        file.splice(2..2, segment(0xe1, &exif(orientation)));
        let found = server.detect("", &file);
        assert_eq!(
            (&found["width"], &found["height"]),
            (&expected["width"], &expected["height"]),
            "orientation {orientation}"
        );
        for side in ["x", "y", "width", "height"] {
            let [was, is] = [&expected, &found].map(|answer| answer["faces"][0][side].as_f64().unwrap());
            assert!(
                (was - is).abs() < 6.0,
                "orientation {orientation}, {side}: {was} became {is}"
            );
        }
        for profile in ["lossless", "reencode"] {
            let hidden = server.detect(
                "",
                &server.blur(&format!("?effect=solid&profile={profile}"), &file).body,
            );
            assert_eq!(
                (&hidden["width"], &hidden["height"]),
                (&expected["width"], &expected["height"])
            );
            assert_eq!(
                hidden["faces"],
                serde_json::json!([]),
                "orientation {orientation}, {profile}"
            );
        }
    }
}

#[test]
fn multipart_and_raw_bodies_are_the_same_picture() {
    let server = Server::start(&["--detail", "fast"]);
    let file = jpeg(&portrait());
    let form = |field: &str| {
        let head = format!("--cut\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"a.jpg\"\r\n\r\n");
        [head.as_bytes(), &file, b"\r\n--cut--\r\n"].concat()
    };
    let multipart = [("Content-Type", "multipart/form-data; boundary=cut")];
    let answer = server.send("POST", "/v1/blur", &multipart, &form("image"));
    assert_eq!((answer.status, answer.headers["x-faces"].as_str()), (200, "1"));
    for wrong in [&form("mask")[..], b"--cut--\r\n"] {
        let refused = server.send("POST", "/v1/blur", &multipart, wrong);
        assert_eq!(refused.code(), "bad_request");
        let detail = refused.json()["detail"].to_string();
        assert!(detail.contains("curl -F image=@photo.jpg"), "{detail}");
    }
}

#[test]
fn every_mistake_has_its_status_and_code() {
    let server = Server::start(&["--detail", "fast", "--max-bytes", "300k", "--max-pixels", "300000"]);
    let file = jpeg(&portrait());
    let large = encoded(&DynamicImage::new_rgb8(700, 700), ImageFormat::Png);
    let mut in_pieces = file.clone();
    in_pieces.splice(2..2, segment(0xfe, b"").repeat(3000));
    let post = |path: &str, body: &[u8]| server.send("POST", path, &[], body);
    for (answer, status, code) in [
        (post("/v1/blur", b""), 400, "bad_request"),
        (post("/v1/blur?efect=solid", &file), 400, "unknown_option"),
        (post("/v1/blur?effect=none", &file), 400, "invalid_option"),
        (
            post("/v1/blur?effect=solid&effect=smooth", &file),
            400,
            "repeated_option",
        ),
        (post("/v1/blur?margin=1.0", &file), 403, "option_not_allowed"),
        (post("/v2/blur", &file), 404, "not_found"),
        (server.send("GET", "/v1/blur", &[], b""), 405, "method_not_allowed"),
        (post("/health", b""), 405, "method_not_allowed"),
        (post("/v1/blur", &vec![0; 400_000]), 413, "too_many_bytes"),
        (post("/v1/blur", &large), 413, "too_many_pixels"),
        (post("/v1/blur", &in_pieces), 413, "too_many_parts"),
        (post("/v1/blur", b"8BPS......"), 415, "unsupported_format"),
        (post("/v1/blur", b"hello"), 415, "unsupported_format"),
        (post("/v1/blur", &file[..20]), 422, "broken_picture"),
        (post("/v1/blur", &file[..file.len() / 2]), 422, "broken_picture"),
        (
            post("/v1/blur?profile=reencode", &file[..file.len() / 2]),
            422,
            "broken_picture",
        ),
        (
            server.send("POST", "/v1/blur", &[("Veil-Deadline-Ms", "0")], &file),
            504,
            "deadline_exceeded",
        ),
        (
            server.send("POST", "/v1/blur", &[("Veil-Deadline-Ms", "soon")], &file),
            400,
            "bad_request",
        ),
    ] {
        assert_eq!((answer.status, answer.code().as_str()), (status, code));
        assert_eq!(status == 405, answer.headers.contains_key("allow"));
    }
    assert_eq!(post("/v1/blur", &file).status, 200);
}

#[test]
fn a_full_service_says_busy_before_the_body_is_read() {
    let server = Server::start(&["--detail", "fast", "--workers", "1", "--queue", "0"]);
    let head = "POST /v1/blur HTTP/1.1\r\nHost: veil\r\nConnection: close\r\nContent-Length: 1000\r\n\r\n";
    let mut first = server.connect();
    first.write_all(head.as_bytes()).unwrap();
    server.wait_until("full", |server| {
        server.send("GET", "/health", &[], b"").json()["in_flight"] == 1
    });
    let mut second = server.connect();
    second.write_all(head.as_bytes()).unwrap();
    let answer = Answer::read(&mut second);
    assert_eq!((answer.status, answer.code().as_str()), (503, "busy"));
    assert!(answer.headers.contains_key("retry-after"));
    drop(first);
    server.wait_until("free", |server| {
        server.send("GET", "/health", &[], b"").json()["in_flight"] == 0
    });
    assert_eq!(server.blur("", &jpeg(&portrait())).status, 200);
}

#[test]
fn a_slow_body_is_told_so() {
    let server = Server::start(&["--detail", "fast", "--body-timeout", "1s"]);
    let mut stream = server.connect();
    stream
        .write_all(b"POST /v1/blur HTTP/1.1\r\nHost: veil\r\nConnection: close\r\nContent-Length: 9\r\n\r\n\xff")
        .unwrap();
    let answer = Answer::read(&mut stream);
    assert_eq!((answer.status, answer.code().as_str()), (408, "body_timeout"));
}

#[test]
fn health_tells_the_state_and_metrics_count() {
    let server = Server::start(&["--detail", "fast"]);
    server.blur("", &jpeg(&portrait()));
    let health = server.send("GET", "/health", &[], b"").json();
    assert_eq!(
        (&health["status"], &health["model_loaded"]),
        (&"healthy".into(), &true.into())
    );
    assert_eq!(
        (&health["queue_depth"], &health["in_flight"], &health["processed"]),
        (&0.into(), &0.into(), &1.into())
    );
    let moment = UNIX_EPOCH + Duration::from_secs_f64(health["unix_time"].as_f64().unwrap());
    let timestamp = health["timestamp"].as_str().unwrap();
    assert_eq!(timestamp[..19], quantity::moment(moment)[..19], "ISO 8601");
    let metrics = String::from_utf8(server.send("GET", "/metrics", &[], b"").body).unwrap();
    assert!(
        metrics.contains(r#"blur_requests_total{code="ok",route="/v1/blur",status="200"} 1"#),
        "{metrics}"
    );
    assert!(metrics.contains("blur_faces_total 1"));
}

#[test]
fn the_request_id_comes_back_and_an_odd_one_is_replaced() {
    let server = Server::start_cold(&[]);
    assert_eq!(
        server.send("GET", "/", &[("X-Request-Id", "a-1")], b"").headers["x-request-id"],
        "a-1"
    );
    assert_ne!(
        server.send("GET", "/", &[("X-Request-Id", "a b")], b"").headers["x-request-id"],
        "a b"
    );
}

#[test]
fn a_signal_drains_what_is_in_flight_and_then_ends_well() {
    let mut server = Server::start(&["--detail", "fast", "--log-format", "json"]);
    let file = jpeg(&portrait());
    let mut stream = server.connect();
    let head = format!(
        "POST /v1/blur HTTP/1.1\r\nHost: veil\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        file.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    server.wait_until("taken", |server| {
        server.send("GET", "/health", &[], b"").json()["in_flight"] == 1
    });
    server.signal("-TERM");
    server.wait_until("draining", |server| {
        server.send("GET", "/health", &[], b"").json()["status"] == "draining"
    });
    assert_eq!(server.send("GET", "/health", &[], b"").status, 503);
    stream.write_all(&file).unwrap();
    assert_eq!(Answer::read(&mut stream).status, 200);
    assert!(server.child.wait().unwrap().success());
}

#[test]
fn the_page_needs_nothing_from_outside() {
    let server = Server::start_cold(&[]);
    for file in ["/", "/v1/page/main.js", "/v1/page/style.css", "/v1/page/zh.js"] {
        let page = server.send("GET", file, &[], b"");
        assert_eq!(page.status, 200, "{file}");
        let policy = &page.headers["content-security-policy"];
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"));
        assert!(!policy.contains("unsafe"), "{policy}");
        let text = String::from_utf8(page.body).unwrap();
        assert!(!text.contains("http://") && !text.contains("https://"), "{file}");
    }
    let problem = server.send("GET", "/v1/problems/still_seen", &[], b"");
    assert_eq!(problem.headers["content-type"], "text/html; charset=utf-8");
    for absent in [
        "/v1/problems/nothing",
        "/v1/docs/mod.rs",
        "/v1/page/",
        "/v1/page/mod.rs",
        "/v1/page/../page/main.js",
    ] {
        assert_eq!(server.send("GET", absent, &[], b"").status, 404, "{absent}");
    }
}

#[test]
fn a_problem_leads_to_its_page_and_names_the_limit() {
    let server = Server::start(&["--max-bytes", "1KiB"]);
    let problem = server.blur("", &vec![0; 2 << 10]).json();
    assert_eq!(
        (&problem["code"], &problem["limit"]),
        (&json!("too_many_bytes"), &json!(1024))
    );
    let page = server.send("GET", problem["type"].as_str().unwrap(), &[], b"");
    assert!(
        String::from_utf8(page.body)
            .unwrap()
            .contains("<code>too_many_bytes</code>")
    );
}

#[test]
fn an_idempotency_key_is_refused_since_nothing_is_kept() {
    let server = Server::start(&[]);
    let answer = server.send("POST", "/v1/blur", &[("Idempotency-Key", "\"a\"")], &jpeg(&portrait()));
    assert_eq!(
        (answer.status, &answer.json()["code"]),
        (400, &json!("idempotency_key"))
    );
}

#[test]
fn what_may_be_chosen_is_told() {
    let choices = |flags: &[&str]| Server::start_cold(flags).send("GET", "/v1/options", &[], b"").json();
    let usual = choices(&["--max-bytes", "1MiB"]);
    assert_eq!(usual["effect"]["set"], "smooth");
    assert_eq!(
        usual["effect"]["allowed"],
        json!(["smooth", "mosaic", "gaussian", "solid"])
    );
    assert_eq!(usual["detail"]["allowed"], json!(["thorough", "max"]));
    assert_eq!(
        usual["margin"],
        json!({ "set": 1.3, "allowed": [1.3, 1.6, 2.0, 2.5, 3.2, 4.0] })
    );
    assert_eq!((&usual["exclude"], &usual["keep"]), (&json!(false), &json!([])));
    assert_eq!(usual["limits"]["bytes"], 1 << 20);
    let strict = choices(&["--effect", "solid", "--max-detail", "thorough"]);
    assert_eq!(strict["effect"]["allowed"], json!(["solid"]));
    assert_eq!(strict["detail"]["allowed"], json!(["thorough"]));
    let lax = choices(&["--allow-client-options", "--allow-exclude", "--allow-keep", "gps"]);
    assert_eq!(lax["detail"]["allowed"], json!(["fast", "thorough", "max"]));
    assert_eq!((&lax["exclude"], &lax["keep"]), (&json!(true), &json!(["gps"])));
}
