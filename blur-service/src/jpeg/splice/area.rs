//! Hidden areas as the splice knows them: whole units, whose blocks lie in components of several samplings.

use crate::{
    geometry::Size,
    jpeg::{
        entropy::coding::Block,
        error::JpegError,
        scan::Scan,
        syntax::{frame::Frame, header::Jpeg},
    },
    redact::{Area, Blocks, Means, Region},
};

impl Frame {
    /// The picture in units.
    pub fn blocks(&self) -> Blocks {
        Blocks {
            picture: self.size,
            block: self.unit(),
        }
    }
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
}

impl Scan {
    /// What every component is on average in the units of an area, from their blocks' lowest coefficient.
    pub(super) fn means(&self, jpeg: &Jpeg, area: Area, go_on: &dyn Fn() -> bool) -> Result<Means, JpegError> {
        let mut sums: Vec<Sums> = (0..jpeg.frame.components.len())
            .map(|component| Sums::new(jpeg, component, area))
            .collect();
        for row in area.top..area.bottom {
            if !go_on() {
                return Err(JpegError::Stopped);
            }
            for column in area.left..area.right {
                let lowest = self.lowest(row * self.coding.units.width + column);
                for (block, value) in self.coding.blocks.iter().zip(lowest) {
                    sums[block.component].add((column, row), block, *value);
                }
            }
        }
        Ok(Means {
            part: area,
            channels: sums.into_iter().map(Sums::means).collect(),
            blocks: jpeg.frame.blocks(),
        })
    }
}

/// Sums up the blocks of one component, unit by unit.
struct Sums {
    area: Area,
    factors: (u32, u32),
    /// Samples of the component.
    samples: Size,
    /// What a coefficient of one adds to a block's mean.
    step: f64,
    /// Of every unit, and how many blocks.
    sums: Vec<(i64, u32)>,
}

impl Sums {
    fn new(jpeg: &Jpeg, component: usize, area: Area) -> Self {
        Self {
            area,
            factors: jpeg.frame.factors(component),
            samples: jpeg.frame.samples(component),
            step: f64::from(jpeg.steps(component)[0]) / 8.0,
            sums: vec![(0, 0); area.blocks() as usize],
        }
    }

    /// Blocks that only fill up a unit at the edge of the picture do not count.
    #[inline(always)]
    fn add(&mut self, (column, row): (u32, u32), block: &Block, value: i16) {
        let (x, y) = (column * self.factors.0 + block.x, row * self.factors.1 + block.y);
        if 8 * x < self.samples.width && 8 * y < self.samples.height {
            let unit = (row - self.area.top) * self.area.size().width + column - self.area.left;
            let (sum, count) = &mut self.sums[unit as usize];
            *sum += i64::from(value);
            *count += 1;
        }
    }

    fn means(self) -> Vec<f64> {
        let mean = |(sum, count): (i64, u32)| sum as f64 / f64::from(count.max(1)) * self.step + 128.0;
        self.sums.into_iter().map(|sum| mean(sum).clamp(0.0, 255.0)).collect()
    }
}

/// First and last unit of one side of a region.
fn span(start: u32, length: u32, limit: u32, reach: u32, unit: u32, units: u32) -> Option<(u32, u32)> {
    let end = start.saturating_add(length).min(limit);
    let first = start.saturating_sub(reach) / unit;
    let last = end.saturating_add(reach).div_ceil(unit).min(units);
    (start < end).then_some((first, last))
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
