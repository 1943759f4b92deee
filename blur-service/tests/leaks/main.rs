//! What else can carry a face or a person: the twenty places of the list that this service was designed with. In each a
//! marker or a second picture is planted, which must not be found in the answer or about it. A format that is not read
//! must be refused by name and without an echo. Each place is a test of its own.

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod jpeg;
mod parts;
mod pixels;
mod planted;
mod png;
mod surroundings;
mod webp;

use std::{
    sync::{LazyLock, mpsc},
    thread,
};

use common::Server;

/// One for all: it keeps nothing of a picture, which is what is tested here. It dies with the thread that starts it, which
/// therefore stays.
fn server() -> &'static Server {
    static SERVER: LazyLock<Server> = LazyLock::new(|| {
        let (started, server) = mpsc::channel();
        thread::spawn(move || {
            started.send(Server::start(&["--detail", "fast"])).unwrap();
            loop {
                thread::park();
            }
        });
        server.recv().unwrap()
    });
    &SERVER
}

macro_rules! leaks {
    ($($name:ident: $check:expr;)*) => {
        $(
            #[test]
            fn $name() {
                $check(server());
            }
        )*
    };
}

leaks! {
    exif_with_thumbnail_place_artist_and_serial_numbers: jpeg::exif_tags;
    a_thumbnail_in_jfxx: jpeg::jfxx_thumbnail;
    a_thumbnail_of_photoshop: jpeg::photoshop_thumbnail;
    a_preview_in_a_maker_note: jpeg::maker_note;
    originals_in_xmp_and_extended_xmp: jpeg::xmp;
    the_second_picture_of_an_mpf_and_a_gain_map: jpeg::second_pictures;
    a_video_behind_the_picture: jpeg::video;
    any_tail_and_a_second_start: jpeg::tails;
    comments_and_unknown_segments: jpeg::unknown_segments;
    c2pa_manifests: manifests;
    private_data_in_a_colour_profile: jpeg::colour_profile;
    text_exif_and_private_chunks_of_a_png: png::chunks;
    data_behind_the_end_of_a_png_and_surplus_picture_data: png::surplus;
    colour_under_clear_alpha: pixels::clear_alpha;
    further_frames_comments_and_tails_of_animations: parts::animations;
    further_pages_and_tags_of_tiff: parts::pages;
    further_pictures_of_heic_and_avif: parts::auxiliary_pictures;
    the_still_beside_an_animated_png: parts::default_pictures;
    the_orientation: pixels::orientation;
    padding_in_partial_blocks: pixels::padding;
    headers_names_logs_files_and_core_dumps: surroundings::nothing_is_left;
    chunks_of_a_webp: webp::chunks;
    what_lies_beside_an_ellipse: pixels::beside_an_ellipse;
}

fn manifests(server: &Server) {
    jpeg::manifest(server);
    png::manifest(server);
    webp::manifest(server);
}
