//! GIF, animated PNG and animated WebP.

use blur_service::codec::Output;
use image::RgbaImage;

use crate::{
    common::Server,
    made::{SIDE, animation, clear, face, faces_in, in_few_colours, nobody, read, rgba},
};

const KINDS: [(Output, &str); 4] = [
    (Output::Gif, "image/gif"),
    (Output::Png, "image/png"),
    (Output::WebP { quality: None }, "image/webp"),
    (Output::WebP { quality: Some(85) }, "image/webp"),
];

#[test]
fn a_face_in_any_frame_is_hidden_in_it_and_about_it() {
    let server = Server::start(&["--detail", "fast"]);
    let (somebody, nobody) = (rgba(&in_few_colours(&face())), rgba(&in_few_colours(&nobody())));
    // Seen only for a moment, and so far from the ends that these keep what they showed.
    let shown: Vec<RgbaImage> = (0..20)
        .map(|index| if index == 10 { &somebody } else { &nobody })
        .cloned()
        .collect();
    for (kind, media_type) in KINDS {
        let answer = server.blur("", &animation(kind, &shown));
        assert_eq!(
            (answer.status, answer.headers["content-type"].as_str()),
            (200, media_type),
            "{kind:?}: {}",
            String::from_utf8_lossy(&answer.body)
        );
        assert_eq!(answer.headers["x-veil-path"], "animation");
        let (frames, delays, plays) = read(&answer.body);
        assert_eq!((frames.len(), plays), (shown.len(), 3), "{kind:?}");
        assert!(delays.iter().all(|delay| *delay == 80), "{kind:?}: {delays:?}");
        assert_eq!(faces_in(&server, &frames[10]), 0, "{kind:?}");
        for index in 0..20 {
            let is_hidden = frames[index].get_pixel(SIDE / 2, SIDE / 4).0[..3] == [128; 3];
            let is_lossy = matches!(kind, Output::WebP { quality: Some(_) });
            assert!(
                is_lossy || is_hidden == (3..=17).contains(&index),
                "{kind:?}: frame {index}"
            );
            let corner = (
                frames[index].get_pixel(2, SIDE - 3),
                shown[index].get_pixel(2, SIDE - 3),
            );
            assert!(is_lossy || corner.0 == corner.1, "{kind:?}: frame {index}: {corner:?}");
        }
    }
}

#[test]
fn frames_that_are_drawn_in_part_or_become_clear_are_hidden_as_they_are_shown() {
    let server = Server::start(&["--detail", "fast"]);
    let somebody = rgba(&in_few_colours(&face()));
    // The face comes in two halves, of which none is one, and goes again.
    let mut upper = RgbaImage::new(SIDE, SIDE);
    for (x, y, pixel) in somebody.enumerate_pixels().filter(|(_, y, _)| *y < 70) {
        upper.put_pixel(x, y, *pixel);
    }
    let shown = [upper, somebody, RgbaImage::new(SIDE, SIDE)];
    for (kind, _) in KINDS {
        let answer = server.blur("", &animation(kind, &shown));
        assert_eq!(answer.status, 200, "{kind:?}");
        let (frames, ..) = read(&answer.body);
        for frame in &frames {
            assert_eq!(faces_in(&server, frame), 0, "{kind:?}");
        }
        assert_eq!(*frames[2].get_pixel(2, SIDE - 3), clear(), "{kind:?}");
        assert_eq!(frames[1].get_pixel(2, SIDE - 3)[3], 255, "{kind:?}");
    }
}

#[test]
fn an_animation_becomes_another_one_and_never_a_still() {
    let server = Server::start(&["--detail", "fast"]);
    let (one, two) = (rgba(&in_few_colours(&nobody())), rgba(&in_few_colours(&face())));
    let file = animation(Output::Gif, &[one, two]);
    for (format, media_type) in [("png", "image/png"), ("webp", "image/webp")] {
        let answer = server.blur(&format!("?format={format}"), &file);
        assert_eq!(
            (answer.status, answer.headers["content-type"].as_str()),
            (200, media_type)
        );
        let (frames, delays, plays) = read(&answer.body);
        assert_eq!((frames.len(), delays.as_slice(), plays), (2, &[80, 80][..], 3));
    }
    for format in ["jpeg", "avif"] {
        let refused = server.blur(&format!("?format={format}"), &file);
        assert_eq!((refused.status, refused.code().as_str()), (415, "unsupported_format"));
    }
}

