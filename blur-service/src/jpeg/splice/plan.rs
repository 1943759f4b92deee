//! What is hidden: areas, their cells, and the runs of units they cover.

use crate::{
    geometry::Rect,
    jpeg::{error::JpegError, scan::Scan, syntax::header::Jpeg},
    redact::{Area, Blocks, Cells, Noise, Place, Region, Spot, Tone},
};

/// All that the output may tell of the regions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub(super) areas: Vec<Hidden>,
    /// By growing unit, without overlap.
    pub(super) runs: Vec<Run>,
}

/// One area and the cells of every component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hidden {
    pub area: Area,
    pub cells: Vec<Cells>,
}

/// Units beside each other that one area hides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    pub first: u32,
    pub end: u32,
    /// Its place in [`Plan`].
    pub area: usize,
}

impl Plan {
    pub(super) fn new(
        jpeg: &Jpeg,
        scan: &Scan,
        spots: &[Spot],
        noise: &Noise,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Self, JpegError> {
        let limit = jpeg.limits.regions;
        if spots.len() > limit {
            return Err(JpegError::TooLarge {
                what: "regions",
                found: spots.len() as u64,
                limit: limit as u64,
            });
        }
        let blocks = jpeg.frame.blocks();
        let places = blocks.places(spots, |region| Area::around(region, &jpeg.frame));
        let owners = blocks.owners(&places);
        let is_hidden = |x: u32, y: u32| owners[(y * blocks.count().width + x) as usize].is_some();
        let tones = vec![Tone::Colour; jpeg.frame.components.len()];
        let count = blocks.count();
        let reaches = places.iter().map(|place| place.reach(count));
        // Where the places need the same blocks again and again, all are read once.
        let whole = if reaches.clone().map(Area::blocks).sum::<u64>() > count.pixels() {
            reaches.reduce(Area::union)
        } else {
            None
        };
        let of_whole = whole.map(|area| scan.means(jpeg, area, go_on)).transpose()?;
        let hidden = |place: &Place| {
            let cells = match &of_whole {
                Some(means) => means.cells(*place, &tones, &is_hidden, noise),
                None => scan
                    .means(jpeg, place.reach(count), go_on)?
                    .cells(*place, &tones, &is_hidden, noise),
            };
            Ok(Hidden {
                area: place.area,
                cells,
            })
        };
        Ok(Self {
            areas: places.iter().map(hidden).collect::<Result<_, JpegError>>()?,
            runs: runs(&owners, blocks),
        })
    }

    /// What is hidden, rounded outward to whole units, in pixels as stored.
    pub fn regions(&self, jpeg: &Jpeg) -> impl Iterator<Item = Region> {
        self.areas.iter().map(|hidden| jpeg.frame.blocks().region(hidden.area))
    }

    /// Shows nothing any more where `rect`, in pixels as stored, touches what is hidden; returns in how many areas that
    /// changed anything.
    pub fn blank(&mut self, jpeg: &Jpeg, rect: Rect) -> u32 {
        let mut changed = 0;
        for hidden in &mut self.areas {
            let is_touched = jpeg
                .frame
                .blocks()
                .region(hidden.area)
                .rect()
                .intersection(rect)
                .is_some();
            if is_touched && hidden.cells.iter().any(|cells| !cells.is_blank()) {
                hidden.cells.iter_mut().for_each(Cells::make_blank);
                changed += 1;
            }
        }
        changed
    }

    /// How many units of how many there are, as the standard counts them, are replaced.
    pub fn hidden_units(&self) -> u64 {
        self.runs.iter().map(|run| u64::from(run.end - run.first)).sum()
    }
}

/// The units that are hidden, row by row.
fn runs(owners: &[Option<usize>], blocks: Blocks) -> Vec<Run> {
    let width = blocks.count().width;
    let mut runs: Vec<Run> = Vec::new();
    for (unit, area) in (0..).zip(owners) {
        let Some(area) = *area else { continue };
        match runs.last_mut() {
            Some(run) if run.end == unit && run.area == area && unit % width != 0 => run.end += 1,
            _ => runs.push(Run {
                first: unit,
                end: unit + 1,
                area,
            }),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Size;

    #[test]
    fn overlapping_areas_share_no_unit() {
        let blocks = Blocks {
            picture: Size::new(80, 80),
            block: Size::new(8, 8),
        };
        let place = |x: u32, y: u32, width: u32, height: u32| {
            Spot::from(Region {
                x: x * 8,
                y: y * 8,
                width: width * 8,
                height: height * 8,
            })
        };
        let places = blocks.places(&[place(4, 1, 4, 2), place(2, 0, 3, 2)], |region| blocks.around(region));
        let runs = runs(&blocks.owners(&places), blocks);
        let told: Vec<(u32, u32, usize)> = runs.iter().map(|run| (run.first, run.end, run.area)).collect();
        assert_eq!(told, [(2, 5, 1), (12, 15, 1), (15, 18, 0), (24, 28, 0)]);
    }
}
