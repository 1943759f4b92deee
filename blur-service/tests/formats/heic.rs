//! HEIC, made by heif-enc 1.15 from the upper middle of the portrait, 192 pixels wide: turned, in tiles and cut by other boxes.

use std::{fs, os::unix::fs::PermissionsExt, thread, time::Duration};

use image::{RgbaImage, imageops};

use crate::{
    avif::{below, grey, source},
    common::{Server, contains, has_heic, jpeg, portrait},
};

#[test]
fn heic_is_read_in_every_form_upright_and_without_its_metadata() {
    if !has_heic() {
        return;
    }
    let server = Server::start(&["--detail", "fast"]);
    for (name, file) in FORMS {
        let answer = server.blur("", file);
        assert_eq!(
            (answer.status, answer.headers["content-type"].as_str()),
            (200, "image/jpeg"),
            "{name}: {}",
            String::from_utf8_lossy(&answer.body)
        );
        assert_eq!(answer.headers["x-faces"], "1", "{name}");
        assert!(!contains(&answer.body, b"SECRET"), "{name}");
        let answer = server.blur("?format=png", file);
        let shown = image::load_from_memory(&answer.body).unwrap().into_rgb8();
        let wanted = if *name == "grey" { grey(&source()) } else { source() };
        let found = below(&wanted, &shown);
        assert!(found <= 4.0, "{name}: {found}");
    }
}

#[test]
fn a_heic_of_odd_sides_and_one_that_is_cut_are_as_large_as_they_are_shown() {
    if !has_heic() {
        return;
    }
    let server = Server::start(&["--detail", "fast"]);
    for (file, (left, top), (width, height)) in [
        (&include_bytes!("files/odd.heic")[..], (0, 0), (191, 189)),
        (include_bytes!("files/cut.heic"), (10, 12), (150, 180)),
    ] {
        let answer = server.blur("?format=png", file);
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        let shown = image::load_from_memory(&answer.body).unwrap().into_rgb8();
        assert_eq!(shown.dimensions(), (width, height));
        // Beside the face.
        let wanted = imageops::crop_imm(&source(), left, top, width, height).to_image();
        let row = |pixels: &image::RgbImage| {
            imageops::crop_imm(pixels, 0, height - 12, width, 12)
                .to_image()
                .into_raw()
        };
        let differences = row(&wanted)
            .into_iter()
            .zip(row(&shown))
            .map(|(one, other)| one.abs_diff(other));
        let mean = differences.map(f64::from).sum::<f64>() / f64::from(width * 36);
        assert!(mean < 4.0, "{mean}");
    }
}

#[test]
fn the_alpha_of_a_heic_is_kept() {
    if !has_heic() {
        return;
    }
    let server = Server::start(&["--detail", "fast"]);
    let answer = server.blur("?format=png", include_bytes!("files/alpha.heic"));
    assert_eq!(answer.status, 200);
    let shown: RgbaImage = image::load_from_memory(&answer.body).unwrap().into_rgba8();
    let (clear, solid) = (shown.get_pixel(5, 185)[3], shown.get_pixel(5, 5)[3]);
    assert!(clear.abs_diff(90) < 6 && solid > 250, "{clear} {solid}");
}

#[test]
fn what_a_heic_may_not_be_is_told() {
    if !has_heic() {
        return;
    }
    let server = Server::start(&["--detail", "fast"]);
    let whole = include_bytes!("files/420.heic");
    let larger = with(whole, &192_u32.to_be_bytes(), &208_u32.to_be_bytes());
    for (file, status, code) in [
        (&whole[..whole.len() / 2], 422, "broken_picture"),
        // As large as its boxes say, or broken.
        (&larger, 422, "broken_picture"),
        (b"\0\0\0\x18ftypheic\0\0\0\0heicmif1", 422, "broken_picture"),
        (include_bytes!("files/pq.heic"), 415, "unsupported_format"),
    ] {
        let answer = server.blur("", file);
        assert_eq!((answer.status, answer.code().as_str()), (status, code));
    }
    let choices = server.send("GET", "/v1/options", &[], b"").json();
    assert!(choices["reads"].as_array().unwrap().contains(&"heic".into()));
}

