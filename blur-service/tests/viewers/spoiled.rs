//! What viewers read although it is not quite right is read alike and named; what is damaged is refused, with the same
//! verdict on every road.

use blur_service::{
    codec::{Delay, Frame, FramesPlan, FramesWriter, Header, Output, Parts, frames},
    error::Error,
    geometry::Size,
    jpeg::Leniency,
    options::Profile,
};
use image::{ExtendedColorType, ImageEncoder, Rgb, RgbImage, Rgba, RgbaImage, codecs::png::PngEncoder};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use super::views;

#[test]
fn a_frame_of_a_motion_jpeg_has_the_tables_of_the_standard() {
    assert_read_alike(&without(&baseline(), HUFFMAN_TABLES), Leniency::StandardHuffmanTables);
}

#[test]
fn bytes_between_segments_are_passed_over() {
    for at in [QUANTISATION_TABLES, FRAME, SCAN].map(|marker| first(&baseline(), marker)) {
        let mut file = baseline();
        file.splice(at..at, *b"\x12\x34\0");
        assert_read_alike(&file, Leniency::StrayBytes);
    }
}

#[test]
fn components_of_one_name_are_told_by_their_order() {
    let mut file = baseline();
    let (frame, scan) = (first(&file, FRAME), first(&file, SCAN));
    for component in 0..3 {
        file[frame + 10 + 3 * component] = 7;
        file[scan + 5 + 2 * component] = 7;
    }
    assert_read_alike(&file, Leniency::RepeatedComponentNames);
}

#[test]
fn a_broken_table_that_nothing_uses_is_no_matter() {
    let mut file = baseline();
    let scan = first(&file, SCAN);
    // Three codes of one bit, as the fourth table.
    let mut table = vec![0xff, HUFFMAN_TABLES, 0, 22, 3, 3];
    table.extend([0; 15]);
    table.extend([0, 1, 2]);
    file.splice(scan..scan, table);
    assert_read_alike(&file, Leniency::BrokenHuffmanTable);
}

