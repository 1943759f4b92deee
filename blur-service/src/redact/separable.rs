//! Paints cells as a soft surface: every pixel is a weighted mean of the cells, the weights being a product of one
//! kernel along each axis.

use crate::{geometry::Size, redact::Cells};

/// Fills `patch` with the cells spread by `kernel`, a weight by the distance from a cell's centre in cells.
pub(super) fn paint(cells: &Cells, size: Size, patch: &mut [u8], kernel: fn(f32) -> f32) {
    let horizontal = weights(cells.columns, size.width, kernel);
    let vertical = weights(cells.rows, size.height, kernel);
    let mut row = vec![0f32; size.width as usize];
    for (y, painted) in patch.chunks_exact_mut(size.width as usize).enumerate() {
        // Rounds to nearest when the sum is cut to a byte.
        row.fill(0.5);
        for (column, weights) in horizontal.iter().enumerate() {
            let level: f32 = vertical
                .iter()
                .enumerate()
                .map(|(r, w)| w[y] * f32::from(cells.values[r * cells.columns + column]))
                .sum();
            for (sum, weight) in row.iter_mut().zip(weights) {
                *sum += level * weight;
            }
        }
        for (sample, sum) in painted.iter_mut().zip(&row) {
            *sample = *sum as u8;
        }
    }
}

/// For every cell its weight at every pixel of a side of `length` pixels; the weights at a pixel sum to one.
fn weights(cells: usize, length: u32, kernel: fn(f32) -> f32) -> Vec<Vec<f32>> {
    let mut weights = vec![vec![0f32; length as usize]; cells];
    for pixel in 0..length as usize {
        let position = (pixel as f32 + 0.5) * cells as f32 / length as f32 - 0.5;
        // The outermost cells go on beyond the edge, so that the surface does not bend towards the middle there.
        for cell in -BEYOND..cells as i32 + BEYOND {
            let nearest = cell.clamp(0, cells as i32 - 1) as usize;
            weights[nearest][pixel] += kernel(position - cell as f32);
        }
        let total: f32 = weights.iter().map(|row| row[pixel]).sum();
        weights.iter_mut().for_each(|row| row[pixel] /= total);
    }
    weights
}

/// How many cells the kernels reach.
const BEYOND: i32 = 4;

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
        paint(&cells, Size { width: 30, height: 20 }, &mut patch, |distance| {
            (1.0 - distance.abs()).max(0.0)
        });
        assert!(patch.iter().all(|sample| *sample == 90));
    }
}
