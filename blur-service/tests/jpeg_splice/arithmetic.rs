//! Files in arithmetic codes become one Huffman scan of the same coefficients: `libjpeg-turbo-rs` writes them with the
//! coefficients of a Huffman file, which `dct-io` reads.

use blur_service::{
    jpeg::{Jpeg, JpegError, Limits, Process},
    redact::{Look, Region},
};

use crate::{
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
fn one_that_breaks_off_before_its_end_mark_is_an_error_too() {
    let huffman = encoded(PLAIN, 320, 192);
    let file = arithmetic(&huffman, false, 0);
    let scan = position_of(&file, 0xda) + 14;
    let (mut noticed, mut all) = (0, 0);
    for end in (scan + 100..file.len() - 200).step_by(37) {
        // A stuffed zero is not parted from its byte.
        let end = if file[end - 1] == 0xff { end - 1 } else { end };
        let cut = [&file[..end], &[0xff, 0xd9]].concat();
        noticed += u32::from(in_one_scan(&cut).is_err());
        all += 1;
    }
    assert!(noticed * 10 >= all * 9, "{noticed} of {all}");
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
fn the_work_can_be_stopped() {
    let file = arithmetic(&encoded(PLAIN, 160, 96), false, 0);
    let jpeg = Jpeg::parse(&file, &Limits::default()).unwrap();
    assert!(matches!(jpeg.in_one_scan(&|| false), Err(JpegError::Stopped)));
}

#[test]
fn a_few_bytes_do_not_become_a_large_file() {
    // One block after another the same, which the statistics learn by heart; behind the end of the codes it goes on so.
    // A single bright sample takes every frequency.
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
    match in_one_scan(&file) {
        Err(JpegError::TooLarge { found, limit, .. }) => assert!(limit < 1 << 20 && found > 10 * file.len() as u64),
        other => panic!("{} bytes: {:?}", file.len(), other.map(|whole| whole.len())),
    }
}

fn in_one_scan(file: &[u8]) -> Result<Vec<u8>, JpegError> {
    Jpeg::parse(file, &Limits::default())?.in_one_scan(&|| true)
}

fn process_of(file: &[u8]) -> Process {
    Jpeg::parse(file, &Limits::default()).unwrap().frame().process
}