#[test]
fn a_broken_table_that_is_used_is_not_replaced_by_the_standards() {
    let mut file = baseline();
    let at = first(&file, HUFFMAN_TABLES) + 5;
    file[at..at + 16].copy_from_slice(&[3, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for profile in ROADS {
        assert!(matches!(views(&file, profile), Err(Error::BrokenPicture(_))));
    }
}

#[test]
fn a_step_of_nothing_leaves_nothing() {
    let mut file = baseline();
    let last = first(&file, QUANTISATION_TABLES) + 5 + 63;
    file[last] = 0;
    let both = ROADS.map(|profile| views(&file, profile).unwrap());
    assert_eq!(both[0], both[1]);
}

#[test]
fn a_png_may_lack_its_end_and_be_an_animation_of_one_frame() {
    let sound = png();
    let cut = &sound[..sound.len() - 12];
    assert_eq!(
        views(cut, Profile::Lossless).unwrap(),
        views(&sound, Profile::Lossless).unwrap()
    );
    assert_eq!(Header::read(cut).unwrap().leniencies, [Leniency::NoEnd]);
    assert!(matches!(
        views(&sound[..sound.len() - 40], Profile::Lossless),
        Err(Error::BrokenPicture(_))
    ));
    // What counts is how many there are.
    for (frames, leniency) in [
        (1u32, Leniency::SingleFrame),
        (2, Leniency::SingleFrame),
        (0, Leniency::WrongFrameCount),
    ] {
        let mut file = sound.clone();
        // Decoders that know no animations do not look at the sum of a chunk that they pass over.
        let control = [
            &8u32.to_be_bytes()[..],
            b"acTL",
            &frames.to_be_bytes(),
            &[0; 4],
            &[0; 4],
        ]
        .concat();
        file.splice(33..33, control);
        let header = Header::read(&file).unwrap();
        assert_eq!((header.parts, header.leniencies), (Parts::One, vec![leniency]));
    }
}

#[test]
fn an_animation_has_as_many_frames_as_there_are() {
    let frame = |level: u8| RgbaImage::from_pixel(6, 4, Rgba([level, 9, 200, 255]));
    let shown = [frame(10), frame(90), frame(250)];
    let sound = animation(&shown);
    let control = sound.windows(4).position(|kind| kind == b"acTL").unwrap();
    let telling = |told: u32| {
        let mut file = sound.clone();
        file[control + 4..control + 8].copy_from_slice(&told.to_be_bytes());
        let sum = checksum(&file[control..control + 12]);
        file[control + 12..control + 16].copy_from_slice(&sum.to_be_bytes());
        file
    };
    // Viewers take what tells of no possible number for no animation.
    for told in [0, 1 << 31] {
        let file = telling(told);
        let header = Header::read(&file).unwrap();
        assert_eq!(
            (header.parts, &header.leniencies[..]),
            (Parts::One, &[Leniency::WrongFrameCount][..])
        );
        let views = views(&file, Profile::Lossless).unwrap();
        let is_first = |view: &RgbImage| view.pixels().all(|pixel| *pixel == Rgb([10, 9, 200]));
        assert!(views.iter().all(is_first), "{told}");
    }
    for told in [1, 2, 4] {
        let file = telling(told);
        let header = Header::read(&file).unwrap();
        assert_eq!(
            (header.parts, &header.leniencies[..]),
            (Parts::Frames(3), &[Leniency::WrongFrameCount][..])
        );
        let mut reader = frames(&file, &header).unwrap();
        let read = std::iter::from_fn(|| reader.next().unwrap()).map(|frame| frame.pixels);
        assert_eq!(read.collect::<Vec<_>>(), shown, "{told}");
    }
}

#[test]
fn a_gif_without_colours_is_shown_in_levels_of_grey() {
    let mut file = Vec::new();
    let levels: Vec<u8> = (0..=255).collect();
    let palette: Vec<u8> = levels.iter().flat_map(|level| [*level; 3]).collect();
    let mut encoder = gif::Encoder::new(&mut file, 16, 16, &palette).unwrap();
    encoder
        .write_frame(&gif::Frame::from_indexed_pixels(16, 16, levels, None))
        .unwrap();
    drop(encoder);
    let mut without = file.clone();
    without.drain(13..13 + palette.len());
    without[10] &= 0x7f;
    assert_eq!(
        views(&without, Profile::Lossless).unwrap(),
        views(&file, Profile::Lossless).unwrap()
    );
    assert_eq!(Header::read(&without).unwrap().leniencies, [Leniency::NoPalette]);
    assert!(Header::read(&file).unwrap().leniencies.is_empty());
}

#[test]
fn colours_brighter_than_white_are_refused_with_the_reason() {
    for transfer in [16, 18] {
        let mut file = png();
        let data = [b'c', b'I', b'C', b'P', 9, transfer, 0, 1];
        let chunk = [&4u32.to_be_bytes()[..], &data, &checksum(&data).to_be_bytes()].concat();
        file.splice(33..33, chunk);
        let refused = views(&file, Profile::Lossless);
        assert!(matches!(refused, Err(Error::UnsupportedFormat(reason)) if reason.contains("HDR")));
    }
}

#[test]
fn a_jpeg_cut_off_is_refused_on_every_road_though_it_has_an_end_marker() {
    for file in [baseline(), progressive()] {
        let scan = first(&file, SCAN) + 14;
        for end in (scan..file.len() - 8).step_by(file.len() / 24) {
            let cut = [&file[..end], b"\xff\xd9"].concat();
            for profile in ROADS {
                let refused = views(&cut, profile);
                assert!(
                    matches!(refused, Err(Error::BrokenPicture(_))),
                    "{end} of {}: {profile}",
                    file.len()
                );
            }
        }
    }
}

#[test]
fn coded_data_left_over_is_noticed_on_every_road() {
    for file in [baseline(), progressive()] {
        let end = file.len() - 2;
        for (surplus, is_sound) in [
            (&b"\x55\xaa\x33"[..], false),
            (b"\0\0", true),
            (b"\xff\xff", true),
            (b"\x7f", false),
        ] {
            let longer = [&file[..end], surplus, &file[end..]].concat();
            for profile in ROADS {
                let read = views(&longer, profile);
                assert_eq!(read.is_ok(), is_sound, "{surplus:?} {profile}");
                assert!(matches!(read, Ok(_) | Err(Error::BrokenPicture(_))));
            }
        }
    }
}

#[test]
fn damage_gets_the_same_verdict_and_the_same_picture_on_every_road() {
    let mut random = 1u32;
    let mut below = |limit: usize| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) as usize % limit
    };
    let (mut read, mut refused) = (0, 0);
    for round in 0..300 {
        let mut file = if round % 2 == 0 { baseline() } else { progressive() };
        let scan = first(&file, SCAN) + 14;
        let at = scan + below(file.len() - scan);
        file[at] = below(255) as u8;
        let [kept, written] = ROADS.map(|profile| views(&file, profile));
        match (kept, written) {
            (Ok(kept), Ok(written)) => {
                assert_eq!(kept, written, "round {round}");
                read += 1;
            }
            (Err(kept), Err(written)) => {
                assert_eq!(kept.to_string(), written.to_string(), "round {round}");
                refused += 1;
            }
            (kept, written) => panic!("round {round}: {:?}, {:?}", kept.is_ok(), written.is_ok()),
        }
    }
    assert!(read > 10 && refused > 10, "{read} and {refused}");
}

