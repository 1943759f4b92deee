//! Whatever is planted in a file, beside the picture itself, is not found in the output.

use blur_service::{
    jpeg::{Jpeg, JpegError, Limits, Metadata},
    redact::{Look, Noise, Region},
};

use crate::{
    pictures::{PLAIN, Recipe, encoded, position_of, with_segment},
    redact, redact_with,
};

const SECRET: &[u8] = b"the-secret-face";
const FACE: Region = Region {
    x: 30,
    y: 30,
    width: 40,
    height: 40,
};

#[test]
fn no_segment_of_the_input_survives() {
    let plain = encoded(PLAIN, 160, 96);
    let prefixes: [(u8, &[u8]); 10] = [
        (0xfe, b""),                            // comment
        (0xe0, b"JFXX\0\x10"),                  // thumbnail
        (0xe1, b"Exif\0\0II*\0\x08\0\0\0\0\0"), // thumbnails, places, serial numbers, maker notes
        (0xe1, b"http://ns.adobe.com/xap/1.0/\0"),
        (0xe2, b"MPF\0"),                                // second pictures
        (0xe2, b"ICC_PROFILE\0\x01\x01"),                // private data in a profile
        (0xeb, b"JP\0\x01"),                             // C2PA manifests
        (0xed, b"Photoshop 3.0\08BIM\x04\x0c"),          // thumbnail
        (0xee, b"Adobe\0\x64\0\0\0\0\x01"),              // longer than it should be
        (0xe0, b"JFIF\0\x01\x01\0\0\x01\0\x01\x02\x02"), // thumbnail
    ];
    for (marker, prefix) in prefixes {
        let file = with_segment(&plain, marker, &[prefix, SECRET].concat());
        let output = redact(&file, &[FACE], Look::Smooth, 1).unwrap();
        assert!(!contains(&output, SECRET), "marker {marker:02x}, {prefix:?}");
    }
}

#[test]
fn nothing_behind_the_picture_survives() {
    let plain = encoded(PLAIN, 160, 96);
    let second = with_segment(&plain, 0xfe, SECRET);
    let without_end = &plain[..plain.len() - 2];
    let comment_behind_the_scan = [without_end, b"\xff\xfe\0\x11", SECRET, b"\xff\xd9"].concat();
    for file in [
        [&plain, SECRET].concat(),
        [plain.clone(), second].concat(),
        comment_behind_the_scan,
    ] {
        let output = redact(&file, &[FACE], Look::Smooth, 1).unwrap();
        assert!(!contains(&output, SECRET));
        assert_eq!(output, redact(&plain, &[FACE], Look::Smooth, 1).unwrap());
    }
}

#[test]
fn bytes_between_two_intervals_do_not_survive() {
    let recipe = Recipe {
        restart_interval: 4,
        ..PLAIN
    };
    let plain = encoded(recipe, 160, 96);
    let marker = position_of(&plain, 0xd0);
    let file = [&plain[..marker], SECRET, &plain[marker..]].concat();
    for regions in [&[][..], &[FACE]] {
        let output = redact(&file, regions, Look::Smooth, 1).unwrap();
        assert!(!contains(&output, SECRET));
        crate::coefficients::compare(&plain, &output, regions, Look::Smooth, "surplus");
    }
}

#[test]
fn bytes_behind_the_last_unit_do_not_survive() {
    let plain = encoded(PLAIN, 160, 96);
    let end = plain.len() - 2;
    let file = [&plain[..end], SECRET, &plain[end..]].concat();
    let output = redact(&file, &[], Look::Smooth, 1).unwrap();
    assert!(!contains(&output, SECRET));
}

#[test]
fn tables_that_nothing_uses_do_not_survive() {
    let body: Vec<u8> = [3].into_iter().chain(SECRET.iter().copied().cycle()).take(65).collect();
    let file = with_segment(&encoded(PLAIN, 160, 96), 0xdb, &body);
    let output = redact(&file, &[], Look::Smooth, 1).unwrap();
    assert!(!contains(&output, SECRET));
}

#[test]
fn orientation_and_the_given_profile_stay() {
    let exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let profile: Vec<u8> = (0..100_000u32).map(|n| (n % 251) as u8).collect();
    let mut file = with_segment(&encoded(PLAIN, 160, 96), 0xe1, exif);
    for (number, chunk) in (1..).zip(profile.chunks(60_000)) {
        file = with_segment(&file, 0xe2, &[&b"ICC_PROFILE\0"[..], &[number, 2], chunk].concat());
    }
    let jpeg = Jpeg::parse(&file, &Limits::default()).unwrap();
    assert_eq!(jpeg.orientation(), 6);
    assert_eq!(jpeg.icc().unwrap(), profile);
    let metadata = Metadata {
        orientation: 6,
        icc: Some(&profile),
    };
    let output = redact_with(&file, &[FACE], Look::Smooth, 1, &metadata).unwrap();
    let again = Jpeg::parse(&output, &Limits::default()).unwrap();
    assert_eq!((again.orientation(), again.icc().unwrap()), (6, profile));
}

#[test]
fn an_output_that_was_tampered_with_is_not_proven() {
    let file = encoded(PLAIN, 160, 96);
    let jpeg = Jpeg::parse(&file, &Limits::default()).unwrap();
    let scan = jpeg.scan(None, &|| true).unwrap();
    let plan = scan
        .plan(&jpeg, &[FACE.into()], &Noise::repeatable(1), &|| true)
        .unwrap();
    let (effect, metadata, go_on) = (Look::Smooth.effect(), Metadata::default(), || true);
    let output = scan.write(&jpeg, &plan, effect, &metadata, &go_on).unwrap();
    let prove = |file: &[u8]| scan.prove(&jpeg, &plan, effect, &metadata, file, &go_on);
    prove(&output).unwrap();
    assert!(matches!(prove(&file), Err(JpegError::Unproven(_))), "the input");
    assert!(
        matches!(prove(&[&output, SECRET].concat()), Err(JpegError::Unproven(_))),
        "a tail"
    );
    let with_comment = with_segment(&output, 0xfe, SECRET);
    assert!(matches!(prove(&with_comment), Err(JpegError::Unproven(_))), "a comment");
    let start = position_of(&output, 0xda) + 14;
    // The last byte before the end marker may hold nothing but padding.
    for at in (start..output.len() - 3).step_by(7) {
        let mut tampered = output.clone();
        tampered[at] ^= 0x10;
        assert!(prove(&tampered).is_err(), "byte {at}");
    }
}

fn contains(file: &[u8], what: &[u8]) -> bool {
    file.windows(what.len()).any(|window| window == what)
}
