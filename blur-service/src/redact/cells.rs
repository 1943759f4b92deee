//! The little that may be known of a hidden region: the means of at most 8 × 8 cells, quantised and noised.
//!
//! After pixelation with noise (Fan 2018, "Image Pixelization with Differential Privacy").

use crate::{error::Error, geometry::Size};

/// All that may be known of one channel of a region: at most 8 × 8 numbers, the quantised and noised means of its cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cells {
    pub columns: usize,
    pub rows: usize,
    /// Row by row, `columns * rows` of them, 0 to 255.
    pub values: Vec<u8>,
}

/// Cells along the longer side of a region, at most.
pub const MAX_CELLS: usize = 8;

/// No cell is narrower than a JPEG block, so that a small face is not shown nearly whole.
const LEAST_CELL_PX: u32 = 8;

/// Means are rounded to multiples of this before the noise is added.
const STEP: f32 = 8.0;

/// Grey in every colour model: the middle of red, green and blue, and of brightness and both colour differences.
pub(super) const GREY: u8 = 128;

/// Fills bytes with noise that is stored nowhere; tests bring a repeatable one.
pub type Noise<'a> = dyn FnMut(&mut [u8]) -> Result<(), getrandom::Error> + 'a;

/// What a channel stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Colour,
    /// Fully clear and fully opaque cells stay so: noise there would be seen as a veil and hides nothing more.
    Alpha,
}

impl Cells {
    /// Quantises the true means of the cells, `columns * rows` of them, row by row, 0 to 255, and adds noise of ±8.
    ///
    /// # Errors
    /// [`Error::Internal`] if the noise cannot be had.
    pub fn new(columns: usize, rows: usize, means: &[f32], tone: Tone, noise: &mut Noise) -> Result<Self, Error> {
        let mut bytes = [0u8; MAX_CELLS * MAX_CELLS];
        noise(&mut bytes).map_err(Error::internal)?;
        let values = means
            .iter()
            .zip(bytes)
            .map(|(mean, byte)| noised(*mean, byte, tone))
            .collect();
        Ok(Self { columns, rows, values })
    }

    /// Grey all over, which every effect paints as such: they show nothing any more.
    pub fn make_blank(&mut self) {
        self.values.fill(GREY);
    }

    pub fn is_blank(&self) -> bool {
        self.values.iter().all(|value| *value == GREY)
    }
}

fn noised(mean: f32, byte: u8, tone: Tone) -> u8 {
    let quantised = (mean / STEP).round() * STEP;
    if tone == Tone::Alpha && (quantised <= 0.0 || quantised >= 255.0) {
        return quantised.clamp(0.0, 255.0) as u8;
    }
    let offset = f32::from(byte % 16) - 7.5;
    (quantised + offset).round().clamp(0.0, 255.0) as u8
}

/// Noise from the operating system's generator.
pub fn operating_system_noise(bytes: &mut [u8]) -> Result<(), getrandom::Error> {
    getrandom::fill(bytes)
}

/// How many columns and rows of cells a region of `size` gets: nearly square ones, 8 on the longer side at most.
pub fn grid(size: Size) -> (usize, usize) {
    let cell = size.long_side().div_ceil(MAX_CELLS as u32).max(LEAST_CELL_PX);
    let along = |side: u32| (side.div_ceil(cell) as usize).clamp(1, MAX_CELLS);
    (along(size.width), along(size.height))
}

/// Where `count` cells begin along a side of `length` pixels, and where the last one ends.
pub(super) fn edges(length: u32, count: usize) -> Vec<u32> {
    (0..=count)
        .map(|index| (u64::from(length) * index as u64 / count as u64) as u32)
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_long_region_has_eight_cells_on_its_longer_side() {
        assert_eq!(
            grid(Size {
                width: 1600,
                height: 400
            }),
            (8, 2)
        );
        assert_eq!(
            grid(Size {
                width: 400,
                height: 400
            }),
            (8, 8)
        );
    }

    #[test]
    fn a_small_region_has_fewer_cells_than_pixels_would_allow() {
        assert_eq!(grid(Size { width: 16, height: 24 }), (2, 3));
        assert_eq!(grid(Size { width: 1, height: 1 }), (1, 1));
    }

    #[test]
    fn noise_moves_a_cell_by_eight_at_most() {
        for byte in 0..=255 {
            assert!(noised(128.0, byte, Tone::Colour).abs_diff(128) <= 8);
        }
    }

    #[test]
    fn opaque_cells_stay_opaque() {
        let mut noise = |bytes: &mut [u8]| {
            bytes.fill(3);
            Ok(())
        };
        let cells = Cells::new(2, 1, &[255.0, 0.0], Tone::Alpha, &mut noise).unwrap();
        assert_eq!(cells.values, [255, 0]);
    }

    #[test]
    fn edges_cover_a_side_without_gaps() {
        assert_eq!(edges(10, 3), [0, 3, 6, 10]);
    }
}