/// Shown like the file without the fault, which is named.
fn assert_read_alike(file: &[u8], leniency: Leniency) {
    for profile in ROADS {
        assert_eq!(
            views(file, profile).unwrap(),
            views(&baseline(), profile).unwrap(),
            "{leniency:?} {profile}"
        );
    }
    assert_eq!(Header::read(file).unwrap().leniencies, [leniency]);
}

/// Where the first segment with this marker begins.
fn first(file: &[u8], marker: u8) -> usize {
    file.windows(2).position(|pair| pair == [0xff, marker]).unwrap()
}

/// Without any segment with this marker.
fn without(file: &[u8], marker: u8) -> Vec<u8> {
    let mut file = file.to_vec();
    let end = first(&file, SCAN);
    let mut at = 2;
    let mut left = end;
    while at < left {
        let length = 2 + usize::from(u16::from_be_bytes([file[at + 2], file[at + 3]]));
        if file[at + 1] == marker {
            file.drain(at..at + length);
            left -= length;
        } else {
            at += length;
        }
    }
    file
}

fn animation(shown: &[RgbaImage]) -> Vec<u8> {
    let (width, height) = shown[0].dimensions();
    let plan = FramesPlan {
        size: Size { width, height },
        frames: shown.len() as u32,
        plays: 1,
        profile: None,
    };
    let mut writer = FramesWriter::start(Output::Png, &plan).unwrap();
    for pixels in shown.iter().cloned() {
        let delay = Delay {
            ticks: 1,
            per_second: 10,
        };
        writer.add(Frame { pixels, delay }).unwrap();
    }
    writer.finish().unwrap()
}

fn baseline() -> Vec<u8> {
    jpeg(false)
}

fn progressive() -> Vec<u8> {
    jpeg(true)
}

fn jpeg(is_progressive: bool) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, 90);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder.set_progressive(is_progressive);
    encoder
        .encode(picture().as_raw(), SIDES.0 as u16, SIDES.1 as u16, ColorType::Rgb)
        .unwrap();
    file
}

fn png() -> Vec<u8> {
    let mut file = Vec::new();
    let encoder = PngEncoder::new(&mut file);
    encoder
        .write_image(picture().as_raw(), SIDES.0, SIDES.1, ExtendedColorType::Rgb8)
        .unwrap();
    file
}

fn picture() -> RgbImage {
    RgbImage::from_fn(SIDES.0, SIDES.1, |x, y| {
        Rgb([(x * 5) as u8, (y * 6) as u8, ((x * y) % 251) as u8])
    })
}

/// Of a PNG's chunk (annex D).
fn checksum(data: &[u8]) -> u32 {
    !data.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            sum >> 1 ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 }
        })
    })
}

const ROADS: [Profile; 2] = [Profile::Lossless, Profile::Reencode];
const SIDES: (u32, u32) = (50, 42);
const FRAME: u8 = 0xc0;
const HUFFMAN_TABLES: u8 = 0xc4;
const SCAN: u8 = 0xda;
const QUANTISATION_TABLES: u8 = 0xdb;
