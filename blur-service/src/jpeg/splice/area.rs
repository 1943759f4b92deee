//! A region as the splice hides it: whole units, and the cells that are all that may be known of it.

use std::ops::Range;

use crate::{
    geometry::Size,
    jpeg::{
        dct,
        entropy::coding::{Block, Coefficients},
        error::JpegError,
        scan::Scan,
        syntax::{frame::Frame, header::Jpeg},
    },
    redact::{Cells, Noise, Region, Tone, grid},
    vector::vectorized,
};

/// A rectangle of units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    pub left: u32,
    pub top: u32,
    pub right: u32,
    pub bottom: u32,
}

impl Area {
    /// The units that hold every sample a decoder may use for a pixel of `region`: a smooth ("fancy") enlargement of
    /// the chroma uses the samples beside a pixel's own as well. Nothing if the region lies outside of the picture.
    pub fn around(region: Region, frame: &Frame) -> Option<Self> {
        let (unit, units) = (frame.unit(), frame.units());
        let most = frame.most_factors();
        let all = (0..frame.components.len()).map(|component| frame.factors(component));
        let least = all.fold(most, |least, factors| (least.0.min(factors.0), least.1.min(factors.1)));
        let reach = |most: u32, least: u32| if most > least { most.div_ceil(least) } else { 0 };
        let (left, right) = span(
            region.x,
            region.width,
            frame.size.width,
            reach(most.0, least.0),
            unit.width,
            units.width,
        )?;
        let (top, bottom) = span(
            region.y,
            region.height,
            frame.size.height,
            reach(most.1, least.1),
            unit.height,
            units.height,
        )?;
        Some(Self {
            left,
            top,
            right,
            bottom,
        })
    }

    pub fn units(self) -> u64 {
        u64::from(self.right - self.left) * u64::from(self.bottom - self.top)
    }

    pub fn overlaps(self, other: Self) -> bool {
        self.left < other.right && other.left < self.right && self.top < other.bottom && other.top < self.bottom
    }

    pub fn union(self, other: Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }

    /// Its pixels that are part of the picture.
    pub fn region(self, frame: &Frame) -> Region {
        let unit = frame.unit();
        let (x, y) = (self.left * unit.width, self.top * unit.height);
        Region {
            x,
            y,
            width: (self.right * unit.width).min(frame.size.width) - x,
            height: (self.bottom * unit.height).min(frame.size.height) - y,
        }
    }

    /// The samples of a component in it that are part of the picture.
    pub fn samples(self, frame: &Frame, component: usize) -> Size {
        let (horizontal, vertical) = frame.factors(component);
        let all = frame.samples(component);
        Size {
            width: (self.right * 8 * horizontal).min(all.width) - self.left * 8 * horizontal,
            height: (self.bottom * 8 * vertical).min(all.height) - self.top * 8 * vertical,
        }
    }

    /// Where a block of a unit lies in it, in samples of its component.
    pub fn offset(self, frame: &Frame, unit: (u32, u32), block: &Block) -> (u32, u32) {
        let (horizontal, vertical) = frame.factors(block.component);
        (
            8 * ((unit.0 - self.left) * horizontal + block.x),
            8 * ((unit.1 - self.top) * vertical + block.y),
        )
    }

    /// The cells of every component.
    pub fn cells(
        self,
        jpeg: &Jpeg,
        scan: &Scan,
        noise: &mut Noise,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Vec<Cells>, JpegError> {
        let mut means: Vec<Means> = (0..jpeg.frame.components.len())
            .map(|component| Means::new(self, jpeg, component))
            .collect();
        for row in self.top..self.bottom {
            if !go_on() {
                return Err(JpegError::Stopped);
            }
            vectorized(
                #[inline(always)]
                || self.add_row(jpeg, scan, row, &mut means),
            )?;
        }
        means.into_iter().map(|means| means.cells(noise)).collect()
    }

    /// Adds what a row of units holds in it.
    #[inline(always)]
    fn add_row(self, jpeg: &Jpeg, scan: &Scan, row: u32, means: &mut [Means]) -> Result<(), JpegError> {
        let mut cursor = scan.cursor(jpeg, row * scan.coding.units.width + self.left)?;
        for column in self.left..self.right {
            cursor.begin_unit()?;
            for block in &scan.coding.blocks {
                let means = &mut means[block.component];
                let mut values = [0; 64];
                values[0] = cursor.read_dc(block)?;
                let place = means.place(self.offset(&jpeg.frame, (column, row), block));
                match place {
                    BlockPlace::InOneCell(_) | BlockPlace::Filling => cursor.read_ac::<0>(block, &mut values)?,
                    BlockPlace::Across { .. } => cursor.read_ac::<63>(block, &mut values)?,
                }
                means.add(place, &values);
            }
            cursor.end_unit()?;
        }
        Ok(())
    }
}

/// First and last unit of one side of a region.
fn span(start: u32, length: u32, limit: u32, reach: u32, unit: u32, units: u32) -> Option<(u32, u32)> {
    let end = start.saturating_add(length).min(limit);
    let first = start.saturating_sub(reach) / unit;
    let last = end.saturating_add(reach).div_ceil(unit).min(units);
    (start < end).then_some((first, last))
}

/// Where a block lies among the cells.
enum BlockPlace {
    /// It only fills up a unit at the edge of the picture.
    Filling,
    /// Its sum is its lowest frequency.
    InOneCell(usize),
    /// These columns and rows of samples count.
    Across { columns: Range<usize>, rows: Range<usize> },
}

/// Sums up the samples of one component, cell by cell.
struct Means {
    columns: usize,
    rows: usize,
    /// The cell's column or row of every sample.
    column_of: Vec<u8>,
    row_of: Vec<u8>,
    steps: [f32; 64],
    sums: Vec<f64>,
    counts: Vec<u32>,
}

impl Means {
    fn new(area: Area, jpeg: &Jpeg, component: usize) -> Self {
        let unit = jpeg.frame.unit();
        let all = jpeg.frame.size;
        let (columns, rows) = grid(Size {
            width: (area.right * unit.width).min(all.width) - area.left * unit.width,
            height: (area.bottom * unit.height).min(all.height) - area.top * unit.height,
        });
        let samples = area.samples(&jpeg.frame, component);
        Self {
            columns,
            rows,
            column_of: cell_of_each(samples.width, columns),
            row_of: cell_of_each(samples.height, rows),
            steps: jpeg.steps(component),
            sums: vec![0.0; columns * rows],
            counts: vec![0; columns * rows],
        }
    }

