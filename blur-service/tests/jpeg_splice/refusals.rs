//! What the splice does not handle is told by name, and broken files are told from those.

use blur_service::{
    jpeg::{Jpeg, JpegError, Limits, Process, Unsupported},
    redact::{Look, Region},
};
use libjpeg_turbo_rs::{Encoder, PixelFormat};

use crate::{
    pictures::{PLAIN, encoded, position_of},
    redact,
};

#[test]
fn a_progressive_file_is_read_but_not_spliced() {
    let samples = [90; 64 * 64 * 3];
    let file = Encoder::new(&samples, 64, 64, PixelFormat::Rgb)
        .progressive(true)
        .encode()
        .unwrap();
    let jpeg = Jpeg::parse(&file, &Limits::default()).unwrap();
    assert_eq!(jpeg.size().width, 64);
    assert_eq!(refusal(&file), Unsupported::Progressive);
}

#[test]
fn other_processes_are_told_by_name() {
    let plain = encoded(PLAIN, 64, 64);
    let frame = position_of(&plain, 0xc0);
    let changed = |at: usize, value: u8| {
        let mut file = plain.clone();
        file[at] = value;
        file
    };
    assert_eq!(refusal(&changed(frame + 1, 0xc3)), Unsupported::Lossless);
    assert_eq!(refusal(&changed(frame + 1, 0xcb)), Unsupported::Lossless);
    assert_eq!(refusal(&changed(frame + 1, 0xc9)), Unsupported::Arithmetic);
    assert_eq!(refusal(&changed(frame + 1, 0xca)), Unsupported::Arithmetic);
    assert_eq!(refusal(&changed(frame + 1, 0xc5)), Unsupported::Hierarchical);
    assert_eq!(refusal(&changed(frame + 1, 0xcd)), Unsupported::Hierarchical);
    let no_height = [&plain[..frame + 5], &[0, 0], &plain[frame + 7..]].concat();
    assert_eq!(refusal(&no_height), Unsupported::LateHeight);
    let second_scan = [&plain[..plain.len() - 2], &plain[position_of(&plain, 0xda)..]].concat();
    assert_eq!(refusal(&second_scan), Unsupported::MultipleScans);
}

#[test]
fn other_precisions_are_told_by_number() {
    let plain = encoded(PLAIN, 64, 64);
    let frame = position_of(&plain, 0xc0);
    for (marker, precision) in [(0xc0, 12), (0xc1, 10), (0xc1, 16), (0xc1, 255), (0xc1, 0)] {
        let mut file = plain.clone();
        (file[frame + 1], file[frame + 4]) = (marker, precision);
        assert_eq!(refusal(&file), Unsupported::Precision(precision));
    }
}

#[test]
fn extended_files_are_spliced_and_stay_extended() {
    let mut file = encoded(PLAIN, 64, 64);
    let frame = position_of(&file, 0xc0);
    file[frame + 1] = 0xc1;
    let output = redact(
        &file,
        &[Region {
            x: 8,
            y: 8,
            width: 20,
            height: 20,
        }],
        Look::Smooth,
        1,
    )
    .unwrap();
    assert_eq!(
        Jpeg::parse(&output, &Limits::default()).unwrap().frame().process,
        Process::ExtendedHuffman
    );
}

#[test]
fn a_missing_end_marker_is_written() {
    let file = encoded(PLAIN, 64, 64);
    let output = redact(&file[..file.len() - 2], &[], Look::Smooth, 1).unwrap();
    assert_eq!(output, redact(&file, &[], Look::Smooth, 1).unwrap());
}

#[test]
fn a_truncated_scan_is_an_error() {
    let file = encoded(PLAIN, 160, 96);
    let start = position_of(&file, 0xda) + 20;
    for end in (start..file.len() - 8).step_by(11) {
        let error = redact(&file[..end], &[], Look::Smooth, 1).unwrap_err();
        assert!(
            matches!(error, JpegError::Truncated { .. } | JpegError::Corrupt { .. }),
            "{end}: {error}"
        );
    }
}

#[test]
fn limits_are_kept() {
    let file = encoded(PLAIN, 160, 96);
    let parsed = |limits: Limits| Jpeg::parse(&file, &limits).map(|jpeg| jpeg.size());
    let limits = Limits::default();
    assert!(parsed(limits).is_ok());
    assert!(matches!(
        parsed(Limits { pixels: 1000, ..limits }),
        Err(JpegError::TooLarge { what: "pixels", .. })
    ));
    assert!(matches!(
        parsed(Limits { segments: 2, ..limits }),
        Err(JpegError::TooLarge { what: "segments", .. })
    ));
}

#[test]
fn work_stops_when_it_is_told_to() {
    let file = encoded(PLAIN, 160, 96);
    let jpeg = Jpeg::parse(&file, &Limits::default()).unwrap();
    assert!(matches!(jpeg.scan(None, &|| false), Err(JpegError::Stopped)));
}

fn refusal(file: &[u8]) -> Unsupported {
    match redact(file, &[], Look::Smooth, 1) {
        Err(JpegError::Unsupported(reason)) => reason,
        other => panic!("{other:?}"),
    }
}
