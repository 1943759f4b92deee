//! Makes a region unrecognisable. Whatever is shown inside it is a function of its [`Cells`] alone.

mod cells;
mod gaussian;
mod mosaic;
mod region;
mod separable;
mod smooth;
mod solid;

use std::fmt;

use clap::ValueEnum;
use serde::Serialize;

use crate::{error::Error, geometry::Size};

pub use cells::{Cells, MAX_CELLS, Noise, Tone, grid, operating_system_noise};
pub use region::{Region, regions};

/// A look for hidden faces. It sees the cells of one channel and never a pixel.
pub trait Effect: Sync {
    /// Fills `patch`, row by row, `size.width * size.height` samples, from `cells`.
    fn paint(&self, cells: &Cells, size: Size, patch: &mut [u8]);
}

/// The looks there are. All of them hide equally much, but for `solid`, which shows nothing at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Look {
    Smooth,
    Mosaic,
    Gaussian,
    Solid,
}

impl Look {
    pub fn effect(self) -> &'static dyn Effect {
        match self {
            Self::Smooth => &smooth::Smooth,
            Self::Mosaic => &mosaic::Mosaic,
            Self::Gaussian => &gaussian::Gaussian,
            Self::Solid => &solid::Solid,
        }
    }

    /// Whether choosing `self` where `other` is set shows more of a face.
    pub fn is_weaker_than(self, other: Self) -> bool {
        other == Self::Solid && self != Self::Solid
    }
}

/// A picture's samples as they lie in memory: row by row, the channels of a pixel side by side.
pub struct Canvas<'a, S> {
    pub samples: &'a mut [S],
    pub width: u32,
    /// What each channel of a pixel is.
    pub channels: &'static [Tone],
}

/// A sample of 8 or 16 bits; what is painted has 8, which is more than the cells have.
pub trait Sample: Copy {
    fn value(self) -> u64;
    fn painted(value: u8) -> Self;
    /// What `value` is divided by to lie in 0 to 255.
    const SCALE: f32;
}

impl Sample for u8 {
    const SCALE: f32 = 1.0;

    fn value(self) -> u64 {
        u64::from(self)
    }

    fn painted(value: u8) -> Self {
        value
    }
}

impl Sample for u16 {
    const SCALE: f32 = 257.0;

    fn value(self) -> u64 {
        u64::from(self)
    }

    fn painted(value: u8) -> Self {
        u16::from(value) * 257
    }
}

impl<S: Sample> Canvas<'_, S> {
    /// Replaces every sample of `region`, which lies inside the picture.
    ///
    /// # Errors
    /// [`Error::Internal`] if the noise cannot be had; nothing is painted then.
    pub fn hide(&mut self, region: Region, effect: &dyn Effect, noise: &mut Noise) -> Result<(), Error> {
        let size = Size {
            width: region.width,
            height: region.height,
        };
        let (columns, rows) = grid(size);
        let means = self.cell_means(region, columns, rows);
        let mut patch = vec![0u8; (region.width * region.height) as usize];
        for (channel, tone) in self.channels.iter().enumerate() {
            let channel_means: Vec<f32> = means.iter().map(|cell| cell[channel]).collect();
            let cells = Cells::new(columns, rows, &channel_means, *tone, noise)?;
            effect.paint(&cells, size, &mut patch);
            self.write(region, channel, &patch);
        }
        Ok(())
    }

    /// The true mean, 0 to 255, of every cell and channel, cells row by row.
    fn cell_means(&self, region: Region, columns: usize, rows: usize) -> Vec<[f32; 4]> {
        let channels = self.channels.len();
        let xs = cells::edges(region.width, columns);
        let ys = cells::edges(region.height, rows);
        let mut means = Vec::with_capacity(columns * rows);
        for vertical in ys.windows(2) {
            let mut sums = vec![[0u64; 4]; columns];
            for y in vertical[0]..vertical[1] {
                let start = (region.y + y) as usize * self.width as usize + region.x as usize;
                let row = &self.samples[start * channels..][..region.width as usize * channels];
                for (sum, horizontal) in sums.iter_mut().zip(xs.windows(2)) {
                    let run = &row[horizontal[0] as usize * channels..horizontal[1] as usize * channels];
                    for pixel in run.chunks_exact(channels) {
                        for (total, sample) in sum.iter_mut().zip(pixel) {
                            *total += sample.value();
                        }
                    }
                }
            }
            means.extend(sums.iter().zip(xs.windows(2)).map(|(sum, horizontal)| {
                let count = (vertical[1] - vertical[0]) * (horizontal[1] - horizontal[0]);
                sum.map(|total| total as f32 / count as f32 / S::SCALE)
            }));
        }
        means
    }

    fn write(&mut self, region: Region, channel: usize, patch: &[u8]) {
        let channels = self.channels.len();
        for (y, painted) in patch.chunks_exact(region.width as usize).enumerate() {
            let start = (region.y as usize + y) * self.width as usize + region.x as usize;
            let row = &mut self.samples[start * channels..][..painted.len() * channels];
            for (pixel, value) in row.chunks_exact_mut(channels).zip(painted) {
                pixel[channel] = S::painted(*value);
            }
        }
    }
}

