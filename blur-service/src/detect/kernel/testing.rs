//! Maps as plain as can be, to compare the kernels with.
#![allow(clippy::unwrap_used)]

use fearless_simd::Level;

use super::{
    Aligned, LANES, Picture, Rows, Shape, Stem, Step,
    step::{Made, RowsMut},
};

/// `[height, width, channels]`, of whole numbers so small that their sums are exact.
#[derive(Clone, Debug, PartialEq)]
pub struct Plain {
    pub shape: Shape,
    pub values: Vec<f32>,
}

impl Plain {
    pub fn new(height: usize, width: usize, channels: usize, value: impl Fn(usize, usize, usize) -> f32) -> Self {
        let shape = Shape {
            height,
            width,
            channels,
        };
        let value = &value;
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (y, x)));
        let values = pixels.flat_map(|(y, x)| (0..channels).map(move |channel| value(y, x, channel)));
        Self {
            shape,
            values: values.collect(),
        }
    }

    /// Something different everywhere.
    pub fn any(height: usize, width: usize, channels: usize) -> Self {
        Self::new(height, width, channels, |y, x, channel| {
            ((y * 31 + x * 17 + channel * 7 + y * x) % 13) as f32 - 5.0
        })
    }

    /// Zero beyond the edges.
    pub fn at(&self, y: isize, x: isize, channel: usize) -> f32 {
        let Shape {
            height,
            width,
            channels,
        } = self.shape;
        match (usize::try_from(y), usize::try_from(x)) {
            (Ok(y), Ok(x)) if y < height && x < width => self.values[(y * width + x) * channels + channel],
            _ => 0.0,
        }
    }

    pub fn stored(&self) -> Aligned {
        let mut stored = Aligned::zeros(self.shape.height * self.shape.row());
        for (y, row) in stored.chunks_exact_mut(self.shape.row()).enumerate() {
            for x in 0..self.shape.width {
                for channel in 0..self.shape.channels {
                    row[self.shape.place(x, channel)] = self.at(y as isize, x as isize, channel);
                }
            }
        }
        stored
    }

    /// Reads what a kernel wrote, and that it left zeros where nothing is.
    pub fn read(shape: Shape, stored: &[f32]) -> Self {
        let row = |y: usize| &stored[y * shape.row()..][..shape.row()];
        let plain = Self::new(shape.height, shape.width, shape.channels, |y, x, channel| {
            row(y)[shape.place(x, channel)]
        });
        assert!(plain.stored()[..] == *stored, "something beside the map of {shape:?}");
        plain
    }
}

/// What a step makes of a whole map.
pub fn run(step: impl Step, input: &Plain, added: Option<&Plain>) -> Plain {
    run_step(&step, input, added)
}

pub fn run_step(step: &dyn Step, input: &Plain, added: Option<&Plain>) -> Plain {
    let shape = Shape {
        height: step.scale().apply(input.shape.height),
        width: step.scale().apply(input.shape.width),
        channels: step.channels(),
    };
    let mut out = Aligned::zeros(shape.height * shape.row());
    let outside = vec![0.0; input.shape.row()];
    let (stored, more) = (input.stored(), added.map(Plain::stored));
    let (values, held) = (&mut out[..], shape.height);
    let beside = added
        .zip(more.as_deref())
        .map(|(added, stored)| rows(added.shape, stored));
    let made = RowsMut { shape, values, held };
    step.make_all(0..shape.height, rows(input.shape, &stored), beside, &outside, made);
    Plain::read(shape, &out)
}

/// What a stem makes of a whole picture.
pub fn run_stem(stem: &Stem, picture: Picture<'_>) -> Plain {
    let shape = stem.shape(picture.canvas);
    let mut out = Aligned::zeros(shape.height * shape.row());
    let mut room = stem.room(picture);
    for (y, row) in out.chunks_exact_mut(shape.row()).enumerate() {
        stem.make(y, picture, &mut room, Made { shape, row });
    }
    Plain::read(shape, &out)
}

fn rows(shape: Shape, values: &[f32]) -> Rows<'_> {
    let held = shape.height;
    Rows { shape, values, held }
}

/// Every kind of vectors that this machine has and the kernels tell apart.
pub fn levels() -> Vec<Level> {
    let best = Level::new();
    #[cfg(target_arch = "x86_64")]
    let more = [best.as_avx2().map(Level::Avx2), best.as_sse4_2().map(Level::Sse4_2)];
    #[cfg(not(target_arch = "x86_64"))]
    let more = [None];
    [Some(best), Some(Level::baseline())]
        .into_iter()
        .chain(more)
        .flatten()
        .collect()
}

/// Widths and numbers of channels around those at which the kernels do something else.
pub const WIDTHS: [usize; 9] = [1, 2, 3, 5, 8, 11, 13, 18, 27];
pub const CHANNELS: [usize; 8] = [1, 6, 8, 16, 24, 40, 64, 3 * LANES + 1];
