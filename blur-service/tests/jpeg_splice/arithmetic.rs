//! Files in arithmetic codes become one Huffman scan of the same coefficients: `libjpeg-turbo-rs` writes them with the
//! coefficients of a Huffman file, which `dct-io` reads.

use blur_service::{
    jpeg::{Jpeg, JpegError, Limits, Process},
    redact::{Look, Region},
};

use crate::{
    Random,
    coefficients::compare,
    pictures::{Colour, PLAIN, Recipe, SIZES, arithmetic, encode, encoded, position_of, recipes},
    redact,
    several::assert_same,
};

#[test]
fn an_arithmetic_file_has_the_coefficients_of_the_huffman_one() {
    for recipe in recipes() {
        for (width, height) in SIZES {
            let huffman = encoded(recipe, width, height);
            for (is_progressive, process) in [(false, Process::Arithmetic), (true, Process::ArithmeticProgressive)] {
                let what = format!("{recipe:?} {width} × {height}, progressive: {is_progressive}");
                let file = arithmetic(&huffman, is_progressive, recipe.restart_interval);
                assert_eq!(process_of(&file), process, "{what}");
                match in_one_scan(&file) {
                    Ok(whole) => assert_same(&whole, &huffman, &what),
                    Err(error) => panic!("{what}: {error}"),
                }
            }
        }
    }
}

#[test]
fn a_file_may_set_its_conditioning() {
    let huffman = include_bytes!("made/conditioning-huffman.jpg");
    for file in [
        &include_bytes!("made/conditioning-sequential.jpg")[..],
        include_bytes!("made/conditioning-progressive.jpg"),
    ] {
        assert_same(&in_one_scan(file).unwrap(), huffman, "other conditioning");
        let mut by_default = file.to_vec();
        let segment = position_of(file, 0xcc);
        by_default.drain(segment..segment + 2 + usize::from(file[segment + 3]));
        let by_default = in_one_scan(&by_default);
        assert!(by_default.is_err() || by_default.unwrap() != in_one_scan(file).unwrap());
    }
}

#[test]
fn what_was_arithmetic_is_spliced_like_any_other_file() {
    let region = Region {
        x: 40,
        y: 20,
        width: 50,
        height: 40,
    };
    let huffman = encoded(PLAIN, 160, 96);
    for is_progressive in [false, true] {
        let whole = in_one_scan(&arithmetic(&huffman, is_progressive, 0)).unwrap();
        for look in [Look::Solid, Look::Smooth, Look::Mosaic] {
            let output = redact(&whole, &[region], look, 3).unwrap();
            compare(&huffman, &output, &[region], look, "arithmetic");
        }
    }
}

#[test]
fn a_file_that_breaks_off_is_an_error_wherever_it_does() {
    let huffman = encoded(PLAIN, 160, 96);
    for is_progressive in [false, true] {
        let file = arithmetic(&huffman, is_progressive, 0);
        for end in (position_of(&file, 0xda)..file.len() - 1).step_by(7) {
            let error = in_one_scan(&file[..end]);
            assert!(
                matches!(error, Err(JpegError::Truncated { .. } | JpegError::Corrupt { .. })),
                "{end}: {error:?}"
            );
        }
    }
}

#[test]
fn one_that_breaks_off_before_its_end_mark_is_an_error_at_whatever_byte() {
    for (colour, sampling) in [(Colour::Grey, &[(1, 1)][..]), (PLAIN.colour, PLAIN.sampling)] {
        let recipe = Recipe {
            colour,
            sampling,
            ..PLAIN
        };
        let huffman = encoded(recipe, 96, 64);
        for (is_progressive, restarts) in [(false, 0), (true, 0), (false, 24)] {
            let file = arithmetic(&huffman, is_progressive, restarts);
            let passed: Vec<usize> = cuts(&file)
                .filter(|end| in_one_scan(&cut(&file, *end)).is_ok())
                .collect();
            // What is left over is an even ground by chance.
            assert!(
                passed.len() * 200 <= cuts(&file).count(),
                "{passed:?}, progressive: {is_progressive}, restarts: {restarts}"
            );
        }
    }
}