impl fmt::Display for Look {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Smooth => "smooth",
            Self::Mosaic => "mosaic",
            Self::Gaussian => "gaussian",
            Self::Solid => "solid",
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const ALL: [Look; 4] = [Look::Smooth, Look::Mosaic, Look::Gaussian, Look::Solid];
    const RGB: &[Tone] = &[Tone::Colour; 3];

    #[test]
    fn pictures_with_equal_cell_means_become_equal_under_every_effect() {
        for look in ALL {
            // Within every cell of 8 × 8 pixels the two hold the same samples in another order.
            let stripes = |x: u32, _y: u32| if x.is_multiple_of(2) { 40 } else { 200 };
            let checks = |x: u32, y: u32| if (x + y).is_multiple_of(2) { 40 } else { 200 };
            assert_eq!(hidden(look, &stripes), hidden(look, &checks), "{look}");
        }
    }

    #[test]
    fn solid_shows_the_same_whatever_is_beneath() {
        assert_eq!(
            hidden(Look::Solid, &|_, _| 0),
            hidden(Look::Solid, &|x, y| (x * y % 255) as u8)
        );
    }

    #[test]
    fn nothing_outside_the_region_changes() {
        let mut samples = vec![77u8; 40 * 40 * 3];
        let region = Region {
            x: 8,
            y: 16,
            width: 24,
            height: 16,
        };
        let mut canvas = Canvas {
            samples: &mut samples,
            width: 40,
            channels: RGB,
        };
        canvas.hide(region, Look::Solid.effect(), &mut zero_noise()).unwrap();
        for (index, pixel) in samples.chunks_exact(3).enumerate() {
            let (x, y) = (index as u32 % 40, index as u32 / 40);
            let inside = (8..32).contains(&x) && (16..32).contains(&y);
            assert_eq!(pixel != [77; 3], inside, "at {x}, {y}");
        }
    }

    #[test]
    fn sixteen_bit_samples_show_no_more_than_eight_bits() {
        let mut samples: Vec<u16> = (0..64 * 64).map(|index| (index * 16) as u16).collect();
        let mut canvas = Canvas {
            samples: &mut samples,
            width: 64,
            channels: &[Tone::Colour],
        };
        let region = Region {
            x: 0,
            y: 0,
            width: 64,
            height: 64,
        };
        canvas.hide(region, Look::Smooth.effect(), &mut zero_noise()).unwrap();
        assert!(samples.iter().all(|sample| sample % 257 == 0));
    }

    fn hidden(look: Look, pixel: &dyn Fn(u32, u32) -> u8) -> Vec<u8> {
        let mut samples: Vec<u8> = (0..64 * 64)
            .flat_map(|index| [pixel(index % 64, index / 64); 3])
            .collect();
        let mut canvas = Canvas {
            samples: &mut samples,
            width: 64,
            channels: RGB,
        };
        let mut state = 7u8;
        let mut noise = move |bytes: &mut [u8]| {
            bytes.iter_mut().for_each(|byte| {
                state = state.wrapping_mul(29).wrapping_add(11);
                *byte = state;
            });
            Ok(())
        };
        canvas
            .hide(
                Region {
                    x: 0,
                    y: 0,
                    width: 64,
                    height: 64,
                },
                look.effect(),
                &mut noise,
            )
            .unwrap();
        samples
    }

    fn zero_noise() -> impl FnMut(&mut [u8]) -> Result<(), getrandom::Error> {
        |bytes| {
            bytes.fill(0);
            Ok(())
        }
    }
}
