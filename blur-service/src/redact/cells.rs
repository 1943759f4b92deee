//! The little that may be known of a hidden area: the means of its cells, quantised and noised, and what stands beside it
//! for all to see.
//!
//! After pixelation with noise (Fan 2018, "Image Pixelization with Differential Privacy").

use super::{
    noise::Noise,
    place::{Area, Blocks, Place},
    rim::Rim,
};

/// All that may be known of one channel of an area. Lengths and places are in blocks, from the area's upper left corner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cells {
    pub columns: usize,
    pub rows: usize,
    /// Row by row, `columns * rows` of them, 0 to 255.
    pub values: Vec<u8>,
    /// How far left of the area, and above it, the first cell begins.
    pub before: (u32, u32),
    /// Of a cell.
    pub size: (u32, u32),
    pub rim: Rim,
}

/// What the blocks of a part of a picture are on average, channel by channel.
pub struct Means {
    pub part: Area,
    /// 0 to 255, row by row; sums of whole numbers, so that their order does not matter.
    pub channels: Vec<Vec<f64>>,
    pub blocks: Blocks,
}

/// Means are rounded to multiples of this before the noise is added.
const STEP: f64 = 8.0;

/// Grey in every colour model: the middle of red, green and blue, and of brightness and both colour differences.
pub(super) const GREY: u8 = 128;

/// What a channel stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Colour,
    /// Three of them: red, green and blue. Their noise is that of brightness and colour differences, as JPEG has them, so
    /// that a picture written anew tells nothing beside one that keeps its blocks.
    Rgb,
    /// Fully clear and fully opaque cells stay so: noise there would be seen as a veil and hides nothing more.
    Alpha,
}

impl Means {
    /// Of a whole picture of which nothing is known.
    pub fn unknown(blocks: Blocks, channels: usize) -> Self {
        let count = blocks.count();
        Self {
            part: Area {
                left: 0,
                top: 0,
                right: count.width,
                bottom: count.height,
            },
            channels: vec![vec![f64::NAN; count.pixels() as usize]; channels],
            blocks,
        }
    }

    /// What a block is on average.
    pub fn put(&mut self, x: u32, y: u32, means: [f64; 4]) {
        if let Some(index) = self.index(x, y) {
            for (channel, mean) in self.channels.iter_mut().zip(means) {
                channel[index] = mean;
            }
        }
    }

    /// The cells of every channel of a place; `is_hidden` tells which blocks of the picture nobody gets to see.
    pub fn cells(
        &self,
        place: Place,
        tones: &[Tone],
        is_hidden: &dyn Fn(u32, u32) -> bool,
        noise: &Noise,
    ) -> Vec<Cells> {
        let whole = place.cells(self.blocks.count());
        let (columns, rows) = (
            whole.size().width.div_ceil(place.cell.width),
            whole.size().height.div_ceil(place.cell.height),
        );
        let mut values = vec![Vec::with_capacity((columns * rows) as usize); tones.len()];
        for row in 0..rows {
            for column in 0..columns {
                let (x, y) = (
                    whole.left + column * place.cell.width,
                    whole.top + row * place.cell.height,
                );
                let cell = Area {
                    left: x,
                    top: y,
                    right: (x + place.cell.width).min(whole.right),
                    bottom: (y + place.cell.height).min(whole.bottom),
                };
                let offsets = noise.of_cell(x, y, place.cell.width, place.cell.height);
                for (values, value) in values.iter_mut().zip(self.noised(cell, tones, offsets)) {
                    values.push(value);
                }
            }
        }
        let cells = values.into_iter().enumerate().map(|(channel, values)| Cells {
            columns: columns as usize,
            rows: rows as usize,
            values,
            before: (place.area.left - whole.left, place.area.top - whole.top),
            size: (place.cell.width, place.cell.height),
            rim: Rim::new(place, |x, y| self.of_block(channel, x, y).filter(|_| !is_hidden(x, y))),
        });
        cells.collect()
    }

    /// The mean of a block, if it is known.
    pub fn of_block(&self, channel: usize, x: u32, y: u32) -> Option<f64> {
        let mean = *self.channels.get(channel)?.get(self.index(x, y)?)?;
        (!mean.is_nan()).then_some(mean)
    }

    fn index(&self, x: u32, y: u32) -> Option<usize> {
        let Area {
            left,
            top,
            right,
            bottom,
        } = self.part;
        let is_inside = (left..right).contains(&x) && (top..bottom).contains(&y);
        is_inside.then(|| ((y - top) * (right - left) + x - left) as usize)
    }