#[test]
fn without_its_decoder_a_heic_is_refused_with_the_reason() {
    let server = Server::start(&["--detail", "fast", "--heic-decoder", "off"]);
    for (_, file) in FORMS {
        let answer = server.blur("", file);
        assert_eq!((answer.status, answer.code().as_str()), (415, "unsupported_format"));
        assert!(contains(&answer.body, b"decoder is not installed"));
    }
    let choices = server.send("GET", "/v1/options", &[], b"").json();
    assert!(!choices["reads"].as_array().unwrap().contains(&"heic".into()));
}

/// What ends the process that decodes is that picture's end, and nobody else's.
#[test]
fn each_heic_has_a_process_of_its_own_which_is_gone_afterwards() {
    if !has_heic() {
        return;
    }
    let mut server = Server::start(&["--detail", "fast"]);
    let keeper = children(server.child.id());
    assert_eq!(keeper.len(), 1);
    for _ in 0..8 {
        assert_eq!(server.blur("", FORMS[0].1).status, 200);
        assert_eq!(server.blur("", &FORMS[0].1[..5000]).status, 422);
    }
    server.wait_until("alone", |_| children(keeper[0]).is_empty());
    // With whoever has started it ends the keeper.
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    let begin = std::time::Instant::now();
    // While it ends, its folder can be there and tell of no process.
    while fs::exists(format!("/proc/{}/fd", keeper[0])).unwrap_or(false) {
        assert!(begin.elapsed() < Duration::from_secs(10), "the keeper lives on");
        std::thread::yield_now();
    }
}

#[test]
fn a_decoder_that_dies_hangs_or_says_what_cannot_be_costs_its_picture_alone() {
    if !fs::exists("/usr/bin/python3").unwrap() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    thread::scope(|scope| {
        for (name, does) in [
            ("dies", "os._exit(1)"),
            ("hangs", "time.sleep(1000)"),
            ("babbles", "socket.sendall(bytes(range(100, 200)))"),
            ("exaggerates", "socket.sendall(struct.pack('<IIBB', 9192, 9192, 8, 1))"),
            (
                "breaks off",
                "socket.sendall(struct.pack('<IIBB', 192, 192, 8, 1) + bytes(20000)); os._exit(0)",
            ),
        ] {
            let program = folder.path().join(name);
            fs::write(&program, IMPOSTOR.replace("DOES", does)).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
            scope.spawn(move || {
                let server = Server::start(&["--detail", "fast", "--heic-decoder", program.to_str().unwrap()]);
                let answer = server.blur("", FORMS[0].1);
                let said = String::from_utf8_lossy(&answer.body);
                assert_eq!(
                    (answer.status, answer.code().as_str()),
                    (422, "broken_picture"),
                    "{name}: {said}"
                );
                assert_eq!(server.blur("", &jpeg(&portrait())).status, 200);
            });
        }
    });
}

fn children(process: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{process}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let of = |task: fs::DirEntry| fs::read_to_string(task.path().join("children")).unwrap_or_default();
    tasks
        .flat_map(|task| of(task).split(' ').filter_map(|id| id.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// Everywhere the one in the place of the other.
fn with(file: &[u8], what: &[u8], instead: &[u8]) -> Vec<u8> {
    let mut file = file.to_vec();
    for at in 0..=file.len() - what.len() {
        if file[at..].starts_with(what) {
            file[at..at + what.len()].copy_from_slice(instead);
        }
    }
    file
}

/// Keeps as the decoder does, and then DOES something else.
const IMPOSTOR: &str = r#"#!/usr/bin/python3
import os, socket, struct, time
control = socket.socket(fileno=0)
while True:
    _, descriptors, _, _ = socket.recv_fds(control, 1, 1)
    if not descriptors:
        break
    if os.fork() == 0:
        control.close()
        socket = socket.socket(fileno=descriptors[0])
        socket.recv(8)
        socket.sendall(b"R")
        if not socket.recv(5):
            os._exit(0)
        DOES
        while socket.recv(1 << 16):
            pass
        os._exit(0)
    os.close(descriptors[0])
"#;

const FORMS: &[(&str, &[u8])] = &[
    ("4:2:0, with EXIF and a thumbnail", include_bytes!("files/420.heic")),
    ("4:2:2", include_bytes!("files/422.heic")),
    ("4:4:4", include_bytes!("files/444.heic")),
    ("grey", include_bytes!("files/grey.heic")),
    ("10 bits", include_bytes!("files/ten.heic")),
    ("turned", include_bytes!("files/turned.heic")),
    ("mirrored, 10 bits", include_bytes!("files/mirrored-ten.heic")),
    ("tiles", include_bytes!("files/tiles.heic")),
];
