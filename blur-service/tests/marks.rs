//! Boxes that a person draws and faces that a person spares, asked of the real program.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Answer, Server, encoded, exif, jpeg, orientations, portrait, segment};
use image::{GenericImage, ImageFormat, RgbImage, imageops};
use serde_json::{Value, json};

#[test]
fn a_drawn_box_is_hidden_whatever_the_orientation_and_nothing_else_changes() {
    let server = Server::start(&["--detail", "fast"]);
    let upright = imageops::crop_imm(&portrait(), 0, 0, 512, 400).to_image();
    for (orientation, stored) in orientations(&upright) {
        let mut file = jpeg(&stored);
        file.splice(2..2, segment(0xe1, &exif(orientation)));
        for profile in ["lossless", "reencode"] {
            let ask = |more: &str| server.blur(&format!("?effect=solid&profile={profile}{more}"), &file);
            let drawn = ask("&regions=20,300,60,40");
            assert_eq!(drawn.status, 200, "{}", String::from_utf8_lossy(&drawn.body));
            assert_eq!(
                (&*drawn.headers["x-faces"], &*drawn.headers["x-faces-spared"]),
                ("1", "0")
            );
            let (before, after) = (upright_pixels(&ask("").body), upright_pixels(&drawn.body));
            let (mut inside, mut outside) = (0, 0);
            for (x, y, pixel) in after.enumerate_pixels() {
                let differs = pixel
                    .0
                    .iter()
                    .zip(before.get_pixel(x, y).0)
                    .any(|(a, b)| a.abs_diff(b) > 8);
                // Chroma of the units around is shared, so that they are hidden whole.
                if (0..100).contains(&x) && (280..368).contains(&y) {
                    inside += u32::from(differs);
                } else {
                    outside += u32::from(differs);
                }
            }
            assert_eq!(outside, 0, "orientation {orientation}, {profile}");
            assert!(inside > 1_000, "orientation {orientation}, {profile}: {inside}");
        }
    }
}

#[test]
fn one_of_two_people_is_spared_by_box_and_by_index() {
    let server = Server::start(&["--detail", "fast", "--allow-exclude"]);
    for file in [jpeg(&two()), encoded(&two().into(), ImageFormat::Png)] {
        let found = server.detect("", &file);
        let faces = found["faces"].as_array().unwrap();
        assert_eq!(faces.len(), 2, "{found}");
        for (index, face) in faces.iter().enumerate() {
            let side = |name: &str| face[name].as_f64().unwrap();
            let short = format!("{},{},{},{}", side("x"), side("y"), side("width"), side("height"));
            let json = urlencoded(&json!([face]).to_string());
            for exclude in [index.to_string(), short, json] {
                let answer = server.blur(&format!("?effect=solid&exclude={exclude}"), &file);
                assert_eq!(
                    (&*answer.headers["x-faces"], &*answer.headers["x-faces-spared"]),
                    ("1", "1")
                );
                let left = server.detect("", &answer.body);
                let left = left["faces"].as_array().unwrap();
                assert!(
                    left.len() == 1 && (left[0]["x"].as_f64().unwrap() - side("x")).abs() < 8.0,
                    "{left:?}"
                );
            }
            let report = server.report(&format!("?exclude={index}"), &file);
            assert_eq!(report["spared"], json!([face]));
            assert_eq!(report["faces"].as_array().unwrap().len(), 1);
        }
        let none = server.blur("?exclude=7", &file);
        assert_eq!((none.status, none.code().as_str()), (400, "mark_outside"));
    }
}

#[test]
fn sparing_is_the_operators_to_allow() {
    let server = Server::start(&["--detail", "fast"]);
    let file = jpeg(&portrait());
    for query in ["?exclude=0", "?detect=off", "?detect=off&regions=0,0,9,9"] {
        let refused = server.blur(query, &file);
        assert_eq!((refused.status, refused.code().as_str()), (403, "option_not_allowed"));
        assert!(refused.json()["detail"].as_str().unwrap().contains("--allow-exclude"));
    }
    let refused = server.send("POST", "/v1/detect?regions=1,2,3,4", &[], &file);
    assert_eq!((refused.status, refused.code().as_str()), (400, "bad_request"));
}

#[test]
fn boxes_of_detection_hide_the_same_faces_without_it() {
    let server = Server::start(&["--detail", "fast", "--allow-exclude"]);
    let file = jpeg(&two());
    let boxes = urlencoded(&server.detect("", &file)["faces"].to_string());
    let answer = server.blur(&format!("?detect=off&effect=solid&regions={boxes}"), &file);
    assert_eq!((answer.status, answer.headers["x-faces"].as_str()), (200, "0"));
    assert_eq!(server.detect("", &answer.body)["faces"], json!([]));
}

