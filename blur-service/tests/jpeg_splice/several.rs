//! Files in several scans become one scan of the same coefficients: an encoder makes them once baseline and once
//! progressive, and `dct-io` reads the baseline one.

use blur_service::{
    jpeg::{Jpeg, JpegError, Limits, Process, Unsupported},
    redact::{Look, Region},
};

use crate::{
    coefficients::compare,
    pictures::{Colour, PLAIN, Recipe, SIZES, encoded, position_of, progressive, recipes, with_segment},
    redact,
};

#[test]
fn a_progressive_file_has_the_coefficients_of_the_baseline_one() {
    for recipe in recipes() {
        for (width, height) in SIZES {
            let what = format!("{recipe:?} {width} × {height}");
            let file = progressive(recipe, width, height);
            let jpeg = Jpeg::parse(&file, &Limits::default()).unwrap();
            assert_eq!(jpeg.frame().process, Process::Progressive, "{what}");
            match jpeg.in_one_scan(&|| true) {
                Ok(whole) => assert_same(&whole, &encoded(recipe, width, height), &what),
                Err(error) => panic!("{what}: {error}"),
            }
        }
    }
}

/// Viewers would smooth what is there of it, and show what nobody has searched.
#[test]
fn a_file_whose_scans_are_not_all_there_is_cut_off() {
    let file = progressive(PLAIN, 160, 96);
    let scans: Vec<usize> = (0..file.len() - 1)
        .filter(|at| file[*at..].starts_with(&[0xff, 0xda]))
        .collect();
    assert!(scans.len() > 2);
    for behind in &scans[1..] {
        let cut = [&file[..*behind], &[0xff, 0xd9]].concat();
        let jpeg = Jpeg::parse(&cut, &Limits::default()).unwrap();
        let Err(error) = jpeg.in_one_scan(&|| true) else {
            panic!("cut at {behind}");
        };
        assert!(
            matches!(error, JpegError::Truncated { .. } | JpegError::Corrupt { .. }),
            "{error}"
        );
    }
}

#[test]
fn what_was_progressive_is_spliced_like_any_other_file() {
    let region = Region {
        x: 40,
        y: 20,
        width: 50,
        height: 40,
    };
    for look in [Look::Solid, Look::Smooth, Look::Mosaic] {
        let file = progressive(PLAIN, 160, 96);
        let whole = Jpeg::parse(&file, &Limits::default())
            .unwrap()
            .in_one_scan(&|| true)
            .unwrap();
        let output = redact(&whole, &[region], look, 3).unwrap();
        compare(&encoded(PLAIN, 160, 96), &output, &[region], look, "progressive");
    }
}

#[test]
fn a_scan_for_each_component_becomes_one_for_all() {
    let planes: Vec<Vec<u8>> = (0..3).map(|n| encoded(GREY, 131 + n, 75)).map(cropped).collect();
    let whole = Jpeg::parse(&one_scan_each(&planes), &Limits::default())
        .unwrap()
        .in_one_scan(&|| true)
        .unwrap();
    let read = dct_io::read_coefficients(&whole).unwrap();
    for (component, plane) in read.components.iter().zip(&planes) {
        let expected = dct_io::read_coefficients(plane).unwrap();
        assert_eq!(component.blocks, expected.components[0].blocks);
    }
}

#[test]
fn nothing_but_the_picture_is_carried_over() {
    let file = with_segment(&progressive(PLAIN, 64, 64), 0xfe, b"a marker");
    let file = [&file[..], b"a marker"].concat();
    let whole = Jpeg::parse(&file, &Limits::default())
        .unwrap()
        .in_one_scan(&|| true)
        .unwrap();
    assert!(!whole.windows(8).any(|window| window == b"a marker"));
}

#[test]
fn a_file_that_breaks_off_is_an_error_wherever_it_does() {
    let file = progressive(PLAIN, 160, 96);
    for end in (position_of(&file, 0xda)..file.len() - 1).step_by(7) {
        let error = Jpeg::parse(&file[..end], &Limits::default()).and_then(|jpeg| jpeg.in_one_scan(&|| true));
        assert!(
            matches!(error, Err(JpegError::Truncated { .. } | JpegError::Corrupt { .. })),
            "{end}: {error:?}"
        );
    }
}

#[test]
fn scans_are_counted_and_the_work_can_be_stopped() {
    let file = progressive(PLAIN, 160, 96);
    let limits = Limits {
        scans: 3,
        ..Limits::default()
    };
    assert!(matches!(
        Jpeg::parse(&file, &limits).unwrap().in_one_scan(&|| true),
        Err(JpegError::TooLarge { what: "scans", .. })
    ));
    assert!(matches!(
        Jpeg::parse(&file, &Limits::default()).unwrap().in_one_scan(&|| false),
        Err(JpegError::Stopped)
    ));
}

#[test]
fn quantisation_that_changes_between_scans_is_told_by_name() {
    let file = progressive(PLAIN, 64, 64);
    let first_scan = position_of(&file, 0xda);
    let second = first_scan + 2 + position_of(&file[first_scan + 2..], 0xda);
    let table = [&[0xff, 0xdb, 0, 67, 0][..], &[9; 64]].concat();
    let changed = [&file[..second], &table, &file[second..]].concat();
    assert!(matches!(
        Jpeg::parse(&changed, &Limits::default()).unwrap().in_one_scan(&|| true),
        Err(JpegError::Unsupported(Unsupported::LateTables))
    ));
}

const GREY: Recipe = Recipe {
    colour: Colour::Grey,
    sampling: &[(1, 1)],
    ..PLAIN
};

/// Grey files of slightly different widths have the same number of blocks; this makes them one size by their headers.
fn cropped(mut file: Vec<u8>) -> Vec<u8> {
    let frame = position_of(&file, 0xc0);
    file[frame + 7..frame + 9].copy_from_slice(&131u16.to_be_bytes());
    file
}

/// A file of three components with the scans of these grey ones behind each other.
fn one_scan_each(planes: &[Vec<u8>]) -> Vec<u8> {
    let segment = |file: &[u8], marker: u8| {
        let at = position_of(file, marker);
        file[at..at + 2 + usize::from(u16::from_be_bytes([file[at + 2], file[at + 3]]))].to_vec()
    };
    let mut file = vec![0xff, 0xd8];
    file.extend(segment(&planes[0], 0xdb));
    file.extend([
        0xff, 0xc0, 0, 17, 8, 0, 75, 0, 131, 3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0,
    ]);
    for (plane, id) in planes.iter().zip(1..) {
        let tables = position_of(plane, 0xc4);
        let scan = position_of(plane, 0xda);
        file.extend(&plane[tables..scan]);
        file.extend([0xff, 0xda, 0, 8, 1, id, 0, 0, 63, 0]);
        file.extend(&plane[scan + 10..plane.len() - 2]);
    }
    file.extend([0xff, 0xd9]);
    file
}

pub fn assert_same(one: &[u8], other: &[u8], what: &str) {
    let (one, other) = (
        dct_io::read_coefficients(one).unwrap(),
        dct_io::read_coefficients(other).unwrap(),
    );
    for (index, (one, other)) in one.components.iter().zip(&other.components).enumerate() {
        assert_eq!(one.blocks.len(), other.blocks.len(), "{what}");
        for (block, (one, other)) in one.blocks.iter().zip(&other.blocks).enumerate() {
            assert_eq!(one, other, "{what}: block {block} of component {index}");
        }
    }
    assert_eq!(one.components.len(), other.components.len(), "{what}");
}
