//! A thousand and more pictures that are broken, cut off or promise too much: the service answers every one of them
//! without a crash, without a 5xx, and does not grow.

#![allow(clippy::unwrap_used)]

mod common;
#[path = "../../tests/src/random.rs"]
#[allow(dead_code, reason = "other tests need the rest")]
mod random;

use common::{Server, encoded, has_heic, jpeg, portrait};
use image::{DynamicImage, ImageFormat, imageops};
use random::Random;

#[test]
fn broken_pictures_are_answered_and_leave_nothing_behind() {
    let mut server = Server::start(&["--detail", "fast"]);
    let small = imageops::resize(&portrait(), 96, 96, imageops::FilterType::Triangle);
    let pixels = DynamicImage::from(small.clone());
    let sources = [
        jpeg(&small),
        encoded(&pixels, ImageFormat::Png),
        encoded(&pixels, ImageFormat::WebP),
        encoded(&pixels.to_rgba16().into(), ImageFormat::Png),
        encoded(&pixels.to_luma8().into(), ImageFormat::Png),
    ];
    let mut random = Random::new(0x5eed);
    let mut settled = 0;
    for round in 0..ROUNDS {
        for source in &sources {
            let file = spoiled(source, &mut random);
            let answer = server.blur("", &file);
            let fine = matches!(answer.status, 200 | 400 | 413 | 415 | 422);
            assert!(
                fine,
                "round {round}: {} {}",
                answer.status,
                String::from_utf8_lossy(&answer.body)
            );
        }
        if round == ROUNDS / 4 {
            settled = server.memory();
        }
    }
    for file in oversized() {
        assert_eq!(server.blur("", &file).status, 413);
    }
    assert!(server.child.try_wait().unwrap().is_none());
    let grown = server.memory().saturating_sub(settled);
    assert!(grown < 24 << 20, "grew by {grown} bytes from {settled}");
    assert_eq!(server.blur("", &sources[0]).status, 200);
}

/// Whatever becomes of a process that decodes, its picture is answered, and so is the next one.
#[test]
fn broken_heics_are_answered_too() {
    if !has_heic() {
        return;
    }
    let mut server = Server::start(&["--detail", "fast"]);
    let sources: [&[u8]; 4] = [
        include_bytes!("formats/files/420.heic"),
        include_bytes!("formats/files/tiles.heic"),
        include_bytes!("formats/files/ten.heic"),
        include_bytes!("formats/files/alpha.heic"),
    ];
    let mut random = Random::new(0x4e1c);
    let mut refused = 0;
    for round in 0..ROUNDS_OF_HEIC {
        for source in &sources {
            let answer = server.blur("", &spoiled(source, &mut random));
            let said = String::from_utf8_lossy(&answer.body).into_owned();
            assert!(
                matches!(answer.status, 200 | 400 | 413 | 415 | 422),
                "round {round}: {said}"
            );
            refused += usize::from(answer.status == 422);
        }
    }
    assert!(refused > ROUNDS_OF_HEIC, "{refused}");
    assert!(server.child.try_wait().unwrap().is_none());
    assert_eq!(server.blur("", sources[0]).status, 200);
}

/// Cut off, with bytes flipped, with a stretch missing, doubled or overwritten.
fn spoiled(source: &[u8], random: &mut Random) -> Vec<u8> {
    let mut file = source.to_vec();
    let [from, to] = [random.below(file.len()), random.below(file.len())];
    let stretch = from.min(to)..from.max(to).min(from.min(to) + 64);
    match random.below(6) {
        0 => file.truncate(from),
        1 => drop(file.drain(stretch)),
        2 => {
            let copy = file[stretch.clone()].to_vec();
            file.splice(stretch.start..stretch.start, copy);
        }
        3 => file[stretch].fill(0xff),
        _ => {
            for _ in 0..=random.below(16) {
                // Most of what a decoder decides by lies at the front.
                let front = if random.below(2) == 0 {
                    file.len()
                } else {
                    file.len().min(700)
                };
                let index = random.below(front);
                file[index] ^= 1 << random.below(8);
            }
        }
    }
    file
}

/// Few bytes that promise many pixels.
fn oversized() -> [Vec<u8>; 3] {
    let mut frame = jpeg(&portrait());
    let at = frame.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    frame[at + 5..at + 9].fill(0xff);
    let mut png = encoded(&DynamicImage::new_rgb8(1, 1), ImageFormat::Png);
    png[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
    let mut webp = encoded(&DynamicImage::new_rgb8(1, 1), ImageFormat::WebP);
    webp[21..25].copy_from_slice(&[0xff, 0xff, 0xff, 0x0f]);
    [frame, png, webp]
}

const ROUNDS: usize = 240;
const ROUNDS_OF_HEIC: usize = 150;