#[test]
fn a_form_says_all_that_a_query_can() {
    let server = Server::start(&["--detail", "fast", "--allow-exclude"]);
    let file = jpeg(&two());
    let options =
        json!({ "effect": "solid", "exclude": [1], "regions": [{ "x": 1, "y": 2, "width": 30, "height": 40 }] });
    let expected = server.blur("?effect=solid&exclude=1&regions=1,2,30,40", &file);
    let text = |name: &'static str, value: &'static str| (name, "", value.as_bytes().to_vec());
    let in_fields = [
        text("effect", "solid"),
        ("picture", "a.jpg", file.clone()),
        text("exclude", "1"),
        text("regions", "[[1,2,30,40]]"),
    ];
    let in_json = [
        ("file", "a.jpg", file.clone()),
        ("options", "", options.to_string().into_bytes()),
    ];
    for form in [&in_fields[..], &in_json] {
        let answer = send_form(&server, "/v1/blur", form);
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        assert!(answer.body == expected.body);
    }
    let with_query = [("image", "a.jpg", file.clone()), text("effect", "solid")];
    let twice = send_form(&server, "/v1/blur?effect=smooth", &with_query);
    assert_eq!(twice.code(), "repeated_option");
    for (field, code) in [
        (text("efect", "solid"), "unknown_option"),
        (text("margin", "9"), "invalid_option"),
    ] {
        let refused = send_form(&server, "/v1/blur", &[("image", "a.jpg", file.clone()), field]);
        assert_eq!((refused.status, refused.code().as_str()), (400, code));
    }
    for form in [
        vec![("image", "a.jpg", file.clone()), ("file", "b.jpg", file.clone())],
        vec![text("effect", "solid")],
        vec![("image", "a.jpg", file.clone()), ("mask", "b.jpg", file.clone())],
        vec![("image", "a.jpg", file.clone()), text("options", "[1]")],
    ] {
        assert_eq!(send_form(&server, "/v1/blur", &form).code(), "bad_request");
    }
}

#[test]
fn panoramax_finds_its_path_and_field() {
    let server = Server::start(&["--detail", "fast"]);
    let file = jpeg(&portrait());
    let answer = send_form(&server, "/blur/", &[("picture", "a.jpg", file.clone())]);
    assert_eq!(
        (answer.status, answer.headers["content-type"].as_str()),
        (200, "image/jpeg")
    );
    assert!(answer.body == server.blur("", &file).body);
}

#[test]
fn each_path_has_its_type_and_accept_asks_for_another() {
    let server = Server::start(&["--detail", "fast"]);
    let file = jpeg(&portrait());
    let picture = server.blur("", &file).body;
    let ask = |path: &str, accept: &str| server.send("POST", path, &[("Accept", accept)], &file);
    for path in ["/v1/blur", "/v1/blur/report"] {
        assert!(ask(path, "image/*").body == picture);
        assert!(ask(path, "application/json").json()["picture"]["base64"].is_string());
        let both = ask(path, "multipart/mixed");
        let [report, part] = parts(&both);
        assert!(part == picture);
        let report: Value = serde_json::from_slice(&report).unwrap();
        assert_eq!(
            report["picture"],
            json!({ "media_type": "image/jpeg", "bytes": picture.len() })
        );
        assert_eq!(both.headers["x-faces"], "1");
    }
    assert!(ask("/v1/blur", "application/json, */*").body == picture);
    assert_eq!(
        ask("/v1/blur/report", "*/*").headers["content-type"],
        "application/json"
    );
    let gone = server.blur("?report=true", &file);
    assert!(gone.json()["detail"].as_str().unwrap().contains("/v1/blur/report"));
}

/// The one portrait twice, side by side.
fn two() -> RgbImage {
    let one = imageops::crop_imm(&portrait(), 64, 0, 320, 400).to_image();
    let mut both = RgbImage::new(640, 400);
    both.copy_from(&one, 0, 0).unwrap();
    both.copy_from(&one, 320, 0).unwrap();
    both
}

/// As viewers show a JPEG, its orientation applied.
fn upright_pixels(file: &[u8]) -> RgbImage {
    use blur_service::codec::Header;
    let header = Header::read(file).unwrap();
    header.format.decode(file, &header, &|| true).unwrap().pixels.to_rgb8()
}

type Part = (&'static str, &'static str, Vec<u8>);

fn send_form(server: &Server, path: &str, parts: &[Part]) -> Answer {
    let mut body = Vec::new();
    for (name, file, content) in parts {
        let file = if file.is_empty() {
            String::new()
        } else {
            format!("; filename=\"{file}\"")
        };
        body.extend(format!("--cut\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n").bytes());
        body.extend(content);
        body.extend(b"\r\n");
    }
    body.extend(b"--cut--\r\n");
    server.send(
        "POST",
        path,
        &[("Content-Type", "multipart/form-data; boundary=cut")],
        &body,
    )
}

/// The contents of a body of two parts.
fn parts(answer: &Answer) -> [Vec<u8>; 2] {
    let boundary = answer.headers["content-type"].split_once("boundary=").unwrap().1;
    let cut = format!("--{boundary}");
    let body = &answer.body;
    let cuts: Vec<usize> = (0..body.len())
        .filter(|at| body[*at..].starts_with(cut.as_bytes()))
        .collect();
    let [first, second, end] = cuts[..] else {
        panic!("{} parts", cuts.len())
    };
    [(first, second), (second, end)].map(|(from, to)| {
        let part = &body[from..to - 2];
        let head = part.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        part[head + 4..].to_vec()
    })
}

fn urlencoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
