//! What the detector sees is what viewers show: one portrait in hundreds of forms (`tests/corpus/forms.py`), each beside
//! what Chromium and Pillow made of it. Where the two disagree it is Chromium that counts.

#![allow(clippy::unwrap_used)]

mod spoiled;

use base64::{Engine, engine::general_purpose::STANDARD};
use blur_service::{codec::Header, error::Error, options::Profile, pipeline::shown};
use image::RgbImage;
use serde::Deserialize;

#[derive(Deserialize)]
struct Form {
    name: String,
    file: String,
    chromium: Option<Cells>,
    pillow: Option<Cells>,
}

/// The mean colours of cells of [`CELL`] × [`CELL`] pixels.
#[derive(Deserialize)]
struct Cells {
    size: (u32, u32),
    cells: String,
}

#[test]
fn the_detector_sees_what_viewers_show_on_every_road() {
    let mut wrong = Vec::new();
    let mut compared = 0;
    for form in forms() {
        let file = STANDARD.decode(&form.file).unwrap();
        for profile in [Profile::Lossless, Profile::Reencode] {
            match (views(&file, profile), form.chromium.as_ref()) {
                (Ok(views), Some(expected)) => {
                    compared += 1;
                    let difference = views
                        .iter()
                        .map(|view| expected.difference(view))
                        .fold(f64::MAX, f64::min);
                    if difference > MOST_DIFFERENCE {
                        wrong.push(format!("{} {profile}: {difference:.1}", form.name));
                    }
                }
                (Err(error), Some(_)) => wrong.push(format!("{} {profile}: {error}", form.name)),
                (_, None) => {}
            }
        }
    }
    assert!(compared >= 400, "{compared}");
    assert!(wrong.is_empty(), "{} of {compared}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn pillow_shows_the_same_where_it_knows_how() {
    // It takes no notice of a PNG's own words on colour, and has another way from inks to light, and from an AVIF's alpha.
    let is_known = |name: &str| {
        !["gamma", "cicp", "inks", "rgb-in-grey", "avif-alpha"]
            .iter()
            .any(|word| name.contains(word))
    };
    let mut compared = 0;
    for form in forms().filter(|form| is_known(&form.name)) {
        let (Some(chromium), Some(pillow)) = (&form.chromium, &form.pillow) else {
            continue;
        };
        compared += 1;
        assert_eq!(chromium.size, pillow.size, "{}", form.name);
        let difference = mean_difference(&chromium.bytes(), &pillow.bytes());
        assert!(difference < MOST_DIFFERENCE, "{}: {difference}", form.name);
    }
    assert!(compared >= 200, "{compared}");
}

fn forms() -> impl Iterator<Item = Form> {
    include_str!("forms.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
}

fn views(file: &[u8], profile: Profile) -> Result<Vec<RgbImage>, Error> {
    let header = Header::read(file)?;
    shown(file, &header, profile, &|| true)
}

impl Cells {
    fn bytes(&self) -> Vec<u8> {
        let pairs = self.cells.as_bytes().as_chunks::<2>().0.iter();
        pairs
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    fn difference(&self, view: &RgbImage) -> f64 {
        if view.dimensions() != self.size {
            return f64::MAX;
        }
        let mut means = Vec::new();
        for (row, column) in (0..view.height() / CELL).flat_map(|y| (0..view.width() / CELL).map(move |x| (y, x))) {
            for channel in 0..3 {
                let places = (0..CELL).flat_map(|y| (0..CELL).map(move |x| (column * CELL + x, row * CELL + y)));
                let sum: u32 = places.map(|(x, y)| u32::from(view.get_pixel(x, y)[channel])).sum();
                means.push(((sum + CELL * CELL / 2) / (CELL * CELL)) as u8);
            }
        }
        mean_difference(&means, &self.bytes())
    }
}

fn mean_difference(one: &[u8], other: &[u8]) -> f64 {
    assert_eq!(one.len(), other.len());
    let sum: u64 = one
        .iter()
        .zip(other)
        .map(|(one, other)| u64::from(one.abs_diff(*other)))
        .sum();
    sum as f64 / one.len() as f64
}

const CELL: u32 = 4;
const MOST_DIFFERENCE: f64 = 3.0;
