//! Run lengths of a BMP, of eight and four bits a pixel, as viewers draw them: what goes beyond a row or the picture is left
//! out, and what is stepped over is black. `image` refuses some that browsers show.

use image::{Rgb, RgbImage};

use crate::geometry::Size;

/// Where pixels are coded in runs, and how.
#[derive(Clone, Copy)]
pub struct Runs<'a> {
    pub data: &'a [u8],
    pub size: Size,
    /// Two pixels a byte.
    pub is_halved: bool,
    /// The first row is the highest one.
    pub is_upside_down: bool,
}

/// How the runs came to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Marked,
    /// All rows are there, and no mark behind them.
    Unmarked,
    /// Some pixels were none of the picture's.
    Broken,
    /// Rows are missing.
    Cut,
}

enum Run<'a> {
    Pixels { count: u32, values: Values<'a> },
    Step { x: u32, y: u32 },
    Row,
    End,
}

enum Values<'a> {
    Same(u8),
    Each(&'a [u8]),
}

impl Runs<'_> {
    pub fn check(&self) -> End {
        self.walk(|_, _, _| {})
    }

    /// The picture, in these colours.
    pub fn draw(&self, palette: &[[u8; 3]]) -> RgbImage {
        let Size { width, height } = self.size;
        let mut pixels = RgbImage::new(width, height);
        self.walk(|x, y, index| {
            let y = if self.is_upside_down { y } else { height - 1 - y };
            let colour = palette.get(usize::from(index)).copied().unwrap_or_default();
            pixels.put_pixel(x, y, Rgb(colour));
        });
        pixels
    }

    /// Tells column, row from where the data begins, and colour of every pixel.
    fn walk(&self, mut put: impl FnMut(u32, u32, u8)) -> End {
        let Size { width, height } = self.size;
        let (mut rest, mut x, mut y, mut is_broken) = (self.data, 0u32, 0u32, false);
        while let Some(run) = self.next(&mut rest) {
            match run {
                Run::Pixels { count, values } => {
                    let room = if y < height { width.saturating_sub(x) } else { 0 };
                    is_broken |= count > room;
                    (0..count.min(room)).for_each(|index| put(x + index, y, self.value(&values, index)));
                    x = x.saturating_add(count);
                }
                Run::Step { x: right, y: further } => (x, y) = (x.saturating_add(right), y.saturating_add(further)),
                Run::Row => (x, y) = (0, y.saturating_add(1)),
                Run::End if is_broken => return End::Broken,
                Run::End => return End::Marked,
            }
        }
        let is_whole = y >= height || y + 1 == height && x >= width;
        match (is_whole, is_broken) {
            (false, _) => End::Cut,
            (true, true) => End::Broken,
            (true, false) => End::Unmarked,
        }
    }

    /// Nothing where the data breaks off.
    fn next<'a>(&self, rest: &mut &'a [u8]) -> Option<Run<'a>> {
        let mut take = |count: usize| {
            let (taken, behind) = rest.split_at_checked(count)?;
            *rest = behind;
            Some(taken)
        };
        Some(match *take(2)? {
            [0, 0] => Run::Row,
            [0, 1] => Run::End,
            [0, 2] => match *take(2)? {
                [x, y] => Run::Step {
                    x: x.into(),
                    y: y.into(),
                },
                _ => return None,
            },
            [0, count] => {
                let bytes = if self.is_halved {
                    usize::from(count).div_ceil(2)
                } else {
                    count.into()
                };
                let values = Values::Each(take(bytes.next_multiple_of(2))?);
                Run::Pixels {
                    count: count.into(),
                    values,
                }
            }
            [count, value] => Run::Pixels {
                count: count.into(),
                values: Values::Same(value),
            },
            _ => return None,
        })
    }

    fn value(&self, values: &Values, index: u32) -> u8 {
        let byte = match *values {
            Values::Same(value) => value,
            Values::Each(values) => values[index as usize / if self.is_halved { 2 } else { 1 }],
        };
        match (self.is_halved, index % 2) {
            (false, _) => byte,
            (true, 0) => byte >> 4,
            (true, _) => byte & 15,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PALETTE: [[u8; 3]; 3] = [[9; 3], [1; 3], [2; 3]];

    #[test]
    fn runs_steps_and_rows_are_drawn_from_below_or_from_above() {
        // Two of colour 1; a row further, one step, then 2 and 1.
        let data = [2, 1, 0, 0, 0, 2, 1, 0, 0, 2, 0, 0, 1, 2, 1, 1, 0, 1];
        let [below, above] = [false, true].map(|is_upside_down| {
            let runs = Runs {
                is_upside_down,
                ..runs(&data)
            };
            (
                runs.check(),
                runs.draw(&PALETTE).pixels().map(|pixel| pixel[0]).collect::<Vec<_>>(),
            )
        });
        assert_eq!(below, (End::Marked, vec![0, 2, 1, 1, 1, 0]));
        assert_eq!(above, (End::Marked, vec![1, 1, 0, 0, 2, 1]));
    }

    #[test]
    fn what_goes_beyond_is_left_out_and_named() {
        let drawn = |data: &[u8], is_halved: bool| {
            let runs = Runs {
                is_halved,
                ..runs(data)
            };
            (
                runs.check(),
                runs.draw(&PALETTE).pixels().map(|pixel| pixel[0]).collect::<Vec<_>>(),
            )
        };
        let rows = vec![2, 2, 2, 1, 1, 1];
        assert_eq!(drawn(&[9, 1, 0, 0, 3, 2, 0, 1], false), (End::Broken, rows.clone()));
        assert_eq!(
            drawn(&[3, 1, 0, 0, 3, 2, 0, 0, 3, 1, 0, 1], false),
            (End::Broken, rows.clone())
        );
        assert_eq!(drawn(&[3, 1, 0, 0, 3, 2], false), (End::Unmarked, rows.clone()));
        assert_eq!(
            drawn(&[0, 3, 0x11, 0x10, 0, 0, 3, 0x22, 0, 1], true),
            (End::Marked, rows)
        );
        assert_eq!(drawn(&[3, 1, 0, 0, 2, 2], false).0, End::Cut);
        assert_eq!(drawn(&[3, 1, 0, 0, 0, 9, 1], false).0, End::Cut);
    }

    fn runs(data: &[u8]) -> Runs<'_> {
        Runs {
            data,
            size: Size { width: 3, height: 2 },
            is_halved: false,
            is_upside_down: false,
        }
    }
}
