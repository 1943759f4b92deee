//! Paints cells as a soft surface: every pixel is a weighted mean of the cells, the weights being a product of one
//! kernel along each axis. What stands around is mixed in, all the more towards the border.

use super::{Cells, Extent, Shape, rim::Fade};
use crate::vector::{byte, vectorized};

/// How far a cell is seen.
#[derive(Clone, Copy)]
pub(super) struct Kernel {
    /// The weight at a distance from a cell's centre, in cells.
    pub weight: fn(f32) -> f32,
    /// The distance from which on it is zero, or might as well be.
    pub reach: f32,
}

/// Fills `patch` with the cells spread by `kernel`.
pub(super) fn paint(cells: &Cells, extent: Extent, patch: &mut [u8], kernel: Kernel, shape: Shape) {
    let along = |cells: usize, length: u32, block: f32, before: u32, size: u32| {
        let cell = size as f32 * block;
        let position = move |pixel: usize| (pixel as f32 + 0.5 + before as f32 * block) / cell - 0.5;
        spans(cells, length, position, kernel)
    };
    let (size, block) = (extent.size, extent.block);
    let horizontal = along(cells.columns, size.width, block.0, cells.before.0, cells.size.0);
    let vertical = along(cells.rows, size.height, block.1, cells.before.1, cells.size.1);
    let fade = cells.rim.fade(extent, shape);
    vectorized(
        #[inline(always)]
        || paint_rows(cells, size.width as usize, patch, &horizontal, &vertical, fade),
    );
}

#[inline(always)]
fn paint_rows(
    cells: &Cells,
    width: usize,
    patch: &mut [u8],
    horizontal: &[Span],
    vertical: &[Span],
    mut fade: Option<Fade>,
) {
    let mut row = vec![0f32; width];
    let mut levels = vec![0f32; cells.columns];
    for (y, painted) in patch.chunks_exact_mut(width).enumerate() {
        levels.fill(0.0);
        for (span, values) in vertical.iter().zip(cells.values.chunks_exact(cells.columns)) {
            let weight = span.at(y);
            if weight == 0.0 {
                continue;
            }
            for (level, value) in levels.iter_mut().zip(values) {
                *level += weight * f32::from(*value);
            }
        }
        row.fill(0.0);
        for (span, level) in horizontal.iter().zip(&levels) {
            for (sum, weight) in row[span.first..].iter_mut().zip(&span.weights) {
                *sum += level * weight;
            }
        }
        if let Some(fade) = &mut fade {
            fade.apply(y, &mut row);
        }
        for (sample, sum) in painted.iter_mut().zip(&row) {
            *sample = byte(*sum);
        }
    }
}

/// The pixels along a side that a cell is seen in.
struct Span {
    first: usize,
    weights: Vec<f32>,
}

impl Span {
    fn at(&self, pixel: usize) -> f32 {
        let weight = pixel.checked_sub(self.first).and_then(|index| self.weights.get(index));
        weight.copied().unwrap_or(0.0)
    }
}

/// The span of every cell along a side of `length` pixels, each at a `position` among the cells; the weights at a pixel sum
/// to one.
fn spans(cells: usize, length: u32, position: impl Fn(usize) -> f32, kernel: Kernel) -> Vec<Span> {
    let mut weights = vec![vec![0f32; length as usize]; cells];
    for pixel in 0..length as usize {
        let position = position(pixel);
        let (first, last) = (
            (position - kernel.reach).ceil() as i32,
            (position + kernel.reach).floor() as i32,
        );
        // The outermost cells go on beyond the edge, so that the surface does not bend towards the middle there.
        let nearest = |cell: i32| cell.clamp(0, cells as i32 - 1) as usize;
        let mut total = 0.0;
        for cell in first..=last {
            let weight = (kernel.weight)(position - cell as f32);
            weights[nearest(cell)][pixel] += weight;
            total += weight;
        }
        for row in &mut weights[nearest(first)..=nearest(last)] {
            row[pixel] /= total;
        }
    }
    weights.into_iter().map(trimmed).collect()
}

fn trimmed(weights: Vec<f32>) -> Span {
    let is_seen = |weight: &f32| *weight > 0.0;
    let first = weights.iter().position(is_seen).unwrap_or(0);
    let end = weights.iter().rposition(is_seen).map_or(0, |last| last + 1);
    Span {
        first,
        weights: weights.get(first..end).unwrap_or_default().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{geometry::Size, redact::rim::Rim};

    #[test]
    fn an_even_surface_stays_even() {
        let cells = Cells {
            columns: 3,
            rows: 2,
            values: vec![90; 6],
            before: (1, 0),
            size: (2, 2),
            rim: Rim::default(),
        };
        let mut patch = vec![0; 30 * 20];
        let tent = Kernel {
            weight: |distance| (1.0 - distance.abs()).max(0.0),
            reach: 1.0,
        };
        let extent = Extent {
            size: Size { width: 30, height: 20 },
            block: (6.0, 5.0),
        };
        paint(&cells, extent, &mut patch, tent, Shape::Box);
        assert!(patch.iter().all(|sample| *sample == 90));
    }
}
