//! Pixels to hide a face in.

use super::{
    Cells, Effect, Extent, Means,
    place::{Area, Blocks},
};

/// A picture's samples as they lie in memory, the channels of a pixel side by side. All places are those of the picture as
/// it was stored, however it has been turned since.
pub struct Canvas<'a, S> {
    pub samples: &'a mut [S],
    /// How many a pixel has.
    pub channels: usize,
    pub blocks: Blocks,
    pub steps: Steps,
}

/// Where pixels lie in memory: the first one, and how many pixels further the one to its right and the one below it are.
#[derive(Clone, Copy, Debug)]
pub struct Steps {
    pub first: isize,
    pub right: isize,
    pub down: isize,
}

impl<S: Sample> Canvas<'_, S> {
    /// Takes the means of the blocks of an area, but for those that are known: they may have been painted over.
    pub fn measure(&self, area: Area, means: &mut Means) {
        for y in area.top..area.bottom {
            for x in area.left..area.right {
                if means.of_block(0, x, y).is_none() {
                    means.put(x, y, self.mean(x, y));
                }
            }
        }
    }

    /// Replaces every sample of an area by what an effect makes of its cells, one for each channel.
    pub fn paint(&mut self, area: Area, cells: &[Cells], effect: &dyn Effect) {
        let region = self.blocks.region(area);
        let size = region.size();
        let block = (self.blocks.block.width as f32, self.blocks.block.height as f32);
        let mut patch = vec![0; size.pixels() as usize];
        for (channel, cells) in cells.iter().enumerate() {
            effect.paint(cells, Extent { size, block }, &mut patch);
            for (y, row) in (region.y..).zip(patch.chunks_exact(size.width as usize)) {
                for (x, value) in (region.x..).zip(row) {
                    let index = self.index(x, y) + channel;
                    self.samples[index] = S::painted(*value);
                }
            }
        }
    }

    fn mean(&self, x: u32, y: u32) -> [f64; 4] {
        let region = self.blocks.region(Area {
            left: x,
            top: y,
            right: x + 1,
            bottom: y + 1,
        });
        let mut sums = [0u64; 4];
        for y in region.y..region.y + region.height {
            for x in region.x..region.x + region.width {
                let pixel = &self.samples[self.index(x, y)..][..self.channels];
                for (sum, sample) in sums.iter_mut().zip(pixel) {
                    *sum += sample.value();
                }
            }
        }
        sums.map(|sum| sum as f64 / region.size().pixels() as f64 / S::SCALE)
    }

    #[inline(always)]
    fn index(&self, x: u32, y: u32) -> usize {
        let Steps { first, right, down } = self.steps;
        (first + x as isize * right + y as isize * down) as usize * self.channels
    }
}

/// A sample of 8 or 16 bits; what is painted has 8, which is more than the cells have.
pub trait Sample: Copy {
    fn value(self) -> u64;
    fn painted(value: u8) -> Self;
    /// What `value` is divided by to lie in 0 to 255.
    const SCALE: f64;
}

impl Sample for u8 {
    const SCALE: f64 = 1.0;

    fn value(self) -> u64 {
        u64::from(self)
    }

    fn painted(value: u8) -> Self {
        value
    }
}

impl Sample for u16 {
    const SCALE: f64 = 257.0;

    fn value(self) -> u64 {
        u64::from(self)
    }

    fn painted(value: u8) -> Self {
        u16::from(value) * 257
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        geometry::Size,
        redact::{Look, Noise, Region, Shape, Spot, Tone},
    };