/// Wherever coded data can break off so that something of it is left, and more than a few blocks are gone, for which a few
/// zeros that an encoder left out may be enough; one that leaves out all of it means an even ground. Between two scans a file may end.
fn cuts(file: &[u8]) -> impl Iterator<Item = usize> {
    let is_marker = |at: &usize| file[*at] == 0xff && file[*at + 1] > 0 && !(0xd0..=0xd7).contains(&file[*at + 1]);
    let marker = move |from: usize| (from..file.len() - 1).find(is_marker).unwrap_or(file.len());
    let is_begun = |end: &usize| file[*end - 1] != 0xff && file[*end - 2] != 0xff;
    let scans = (0..file.len() - 1).filter(|at| file[*at..*at + 2] == [0xff, 0xda]);
    scans.flat_map(move |scan| {
        let from = scan + 2 + usize::from(file[scan + 3]);
        (from + 1..marker(from).saturating_sub(64)).filter(is_begun)
    })
}

fn cut(file: &[u8], end: usize) -> Vec<u8> {
    [&file[..end], &[0xff, 0xd9]].concat()
}

#[test]
fn a_ground_whose_bits_are_left_out_is_no_break() {
    let ink = |x: usize, y: usize| (x * 7 + y * 13) * (x ^ y) % 256;
    let page = |x: usize, y: usize| if y < 100 && x < 100 + y { ink(x, y) } else { 230 };
    let bars = |x: usize, y: usize| if (40..150).contains(&y) { ink(x, y) } else { 90 };
    for (what, level) in [
        ("page", &page as &dyn Fn(usize, usize) -> usize),
        ("bars", &bars),
        ("plain", &|_, _| 7),
    ] {
        for restarts in [0, 5] {
            let recipe = Recipe {
                colour: Colour::Grey,
                sampling: &[(1, 1)],
                ..PLAIN
            };
            let samples: Vec<u8> = (0..320 * 200).map(|at| level(at % 320, at / 320) as u8).collect();
            let huffman = encode(recipe, &samples, 320, 200);
            for is_progressive in [false, true] {
                let file = arithmetic(&huffman, is_progressive, restarts);
                assert!(in_one_scan(&file).is_ok(), "{what}, {restarts}, {is_progressive}");
            }
        }
    }
}

#[test]
fn wherever_a_picture_becomes_even_its_file_is_whole() {
    let mut random = Random::new(18);
    for round in 0..80 {
        let mut below = |limit: usize| random.below(limit);
        let (width, height) = (16 + below(200), 16 + below(150));
        let (right, bottom, level) = (below(width), below(height), below(256));
        let inked = |at: usize| at % width < right && at / width < bottom;
        let samples = (0..width * height).map(|at| {
            if inked(at) {
                (at * at / 7 % 251) as u8
            } else {
                level as u8
            }
        });
        let recipe = Recipe {
            colour: Colour::Grey,
            sampling: &[(1, 1)],
            ..PLAIN
        };
        let huffman = encode(recipe, &samples.collect::<Vec<_>>(), width as u16, height as u16);
        let file = arithmetic(&huffman, round % 2 == 0, (round % 3) as u16 * 5);
        assert!(
            in_one_scan(&file).is_ok(),
            "{width} × {height}, ink up to {right}, {bottom}, on {level}"
        );
    }
}

#[test]
fn the_work_can_be_stopped() {
    let file = arithmetic(&encoded(PLAIN, 160, 96), false, 0);
    let jpeg = Jpeg::parse(&file, &Limits::default()).unwrap();
    assert!(matches!(jpeg.in_one_scan(&|| false), Err(JpegError::Stopped)));
}

#[test]
fn a_few_bytes_do_not_become_a_large_file() {
    // One block after another the same, which the statistics learn by heart, but for the sign of each frequency, which
    // takes a bit: behind the end of the codes nothing can go on but an even ground.
    let is_first = |at: usize| (at / 64).is_multiple_of(8) && at.is_multiple_of(8);
    let samples: Vec<u8> = (0..64 * 64).map(|at| if is_first(at) { 255 } else { 0 }).collect();
    let recipe = Recipe {
        colour: Colour::Grey,
        sampling: &[(1, 1)],
        quality: 100,
        ..PLAIN
    };
    let mut file = arithmetic(&encode(recipe, &samples, 64, 64), false, 0);
    assert!(in_one_scan(&file).is_ok());
    let height = position_of(&file, 0xc9) + 5;
    file[height..height + 2].copy_from_slice(&60_000u16.to_be_bytes());
    assert!(matches!(in_one_scan(&file), Err(JpegError::Truncated { .. })));
}

fn in_one_scan(file: &[u8]) -> Result<Vec<u8>, JpegError> {
    Jpeg::parse(file, &Limits::default())?.in_one_scan(&|| true)
}

fn process_of(file: &[u8]) -> Process {
    Jpeg::parse(file, &Limits::default()).unwrap().frame().process
}