    #[inline(always)]
    fn place(&self, (x, y): (u32, u32)) -> BlockPlace {
        let (x, y) = (x as usize, y as usize);
        let columns = x..self.column_of.len().min(x + 8);
        let rows = y..self.row_of.len().min(y + 8);
        if columns.is_empty() || rows.is_empty() {
            return BlockPlace::Filling;
        }
        let cell = |column: usize, row: usize| {
            usize::from(self.row_of[row]) * self.columns + usize::from(self.column_of[column])
        };
        let first = cell(columns.start, rows.start);
        if columns.len() == 8 && rows.len() == 8 && first == cell(columns.end - 1, rows.end - 1) {
            return BlockPlace::InOneCell(first);
        }
        BlockPlace::Across { columns, rows }
    }

    #[inline(always)]
    fn add(&mut self, place: BlockPlace, values: &Coefficients) {
        match place {
            BlockPlace::Filling => {}
            BlockPlace::InOneCell(cell) => {
                self.sums[cell] += f64::from(values[0]) * f64::from(self.steps[0]) * 8.0;
                self.counts[cell] += 64;
            }
            BlockPlace::Across { columns, rows } => {
                let samples = dct::EIGHT.inverse(&dct::lowest(values, &self.steps));
                // Whole rows are added up as long as they belong to the same cells.
                let mut row_cells = self.row_of[rows].iter().zip(&samples).peekable();
                let mut sums = [0f32; 8];
                let mut height = 0;
                while let Some((row, samples)) = row_cells.next() {
                    sums.iter_mut().zip(samples).for_each(|(sum, sample)| *sum += sample);
                    height += 1;
                    if row_cells.peek().is_some_and(|(next, _)| *next == row) {
                        continue;
                    }
                    for (column, sum) in self.column_of[columns.clone()].iter().zip(sums) {
                        let cell = usize::from(*row) * self.columns + usize::from(*column);
                        self.sums[cell] += f64::from(sum);
                        self.counts[cell] += height;
                    }
                    (sums, height) = ([0.0; 8], 0);
                }
            }
        }
    }

    fn cells(self, noise: &mut Noise) -> Result<Cells, JpegError> {
        let mean = |(sum, count): (f64, u32)| (sum / f64::from(count.max(1)) + 128.0).clamp(0.0, 255.0) as f32;
        let means: Vec<f32> = self.sums.into_iter().zip(self.counts).map(mean).collect();
        Cells::new(self.columns, self.rows, &means, Tone::Colour, noise)
            .map_err(|error| JpegError::Noise(Box::new(error)))
    }
}

/// The cell of every sample along a side.
fn cell_of_each(length: u32, cells: usize) -> Vec<u8> {
    let edge = |cell: usize| length as usize * cell / cells;
    (0..cells)
        .flat_map(|cell| (edge(cell)..edge(cell + 1)).map(move |_| cell as u8))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jpeg::syntax::frame::{Component, Process};

    #[test]
    fn an_area_reaches_one_chroma_sample_beyond_its_region() {
        let frame = frame(&[(2, 2), (1, 1), (1, 1)]);
        let area = |x, width| {
            Area::around(
                Region {
                    x,
                    y: 0,
                    width,
                    height: 1,
                },
                &frame,
            )
            .map(|a| (a.left, a.right))
        };
        assert_eq!(area(16, 16), Some((0, 3)));
        assert_eq!(area(18, 12), Some((1, 2)));
        assert_eq!(area(99, 50), Some((6, 7)));
        assert_eq!(area(100, 50), None);
    }

    #[test]
    fn without_subsampling_an_area_is_just_whole_blocks() {
        let frame = frame(&[(1, 1), (1, 1), (1, 1)]);
        let area = Area::around(
            Region {
                x: 16,
                y: 8,
                width: 16,
                height: 9,
            },
            &frame,
        );
        assert_eq!(
            area,
            Some(Area {
                left: 2,
                top: 1,
                right: 4,
                bottom: 3
            })
        );
    }

    #[test]
    fn every_sample_belongs_to_a_cell() {
        assert_eq!(cell_of_each(5, 2), [0, 0, 1, 1, 1]);
        assert_eq!(cell_of_each(1000, 7).len(), 1000);
    }

    fn frame(factors: &[(u8, u8)]) -> Frame {
        let component = |(id, (horizontal, vertical)): (u8, &(u8, u8))| Component {
            id,
            horizontal: *horizontal,
            vertical: *vertical,
            quantisation: 0,
        };
        let components = (1..).zip(factors).map(component).collect();
        Frame {
            process: Process::Baseline,
            precision: 8,
            size: Size {
                width: 100,
                height: 100,
            },
            components,
        }
    }
}
