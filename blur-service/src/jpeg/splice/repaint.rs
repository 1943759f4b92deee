//! Shows in a preview what will stand in the regions.

use image::RgbImage;

use super::{paint::Painter, plan::Run};
use crate::{
    jpeg::{
        entropy::coding::Coding,
        scan::{
            colour::Channels,
            preview::{Preview, Scale},
        },
        syntax::header::Jpeg,
    },
    vector::vectorized,
};

/// Shows in `image`, a preview of this scale, the new blocks of a run.
pub fn repaint(scale: Scale, image: &mut RgbImage, jpeg: &Jpeg, coding: &Coding, run: Run, painter: &mut Painter) {
    match scale {
        Scale::Eighth => repaint_with::<1>(image, jpeg, coding, run, painter),
        Scale::Quarter => repaint_with::<2>(image, jpeg, coding, run, painter),
        Scale::ThreeEighths => repaint_with::<3>(image, jpeg, coding, run, painter),
        Scale::Half => repaint_with::<4>(image, jpeg, coding, run, painter),
        Scale::FiveEighths => repaint_with::<5>(image, jpeg, coding, run, painter),
        Scale::Full => repaint_with::<8>(image, jpeg, coding, run, painter),
    }
}

fn repaint_with<const SIDE: usize>(
    image: &mut RgbImage,
    jpeg: &Jpeg,
    coding: &Coding,
    run: Run,
    painter: &mut Painter,
) {
    let (left, row) = coding.position(run.first);
    let mut preview = Preview::<SIDE>::new(jpeg, left, left + run.end - run.first, Channels::Rgb);
    vectorized(
        #[inline(always)]
        || {
            for unit in run.first..run.end {
                let (column, _) = coding.position(unit);
                for block in &coding.blocks {
                    preview.put(column, block, &painter.block(run.area, (column, row), block));
                }
            }
            preview.finish_row(row, image.dimensions(), image);
        },
    );
}