    const ALL: [Look; 4] = [Look::Smooth, Look::Mosaic, Look::Gaussian, Look::Solid];
    const RGB: &[Tone] = &[Tone::Rgb; 3];

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
        hide(&mut samples, 40, RGB, region, Look::Solid);
        for (index, pixel) in samples.chunks_exact(3).enumerate() {
            let (x, y) = (index as u32 % 40, index as u32 / 40);
            let inside = (8..32).contains(&x) && (16..32).contains(&y);
            assert_eq!(pixel != [77; 3], inside, "at {x}, {y}");
        }
    }

    #[test]
    fn sixteen_bit_samples_show_no_more_than_eight_bits() {
        let mut samples: Vec<u16> = (0..64 * 64).map(|index| (index * 16) as u16).collect();
        hide(&mut samples, 64, &[Tone::Colour], WHOLE, Look::Smooth);
        assert!(samples.iter().all(|sample| sample % 257 == 0));
    }

    #[test]
    fn a_soft_look_fades_into_what_stands_around_it() {
        let bright = |x: u32, y: u32| {
            if (32..96).contains(&x) && (32..96).contains(&y) {
                10
            } else {
                250
            }
        };
        let mut samples: Vec<u8> = (0..128 * 128).map(|n| bright(n % 128, n / 128)).collect();
        let region = Region {
            x: 32,
            y: 32,
            width: 64,
            height: 64,
        };
        hide(&mut samples, 128, &[Tone::Colour], region, Look::Smooth);
        let row = &samples[64 * 128..][..128];
        assert!(row[32] > 245 && row[95] > 245 && row[64] < 240, "{row:?}");
        assert!(row[32..64].is_sorted_by(|a, b| a >= b), "{row:?}");
    }

    #[test]
    fn beside_an_ellipse_stands_nothing_but_what_is_around() {
        let framed = |look: Look, shape: Shape| {
            let level = |x: u32, y: u32| match (2 * x + 1).abs_diff(128).max((2 * y + 1).abs_diff(128)) {
                64..=80 => 250,
                _ => 10,
            };
            let mut samples: Vec<u8> = (0..128 * 128).map(|n| level(n % 128, n / 128)).collect();
            let region = Region {
                x: 32,
                y: 32,
                width: 64,
                height: 64,
            };
            hide_by(&mut samples, 128, &[Tone::Colour], region, look.shaped(shape));
            samples
        };
        for look in [Look::Smooth, Look::Gaussian] {
            let [whole, ellipse] = [Shape::Box, Shape::Ellipse].map(|shape| framed(look, shape));
            let [corner, middle] = [(40, 40), (64, 64)].map(|(x, y)| y * 128 + x);
            assert!(whole[corner] < 250 && ellipse[corner] == 250, "{look}");
            assert!(whole[middle] < 220 && ellipse[middle] < 220, "{look}");
        }
        assert_eq!(framed(Look::Mosaic, Shape::Box), framed(Look::Mosaic, Shape::Ellipse));
    }

    /// One region hidden by itself.
    fn hide<S: Sample>(samples: &mut [S], width: u32, tones: &[Tone], region: Region, look: Look) {
        hide_by(samples, width, tones, region, look.effect());
    }

    fn hide_by<S: Sample>(samples: &mut [S], width: u32, tones: &[Tone], region: Region, effect: &dyn Effect) {
        let height = samples.len() as u32 / width / tones.len() as u32;
        let blocks = Blocks {
            picture: Size::new(width, height),
            block: Size::new(8, 8),
        };
        let mut canvas = Canvas {
            samples,
            channels: tones.len(),
            blocks,
            steps: Steps {
                first: 0,
                right: 1,
                down: width as isize,
            },
        };
        let mut means = Means::unknown(blocks, tones.len());
        for place in blocks.places(&[Spot::from(region)], |region| blocks.around(region)) {
            canvas.measure(place.reach(blocks.count()), &mut means);
            let cells = means.cells(place, tones, &|_, _| false, &Noise::repeatable(1));
            canvas.paint(place.area, &cells, effect);
        }
    }

    fn hidden(look: Look, pixel: &dyn Fn(u32, u32) -> u8) -> Vec<u8> {
        let mut samples: Vec<u8> = (0..64 * 64)
            .flat_map(|index| [pixel(index % 64, index / 64); 3])
            .collect();
        hide(&mut samples, 64, RGB, WHOLE, look);
        samples
    }

    const WHOLE: Region = Region {
        x: 0,
        y: 0,
        width: 64,
        height: 64,
    };
}
