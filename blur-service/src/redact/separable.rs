//! Paints cells as a soft surface: every pixel is a weighted mean of the cells, the weights being a product of one
//! kernel along each axis.

use crate::{
    geometry::Size,
    redact::{Cells, MAX_CELLS},
    vector::{byte, vectorized},
};

/// How far a cell is seen.
#[derive(Clone, Copy)]
pub(super) struct Kernel {
    /// The weight at a distance from a cell's centre, in cells.
    pub weight: fn(f32) -> f32,
    /// The distance from which on it is zero, or might as well be.
    pub reach: f32,
}

/// Fills `patch` with the cells spread by `kernel`.
pub(super) fn paint(cells: &Cells, size: Size, patch: &mut [u8], kernel: Kernel) {
    let horizontal = spans(cells.columns, size.width, kernel);
    let vertical = spans(cells.rows, size.height, kernel);
    vectorized(
        #[inline(always)]
        || paint_rows(cells, size, patch, &horizontal, &vertical),
    );
}

#[inline(always)]
fn paint_rows(cells: &Cells, size: Size, patch: &mut [u8], horizontal: &[Span], vertical: &[Span]) {
    let mut row = vec![0f32; size.width as usize];
    for (y, painted) in patch.chunks_exact_mut(size.width as usize).enumerate() {
        let mut levels = [0f32; MAX_CELLS];
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
        for (span, level) in horizontal.iter().zip(levels) {
            for (sum, weight) in row[span.first..].iter_mut().zip(&span.weights) {
                *sum += level * weight;
            }
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

/// The span of every cell along a side of `length` pixels; the weights at a pixel sum to one.
fn spans(cells: usize, length: u32, kernel: Kernel) -> Vec<Span> {
    let mut weights = vec![vec![0f32; length as usize]; cells];
    for pixel in 0..length as usize {
        let position = (pixel as f32 + 0.5) * cells as f32 / length as f32 - 0.5;
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

    #[test]
    fn an_even_surface_stays_even() {
        let cells = Cells {
            columns: 3,
            rows: 2,
            values: vec![90; 6],
        };
        let mut patch = vec![0; 30 * 20];
        let tent = Kernel {
            weight: |distance| (1.0 - distance.abs()).max(0.0),
            reach: 1.0,
        };
        paint(&cells, Size { width: 30, height: 20 }, &mut patch, tent);
        assert!(patch.iter().all(|sample| *sample == 90));
    }
}