    /// The true mean over an area.
    fn of_area(&self, channel: usize, area: Area) -> f64 {
        let (mut sum, mut pixels) = (0.0, 0u64);
        for y in area.top..area.bottom {
            for x in area.left..area.right {
                let weight = self.blocks.pixels(x, y);
                sum += self.of_block(channel, x, y).unwrap_or_default() * f64::from(weight);
                pixels += u64::from(weight);
            }
        }
        sum / pixels.max(1) as f64
    }

    fn noised(&self, cell: Area, tones: &[Tone], offsets: [u8; 4]) -> [u8; 4] {
        let mut means = [0.0; 4];
        for (channel, mean) in means.iter_mut().enumerate().take(tones.len()) {
            *mean = self.of_area(channel, cell);
        }
        let is_rgb = tones.starts_with(&[Tone::Rgb; 3]);
        if is_rgb {
            means = to_ycc(means);
        }
        let tone = |channel: usize| tones.get(channel).copied().unwrap_or(Tone::Colour);
        let noised: [f64; 4] = std::array::from_fn(|channel| noised(means[channel], offsets[channel], tone(channel)));
        let values = if is_rgb { to_rgb(noised) } else { noised };
        values.map(|value| value.round().clamp(0.0, 255.0) as u8)
    }
}

impl Cells {
    /// Grey all over, which every effect paints as such: they show nothing any more.
    pub fn make_blank(&mut self) {
        self.values.fill(GREY);
        self.rim = Rim::default();
    }

    pub fn is_blank(&self) -> bool {
        self.values.iter().all(|value| *value == GREY) && self.rim == Rim::default()
    }
}

/// Quantises a mean and adds noise of ±8.
fn noised(mean: f64, offset: u8, tone: Tone) -> f64 {
    let quantised = (mean / STEP).round() * STEP;
    if tone == Tone::Alpha && (quantised <= 0.0 || quantised >= 255.0) {
        return quantised.clamp(0.0, 255.0);
    }
    (quantised + f64::from(offset) - 7.5).round().clamp(0.0, 255.0)
}

/// JFIF's brightness and colour differences; a fourth channel stays.
fn to_ycc([r, g, b, other]: [f64; 4]) -> [f64; 4] {
    let y = 0.299 * r + 0.587 * g + 0.114 * b;
    [y, 128.0 + (b - y) / 1.772, 128.0 + (r - y) / 1.402, other]
}

fn to_rgb([y, cb, cr, other]: [f64; 4]) -> [f64; 4] {
    let (cb, cr) = (cb - 128.0, cr - 128.0);
    [
        y + 1.402 * cr,
        y - 0.344_136 * cb - 0.714_136 * cr,
        y + 1.772 * cb,
        other,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Size;

    #[test]
    fn noise_moves_a_cell_by_eight_at_most() {
        for offset in 0..16 {
            assert!((noised(128.0, offset, Tone::Colour) - 128.0).abs() <= 8.0);
        }
    }

    #[test]
    fn opaque_cells_stay_opaque() {
        assert_eq!(noised(255.0, 3, Tone::Alpha), 255.0);
        assert_eq!(noised(0.0, 12, Tone::Alpha), 0.0);
    }

    #[test]
    fn colours_find_their_way_back() {
        let back = to_rgb(to_ycc([200.0, 30.0, 77.0, 9.0]));
        assert!(
            back.iter()
                .zip([200.0, 30.0, 77.0, 9.0])
                .all(|(a, b)| (a - b).abs() < 0.01)
        );
    }

    #[test]
    fn a_cell_is_the_same_for_whatever_area_it_is_made() {
        let blocks = Blocks {
            picture: Size::new(160, 160),
            block: Size::new(8, 8),
        };
        let mut means = Means::unknown(blocks, 1);
        for (x, y) in (0..20).flat_map(|y| (0..20).map(move |x| (x, y))) {
            means.put(x, y, [f64::from(x * 37 % 200 + y), 0.0, 0.0, 0.0]);
        }
        let cells = |left, top, right, bottom| {
            let area = Area {
                left,
                top,
                right,
                bottom,
            };
            let cell = Size::new(4, 4);
            means
                .cells(
                    Place { area, cell },
                    &[Tone::Colour],
                    &|_, _| false,
                    &Noise::repeatable(3),
                )
                .remove(0)
        };
        let (small, large) = (cells(5, 5, 11, 11), cells(1, 2, 15, 19));
        assert_eq!((small.columns, small.rows, small.before), (2, 2, (1, 1)));
        assert_eq!((large.columns, large.rows, large.before), (4, 5, (1, 2)));
        assert_eq!(small.values[..2], large.values[5..7]);
        assert_eq!(small.values[2..], large.values[9..11]);
    }
}
