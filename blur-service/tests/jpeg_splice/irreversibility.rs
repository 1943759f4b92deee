//! Two pictures with the same cell means inside the face give the same bytes, whatever the faces were.

use blur_service::redact::{Look, Region};

use crate::{
    pictures::{PLAIN, Recipe, encode},
    redact,
};

const SIDE: u16 = 256;
/// Whole units of every sampling, and cells of whole chroma blocks.
const FACE: Region = Region {
    x: 68,
    y: 68,
    width: 120,
    height: 120,
};
const AREA: std::ops::Range<u32> = 64..192;

#[test]
fn faces_with_equal_cell_means_become_equal_files() {
    let looks = [Look::Smooth, Look::Mosaic, Look::Solid, Look::Gaussian];
    for sampling in [
        &[(1, 1), (1, 1), (1, 1)],
        &[(2, 1), (1, 1), (1, 1)],
        &[(1, 2), (1, 1), (1, 1)],
        &[(2, 2), (1, 1), (1, 1)],
    ] {
        for restart_interval in [0, 5] {
            let recipe = Recipe {
                sampling,
                restart_interval,
                ..PLAIN
            };
            let stripes = picture(recipe, |x, _| x % 2 == 0);
            let checks = picture(recipe, |x, y| (x + y) % 2 == 0);
            let bars = picture(recipe, |_, y| y % 4 < 2);
            assert_ne!(stripes, checks);
            for look in looks {
                let hidden = redact(&stripes, &[FACE], look, 11).unwrap();
                assert_eq!(
                    hidden,
                    redact(&checks, &[FACE], look, 11).unwrap(),
                    "{look} {sampling:?}"
                );
                assert_eq!(hidden, redact(&bars, &[FACE], look, 11).unwrap(), "{look} {sampling:?}");
            }
        }
    }
}

/// Background the same everywhere; in the face a fine pattern whose mean over every two by four pixels is the same.
fn picture(recipe: Recipe, is_bright: impl Fn(u32, u32) -> bool) -> Vec<u8> {
    let mut samples = Vec::new();
    for y in 0..u32::from(SIDE) {
        for x in 0..u32::from(SIDE) {
            let grey = match AREA.contains(&x) && AREA.contains(&y) {
                true if is_bright(x, y) => 140,
                true => 100,
                false => (x * 2 + y * 3) as u8,
            };
            samples.extend([grey; 3]);
        }
    }
    encode(recipe, &samples, SIDE, SIDE)
}
