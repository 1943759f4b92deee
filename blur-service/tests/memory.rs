//! What a picture takes of the worker's memory, and what is left of it there once it has been answered.

#![allow(clippy::unwrap_used)]

mod common;
#[path = "../../tests/src/random.rs"]
#[allow(dead_code, reason = "other tests need the rest")]
mod random;

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io::Write,
    os::unix::fs::FileExt,
};

use common::{Server, encoded, jpeg, portrait};
use image::{DynamicImage, GrayImage, ImageFormat, RgbImage, RgbaImage, imageops};
use jpeg_encoder::{ColorType, Encoder};
use random::Random;

#[test]
fn nothing_of_a_picture_is_left_after_its_answer() {
    let server = Server::start(&["--workers", "1", "--detail", "fast"]);
    let id = server.child.id();
    for (seed, has_alpha) in [(1, false), (2, true)] {
        let picture = picture(seed);
        let shown: DynamicImage = if has_alpha {
            RgbaImage::from_fn(WIDTH, HEIGHT, |x, y| {
                let [r, g, b] = picture.get_pixel(x, y).0;
                image::Rgba([r, g, b, 255])
            })
            .into()
        } else {
            picture.clone().into()
        };
        let file = encoded(&shown, ImageFormat::Png);
        let rows = picture.as_raw().chunks_exact(3 * WIDTH as usize);
        let rows: Vec<&[u8]> = rows.map(|row| &row[90..150]).collect();
        let pieces: Vec<&[u8]> = file[1000..].chunks(1000).filter_map(|part| part.get(..60)).collect();

        // So that one knows that what is there is found.
        let mut client = server.connect();
        let head = format!(
            "POST /v1/detect HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
            file.len()
        );
        client.write_all(head.as_bytes()).unwrap();
        client.write_all(&file[..file.len() - 1]).unwrap();
        server.wait_until("the upload is in memory", |_| found(id, &pieces) > pieces.len() / 2);
        drop(client);

        for path in ["/v1/detect", "/v1/blur"] {
            assert_eq!(server.send("POST", path, &[], &file).status, 200);
            // The end of the work and of the connection come a moment after the answer.
            server.wait_until("everything is cleared", |_| {
                (found(id, &rows), found(id, &pieces)) == (0, 0)
            });
        }
    }
}

#[test]
fn photos_of_108_and_200_megapixels_take_few_times_their_file_at_the_usual_limits() {
    for (width, height) in [(12_000, 9_000), (16_320, 12_240)] {
        let server = Server::start(&["--workers", "1", "--detail", "fast"]);
        assert_eq!(server.blur("", &jpeg(&portrait())).headers["x-faces"], "1");
        let file = large(width, height);
        let before = peak(server.child.id());
        let answer = server.blur("", &file);
        let (faces, road) = (&answer.headers["x-faces"], &answer.headers["x-veil-path"]);
        assert_eq!(
            (answer.status, faces.as_str(), road.as_str()),
            (200, "1", "splice"),
            "{width} x {height}"
        );
        let taken = peak(server.child.id()).saturating_sub(before);
        // An eighth of each side is looked at, and of each block one coefficient is remembered.
        let blocks = u64::from(width / 8 * (height / 8));
        let most = 3 * file.len() as u64 + (8 << 20) + blocks * (6 + 2);
        assert!(taken <= most, "{width} x {height}: {taken} of {most} bytes");
    }
}

/// The portrait in the corner of a large even photo.
fn large(width: u32, height: u32) -> Vec<u8> {
    let side = height / 3;
    let portrait = imageops::resize(&portrait(), side, side, imageops::FilterType::Nearest);
    let mut photo = GrayImage::from_pixel(width, height, image::Luma([110]));
    imageops::replace(&mut photo, &DynamicImage::from(portrait).into_luma8(), 640, 640);
    let mut file = Vec::new();
    let encoder = Encoder::new(&mut file, 90);
    encoder
        .encode(&photo, width as u16, height as u16, ColorType::Luma)
        .unwrap();
    file
}

/// The most memory that a process has had.
fn peak(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Noise of 25 levels: deflate codes them, so that the file does not hold the pixels' bytes.
fn picture(seed: u64) -> RgbImage {
    let mut random = Random::new(seed);
    RgbImage::from_fn(WIDTH, HEIGHT, |_, _| {
        image::Rgb([(); 3].map(|()| 16 + 9 * random.below(25) as u8))
    })
}

/// How many of these, each different and of 60 bytes, are in what another process may write to.
fn found(process: u32, needles: &[&[u8]]) -> usize {
    let mut by_start = HashMap::<[u8; 8], Vec<&[u8]>>::new();
    for needle in needles {
        by_start.entry(*needle.first_chunk().unwrap()).or_default().push(needle);
    }
    let mut may_begin = vec![false; 1 << 16];
    for start in by_start.keys() {
        may_begin[usize::from(u16::from_le_bytes([start[0], start[1]]))] = true;
    }
    let mut seen = HashSet::<&[u8]>::new();
    let memory = File::open(format!("/proc/{process}/mem")).unwrap();
    let mut buffer = vec![0; 1 << 20];
    for (mut at, end) in writable(process) {
        while at < end {
            let length = buffer.len().min((end - at) as usize);
            // Some regions, such as those of devices, cannot be read.
            let Ok(length @ 1..) = memory.read_at(&mut buffer[..length], at) else {
                break;
            };
            let part = &buffer[..length];
            at += length as u64;
            if at < end && length > LONGEST {
                // What lies across the border is seen in the next part.
                at -= LONGEST as u64;
            }
            if part.iter().all(|byte| *byte == 0) {
                continue;
            }
            for (index, window) in part.windows(8).enumerate() {
                if !may_begin[usize::from(u16::from_le_bytes([window[0], window[1]]))] {
                    continue;
                }
                let candidates = by_start.get(window).into_iter().flatten();
                seen.extend(candidates.filter(|needle| part[index..].starts_with(needle)));
            }
        }
    }
    seen.len()
}

/// The regions, from and to.
fn writable(process: u32) -> Vec<(u64, u64)> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let region = |line: &str| {
        let (range, rest) = line.split_once(' ')?;
        let (from, to) = range.split_once('-')?;
        let address = |text| u64::from_str_radix(text, 16).ok();
        rest.starts_with("rw").then_some((address(from)?, address(to)?))
    };
    maps.lines().filter_map(region).collect()
}

const WIDTH: u32 = 640;
const HEIGHT: u32 = 400;
const LONGEST: usize = 64;
