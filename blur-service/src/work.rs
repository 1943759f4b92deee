//! How much work a picture is going to make, by its head and what is wanted: roughly, before any of it is done.

use std::time::Duration;

use crate::{
    codec::{Coded, Format, Header, Wanted},
    detect::Detail,
    options::{Options, Profile, Search, Verify},
};

/// Time of one core. The figures are those of the README's table, rounded up.
pub fn expected(header: &Header, coded: Coded, options: &Options) -> Duration {
    let parts = f64::from(header.parts.count());
    let megapixels = header.pixels() as f64 / 1e6;
    let reads_and_writes = megapixels
        * (of_a_megapixel(header.format, coded.passes, options.profile) + of_a_written_megapixel(options.format));
    let looks = of_a_look(options.detail).min(LEAST_LOOK + megapixels / parts * OF_A_LOOKED_AT_MEGAPIXEL);
    let times = match (options.detect, options.verify()) {
        (Search::Off, _) => 0.0,
        (Search::On, Verify::Off) => 1.0,
        (Search::On, Verify::Regions) => 1.1,
        // A look that finds something is repeated.
        (Search::On, Verify::Whole) => 3.0,
    };
    Duration::from_secs_f64((reads_and_writes + times * looks * parts) / 1e3)
}

/// In milliseconds.
fn of_a_megapixel(format: Format, passes: u32, profile: Profile) -> f64 {
    match format {
        Format::Jpeg => {
            let reading = 6.0 + 2.0 * f64::from(passes.saturating_sub(1));
            reading + if profile == Profile::Reencode { 21.0 } else { 0.0 }
        }
        Format::Png => 20.0,
        Format::WebP | Format::Gif | Format::Tiff | Format::Bmp | Format::Avif | Format::Heic => 60.0,
    }
}

/// In milliseconds, besides.
fn of_a_written_megapixel(format: Wanted) -> f64 {
    match format {
        Wanted::Avif => 1200.0,
        _ => 0.0,
    }
}

/// In milliseconds, of a large picture.
fn of_a_look(detail: Detail) -> f64 {
    match detail {
        Detail::Fast => 10.0,
        Detail::Thorough => 250.0,
        Detail::Max => 900.0,
    }
}

const LEAST_LOOK: f64 = 70.0;
const OF_A_LOOKED_AT_MEGAPIXEL: f64 = 80.0;
