//! What is planted, and the search for it.

use image::imageops;
use jpeg_encoder::{ColorType, Encoder};

use crate::common::{Answer, Server, contains, portrait};

pub const MARKER: &[u8] = b"VEIL-PLANTED-MARKER-7f3a";

/// The face of the portrait as a small JPEG, with the marker in a segment.
pub fn face() -> Vec<u8> {
    let face = imageops::crop_imm(&portrait(), 170, 40, 128, 160).to_image();
    let small = imageops::resize(&face, 64, 80, imageops::FilterType::Triangle);
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, 80);
    encoder.add_app_segment(15, MARKER.to_vec()).unwrap();
    encoder.encode(&small, 64, 80, ColorType::Rgb).unwrap();
    file
}

/// Sends a picture with one face through both profiles, and looks for what was planted in it.
pub fn assert_clean(server: &Server, file: &[u8], place: &str) {
    assert!(
        traces().iter().any(|trace| contains(file, trace)),
        "{place}: nothing was planted"
    );
    for profile in ["lossless", "reencode"] {
        let place = format!("{place}, {profile}");
        let answer = server.blur(&format!("?profile={profile}"), file);
        assert_eq!(answer.status, 200, "{place}: {}", String::from_utf8_lossy(&answer.body));
        assert_eq!(answer.headers["x-faces"], "1", "{place}");
        assert_no_trace(&answer, &place);
    }
}

pub fn assert_no_trace(answer: &Answer, place: &str) {
    for trace in traces() {
        assert!(!contains(&answer.body, &trace), "{place} leaks");
        for (name, value) in &answer.headers {
            assert!(!contains(value.as_bytes(), &trace), "{place} leaks in {name}");
        }
    }
}

/// The marker in characters of 8 and 16 bits, and stretches of the face's coded data so long that chance cannot write them.
pub fn traces() -> Vec<Vec<u8>> {
    let wide = MARKER.iter().flat_map(|byte| [0, *byte]).collect();
    let face = face();
    let scan = face.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
    let stretches = face[scan + 14..].chunks_exact(32).map(<[u8]>::to_vec);
    [MARKER.to_vec(), wide].into_iter().chain(stretches).collect()
}
