//! What is hidden: areas, their cells, and the runs of units they cover.

use super::area::Area;
use crate::{
    geometry::{Rect, Size},
    jpeg::{error::JpegError, scan::Scan, syntax::header::Jpeg},
    redact::{Cells, Noise, Region},
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
        regions: &[Region],
        noise: &mut Noise,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Self, JpegError> {
        let limit = jpeg.limits.regions;
        if regions.len() > limit {
            return Err(JpegError::TooLarge {
                what: "regions",
                found: regions.len() as u64,
                limit: limit as u64,
            });
        }
        let areas: Vec<Area> = regions
            .iter()
            .filter_map(|region| Area::around(*region, &jpeg.frame))
            .collect();
        let areas = bounded(areas, u64::from(scan.coding.total));
        let runs = runs(&areas, scan.coding.units);
        let hidden = |area: Area| {
            Ok(Hidden {
                area,
                cells: area.cells(jpeg, scan, noise, go_on)?,
            })
        };
        Ok(Self {
            areas: areas.into_iter().map(hidden).collect::<Result<_, JpegError>>()?,
            runs,
        })
    }

    /// What is hidden, rounded outward to whole units, in pixels as stored.
    pub fn regions(&self, jpeg: &Jpeg) -> impl Iterator<Item = Region> {
        self.areas.iter().map(|hidden| hidden.area.region(&jpeg.frame))
    }

    /// Shows nothing any more where `rect`, in pixels as stored, touches what is hidden; returns in how many areas that
    /// changed anything.
    pub fn blank(&mut self, jpeg: &Jpeg, rect: Rect) -> u32 {
        let mut changed = 0;
        for hidden in &mut self.areas {
            let is_touched = hidden.area.region(&jpeg.frame).rect().intersection(rect).is_some();
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

/// The areas, or fewer and larger ones where they lie upon each other so much that the work would not stay linear.
fn bounded(areas: Vec<Area>, picture: u64) -> Vec<Area> {
    if areas.iter().map(|area| area.units()).sum::<u64>() <= 2 * picture {
        return areas;
    }
    let mut merged: Vec<Area> = Vec::new();
    for mut area in areas {
        while let Some(index) = merged.iter().position(|other| other.overlaps(area)) {
            area = area.union(merged.swap_remove(index));
        }
        merged.push(area);
    }
    merged
}

/// The units of all areas, row by row; where two areas lie upon each other, the one further left hides.
fn runs(areas: &[Area], units: Size) -> Vec<Run> {
    let mut order: Vec<usize> = (0..areas.len()).collect();
    order.sort_by_key(|index| areas[*index].left);
    let mut runs = Vec::new();
    for row in 0..units.height {
        let mut reached = 0;
        for index in &order {
            let area = areas[*index];
            let first = area.left.max(reached);
            if (area.top..area.bottom).contains(&row) && first < area.right {
                let start = row * units.width;
                runs.push(Run {
                    first: start + first,
                    end: start + area.right,
                    area: *index,
                });
                reached = area.right;
            }
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNITS: Size = Size { width: 10, height: 10 };

    #[test]
    fn overlapping_areas_share_no_unit() {
        let areas = [
            Area {
                left: 4,
                top: 1,
                right: 8,
                bottom: 3,
            },
            Area {
                left: 2,
                top: 0,
                right: 5,
                bottom: 2,
            },
        ];
        let runs = runs(&areas, UNITS);
        let told: Vec<(u32, u32, usize)> = runs.iter().map(|run| (run.first, run.end, run.area)).collect();
        assert_eq!(told, [(2, 5, 1), (12, 15, 1), (15, 18, 0), (24, 28, 0)]);
    }

    #[test]
    fn areas_become_one_only_where_they_cover_the_picture_many_times() {
        let area = Area {
            left: 0,
            top: 0,
            right: 9,
            bottom: 9,
        };
        assert_eq!(bounded(vec![area; 2], 100).len(), 2);
        assert_eq!(bounded(vec![area; 3], 100), [area]);
    }
}
