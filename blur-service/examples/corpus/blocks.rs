//! The coefficients of a file as `libjpeg-turbo-rs` reads them, and what may differ between two files.

use blur_service::redact::{Look, Region};
use libjpeg_turbo_rs::{ComponentCoefficients, JpegCoefficients, read_coefficients};

pub struct Blocks {
    pub read: JpegCoefficients,
}

impl Blocks {
    pub fn read(file: &[u8]) -> Result<Self, String> {
        let read = read_coefficients(file).map_err(|error| format!("the independent reader: {error}"))?;
        Ok(Self { read })
    }

    pub fn restart_interval(&self) -> u16 {
        self.read.restart_interval
    }

    /// Every block outside of `regions` must be that of `before`; every block inside has only what `look` may show.
    /// Returns how many there are.
    pub fn compare(&self, before: &Self, regions: &[Region], look: Look) -> Result<usize, String> {
        let unit = self.unit_px();
        // A decoder that smooths enlarged chroma mixes in the sample beside a pixel's own.
        let reach = self.most().map(|factor| if factor > 1 { factor } else { 0 });
        self.each_pair(before, |(column, row), old, new| {
            let (left, top) = (column * unit[0], row * unit[1]);
            let touched = |reach: [u32; 2]| {
                regions.iter().any(|region| {
                    left < region.x + region.width + reach[0]
                        && region.x < left + unit[0] + reach[0]
                        && top < region.y + region.height + reach[1]
                        && region.y < top + unit[1] + reach[1]
                })
            };
            if !touched(reach) && old != new {
                return Err("outside of the regions, has changed".into());
            }
            match look {
                _ if !touched([0, 0]) => Ok(()),
                Look::Solid if *new != [0; 64] => Err("inside a region, is not grey".into()),
                Look::Smooth | Look::Gaussian if !is_soft(new) => Err(format!("inside a region, is detailed: {new:?}")),
                _ => Ok(()),
            }
        })
    }

    /// Every block must be that of `before`, or too soft to show more than cells.
    pub fn kept_or_soft(&self, before: &Self) -> Result<usize, String> {
        self.each_pair(before, |_, old, new| {
            if old == new || is_soft(new) {
                Ok(())
            } else {
                Err(format!("is neither kept nor hidden: {new:?}"))
            }
        })
    }

    /// Calls `check` with the unit of each block, and the block in both files.
    fn each_pair(
        &self,
        before: &Self,
        check: impl Fn((u32, u32), &[i16; 64], &[i16; 64]) -> Result<(), String>,
    ) -> Result<usize, String> {
        let (old, new) = (&before.read, &self.read);
        let shape = |read: &JpegCoefficients| (read.width, read.height, read.components.len());
        if shape(old) != shape(new) {
            return Err("the frame has changed".into());
        }
        let mut count = 0;
        for (number, (old, new)) in old.components.iter().zip(&new.components).enumerate() {
            if old.blocks.len() != new.blocks.len() {
                return Err(format!("component {number} has another number of blocks"));
            }
            let [across, down] = self.factors(new);
            for (index, (old, new_block)) in old.blocks.iter().zip(&new.blocks).enumerate() {
                let (x, y) = ((index % new.blocks_x) as u32, (index / new.blocks_x) as u32);
                check((x / across, y / down), old, new_block)
                    .map_err(|what| format!("block {x}, {y} of component {number} {what}"))?;
                count += 1;
            }
        }
        Ok(count)
    }

    /// Blocks of a component in a unit, across and down.
    pub fn factors(&self, component: &ComponentCoefficients) -> [u32; 2] {
        match self.read.components.len() {
            1 => [1, 1],
            _ => [component.h_sampling.into(), component.v_sampling.into()],
        }
    }

    /// Of the component with most blocks.
    fn most(&self) -> [u32; 2] {
        let all = self.read.components.iter().map(|component| self.factors(component));
        all.fold([1, 1], |most, factors| {
            [most[0].max(factors[0]), most[1].max(factors[1])]
        })
    }

    pub fn unit_px(&self) -> [u32; 2] {
        self.most().map(|factor| 8 * factor)
    }
}

/// Whether a block, in zigzag order, has no more in the sixteen highest frequencies, across and down, than the rounding
/// of what is painted to whole levels leaves under the finest tables, and the bend of a slope as steep as the block's.
fn is_soft(block: &[i16; 64]) -> bool {
    let steepest = block[1..].iter().map(|value| value.abs()).max().unwrap_or(0);
    let limit = ROUNDING + steepest / STEEPNESS;
    HIGHEST.iter().all(|index| block[*index].abs() <= limit)
}

/// Zigzag indices of the lower right quarter of a block.
const HIGHEST: [usize; 16] = [39, 45, 46, 50, 51, 52, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63];

const ROUNDING: i16 = 2;
/// How much more a slope has in its own frequency than its bend has in the highest ones, at least.
const STEEPNESS: i16 = 128;