#[test]
fn one_frame_is_a_still() {
    let server = Server::start(&["--detail", "fast"]);
    let one = rgba(&in_few_colours(&face()));
    for (kind, media_type) in [(Output::Gif, "image/png"), (Output::Png, "image/png")] {
        let answer = server.blur("", &animation(kind, std::slice::from_ref(&one)));
        assert_eq!(
            (answer.status, answer.headers["x-faces"].as_str()),
            (200, "1"),
            "{kind:?}"
        );
        assert_eq!(answer.headers["content-type"], media_type);
        assert_eq!(answer.headers["x-veil-path"], "pixels");
    }
}

#[test]
fn frames_and_their_pixels_are_bounded_by_the_operator() {
    let pixels = (3 * SIDE * SIDE).to_string();
    let server = Server::start(&["--detail", "fast", "--max-frames", "3", "--max-frame-pixels", &pixels]);
    let shown: Vec<RgbaImage> = vec![rgba(&nobody()); 4];
    let of = |count: usize| server.blur("", &animation(Output::Png, &shown[..count]));
    assert_eq!(of(3).status, 200);
    assert_eq!((of(4).status, of(4).code().as_str()), (413, "too_many_parts"));
    let larger = RgbaImage::new(SIDE + 1, SIDE);
    let refused = server.blur("", &animation(Output::Png, &[larger.clone(), larger.clone(), larger]));
    assert_eq!((refused.status, refused.code().as_str()), (413, "too_many_pixels"));
}

#[test]
fn each_face_is_told_with_its_frame() {
    let server = Server::start(&["--detail", "fast"]);
    let (one, two) = (rgba(&in_few_colours(&nobody())), rgba(&in_few_colours(&face())));
    let found = server.detect("", &animation(Output::Png, &[one, two]));
    let parts: Vec<u64> = found["faces"]
        .as_array()
        .unwrap()
        .iter()
        .map(|face| face["part"].as_u64().unwrap())
        .collect();
    assert_eq!(parts, [1]);
}

#[test]
fn an_animation_that_breaks_off_is_refused() {
    let server = Server::start(&["--detail", "fast"]);
    let turned = |index: u32| RgbaImage::from_fn(SIDE, SIDE, |x, y| image::Rgba([(x * index) as u8, y as u8, 9, 255]));
    let shown: Vec<RgbaImage> = (1..4).map(turned).collect();
    for (kind, name) in KINDS {
        let file = animation(kind, &shown);
        assert_eq!(server.blur("", &file).status, 200, "{name}");
        for percent in [20, 40, 50, 60, 80, 95] {
            let answer = server.blur("", &file[..file.len() * percent / 100]);
            assert_eq!(answer.status, 422, "{name} at {percent} %");
        }
    }
}

#[test]
fn what_a_webp_clears_behind_a_frame_without_alpha_is_cleared_to_its_end() {
    let server = Server::start(&["--detail", "fast"]);
    let full = RgbaImage::from_pixel(SIDE, SIDE, image::Rgba([20, 120, 90, 255]));
    let changed = RgbaImage::from_fn(SIDE, SIDE, |x, y| match x < 64 && y < 64 {
        true => image::Rgba([200, 90, 30, 255]),
        false => *full.get_pixel(x, y),
    });
    let mut file = animation(Output::WebP { quality: Some(90) }, &[full, changed.clone(), changed]);
    let first = file.windows(4).position(|kind| kind == b"ANMF").unwrap();
    // Its flags, behind the chunk's head, place, sides and time: it is cleared.
    file[first + 8 + 15] |= 0b1;
    let (frames, _, _) = read(&server.blur("", &file).body);
    let clear = frames[1].pixels().filter(|pixel| pixel[3] == 0).count();
    assert_eq!(clear as u32, SIDE * SIDE - 64 * 64);
    assert_eq!(frames[1].get_pixel(20, 20)[3], 255);
}

#[test]
fn what_a_webp_leaves_clear_stays_clear_although_its_head_has_no_alpha() {
    let server = Server::start(&["--detail", "fast"]);
    let small = RgbaImage::from_fn(SIDE, SIDE, |x, y| match x < 64 && y < 64 {
        true => image::Rgba([200, 90, 30, 255]),
        false => clear(),
    });
    let full = RgbaImage::from_pixel(SIDE, SIDE, image::Rgba([20, 120, 90, 255]));
    let mut file = animation(Output::WebP { quality: None }, &[full.clone(), small, full]);
    // The flags of the extended header.
    file[20] &= !0b1_0000;
    let (frames, _, _) = read(&server.blur("", &file).body);
    assert_eq!(frames[1].get_pixel(200, 200)[3], 0);
    assert_eq!(frames[1].get_pixel(20, 20).0, [200, 90, 30, 255]);
}
