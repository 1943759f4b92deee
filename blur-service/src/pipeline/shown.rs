//! What the detector is shown of a picture: for whoever compares it with what viewers show.

use std::cell::RefCell;

use image::RgbImage;

use super::{Eyes, GoOn, Task};
use crate::{
    codec::{Header, Wanted},
    detect::{Detail, Face, Photo, Sensitivity},
    error::Error,
    geometry::{Rect, Size},
    keep::Fields,
    marks::Marks,
    options::{Options, Profile, Search, Verify},
    redact::{Look, Noise, Shape},
};

/// All views of `file`, whose head is `header`, at full size, upright and in sRGB, on the road that `profile` leads to.
///
/// # Errors
/// Those of [`super::blur`].
pub fn shown(file: &[u8], header: &Header, profile: Profile, go_on: &GoOn) -> Result<Vec<RgbImage>, Error> {
    let witness = Witness::default();
    let options = Options {
        detect: Search::On,
        detail: Detail::Fast,
        sensitivity: Sensitivity::Normal,
        effect: Look::Smooth,
        animation_effect: Look::Solid,
        format: Wanted::Keep,
        quality: None,
        shape: Shape::Box,
        profile,
        margin: 1.0,
        verify: Some(Verify::Off),
        marks: Marks::NONE,
        keep: Fields::NONE,
        report: false,
    };
    Task::new(file, header, &options, &witness, go_on).blur(&Noise::repeatable(0))?;
    Ok(witness.0.into_inner())
}

/// Eyes that only remember.
#[derive(Default)]
struct Witness(RefCell<Vec<RgbImage>>);

impl Eyes for Witness {
    fn enough_px(&self, _: Size) -> u32 {
        u32::MAX
    }

    fn find(&self, photo: Photo) -> Result<Vec<Face>, Error> {
        self.0.borrow_mut().push(photo.pixels.clone());
        Ok(Vec::new())
    }

    fn find_again(&self, _: Photo, _: &[Rect]) -> Result<Vec<Face>, Error> {
        Ok(Vec::new())
    }
}
