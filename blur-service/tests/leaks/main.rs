//! What else can carry a face or a person: the twenty places of the list that this service was designed with. In each a
//! marker or a second picture is planted, which must not be found in the answer or about it. A format that is not read
//! must be refused by name and without an echo.

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod jpeg;
mod pixels;
mod planted;
mod png;
mod refused;
mod surroundings;
mod webp;

use std::{
    io::{self, Write},
    panic::{AssertUnwindSafe, catch_unwind},
};

use common::Server;

/// A leak, and what searches for it.
type Leak = (&'static str, fn(&Server));

const LIST: [Leak; 20] = [
    ("EXIF: thumbnail, place, artist, serial numbers", jpeg::exif_tags),
    ("JFXX thumbnail", jpeg::jfxx_thumbnail),
    ("Photoshop thumbnail", jpeg::photoshop_thumbnail),
    ("preview in a maker note", jpeg::maker_note),
    ("originals in XMP and extended XMP", jpeg::xmp),
    ("second picture of an MPF, gain map", jpeg::second_pictures),
    ("video behind the picture", jpeg::video),
    ("any tail, a second start", jpeg::tails),
    ("comments and unknown segments", jpeg::unknown_segments),
    ("C2PA manifests", manifests),
    ("private data in a colour profile", jpeg::colour_profile),
    ("PNG text, EXIF and private chunks", png::chunks),
    ("PNG data behind the end, surplus picture data", png::surplus),
    ("colour under clear alpha", pixels::clear_alpha),
    ("further frames, comments and tails of animations", refused::animations),
    ("further pages and sizes of TIFF and ICO", refused::pages),
    ("further pictures of HEIC and AVIF", refused::auxiliary_pictures),
    ("orientation", pixels::orientation),
    ("padding in partial blocks", pixels::padding),
    ("headers, names, logs, files, core dumps", surroundings::nothing_is_left),
];

#[test]
fn every_leak_of_the_list_is_closed() {
    let server = Server::start(&["--detail", "fast"]);
    let is_closed = |(number, (leak, check)): (usize, Leak)| {
        let is_closed = catch_unwind(AssertUnwindSafe(|| check(&server))).is_ok();
        println!("{number:2} {leak}: {}", if is_closed { "closed" } else { "OPEN" });
        is_closed
    };
    let closed = (1..).zip(LIST).filter(|leak| is_closed(*leak)).count();
    // Past the capture of libtest, which hides what a passing test prints.
    let _ = writeln!(io::stderr(), "\nleaks closed: {closed} of {}", LIST.len());
    assert_eq!(closed, LIST.len());
}

#[test]
fn nothing_planted_in_a_webp_comes_out() {
    webp::chunks(&Server::start(&["--detail", "fast"]));
}

fn manifests(server: &Server) {
    jpeg::manifest(server);
    png::manifest(server);
    webp::manifest(server);
}
