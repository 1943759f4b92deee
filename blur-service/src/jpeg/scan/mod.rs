//! The one pass over the entropy-coded data: checkpoints to come back to, and a small picture for the detector.

pub mod colour;
mod pixels;
pub mod preview;

use image::RgbImage;

pub use self::pixels::Pixels;
use self::{
    colour::Channels,
    preview::{Preview, Scale},
};
use crate::{
    jpeg::{
        entropy::{
            bits::Place,
            coding::{Coding, Cursor},
        },
        error::{JpegError, Unsupported},
        syntax::{
            header::Jpeg,
            marker::{self, Segments},
        },
    },
    vector::vectorized,
};

/// A scan that was read through once.
pub struct Scan {
    /// The picture at the scale that was asked for, as stored (before any orientation): `ceil(side * scale)` pixels.
    pub preview: Option<RgbImage>,
    pub(super) coding: Coding,
    checkpoints: Vec<Checkpoint>,
    /// The lowest coefficient of each block, quantised, in the order of the scan.
    lowest: Vec<i16>,
    /// Where the entropy-coded data begins, and where that of the last unit ends.
    pub(super) start: usize,
    pub(super) end: usize,
    /// Whether every interval ends with its last unit, so that its bytes may be copied as they are.
    pub(super) is_tidy: bool,
}

/// The state before a unit, every [`SPACING`] units.
struct Checkpoint {
    place: Place,
    dc: [i16; 4],
}

/// Units between two checkpoints: four bytes of memory a unit, and at most as many units to read again for a place.
const SPACING: u32 = 4;

impl<'a> Jpeg<'a> {
    /// Reads the scan through, checks it, and makes a small picture on the way. `go_on` is asked once a row of units.
    ///
    /// # Errors
    /// [`JpegError::Unsupported`], [`JpegError::Truncated`], [`JpegError::Corrupt`] or [`JpegError::Stopped`].
    pub fn scan(&self, scale: Option<Scale>, go_on: &dyn Fn() -> bool) -> Result<Scan, JpegError> {
        let coding = self.coding()?;
        let mut scan = Scan {
            preview: None,
            checkpoints: Vec::with_capacity(coding.total.div_ceil(SPACING) as usize),
            lowest: Vec::with_capacity(coding.total as usize * coding.blocks.len()),
            coding,
            start: self.scan.start,
            end: 0,
            is_tidy: false,
        };
        match scale {
            None => scan.read::<0, 0>(self, go_on)?,
            Some(Scale::Eighth) => scan.read::<1, 0>(self, go_on)?,
            Some(Scale::Quarter) => scan.read::<2, 4>(self, go_on)?,
            Some(Scale::ThreeEighths) => scan.read::<3, 12>(self, go_on)?,
            Some(Scale::Half) => scan.read::<4, 24>(self, go_on)?,
            Some(Scale::FiveEighths) => scan.read::<5, 39>(self, go_on)?,
            Some(Scale::Full) => scan.read::<8, 63>(self, go_on)?,
        }
        self.check_what_follows(scan.end)?;
        Ok(scan)
    }

    /// Order and tables of the scan, if the file is long enough for any such scan.
    fn coding(&self) -> Result<Coding, JpegError> {
        let coding = Coding::new(self)?;
        if coding.least_bits() > (self.data.len() - self.scan.start) as u64 * 8 {
            return Err(JpegError::Truncated {
                at: self.data.len(),
                what: "the scan",
            });
        }
        Ok(coding)
    }

    /// Refuses a file with a further scan or with its height behind the scan.
    fn check_what_follows(&self, end: usize) -> Result<(), JpegError> {
        let mut segments = Segments::new(self.data, end);
        // A broken segment behind the whole picture is left out like everything else there.
        while let Ok(Some(segment)) = segments.next() {
            match segment.marker {
                marker::START_OF_SCAN => return Err(Unsupported::MultipleScans.into()),
                marker::LINE_COUNT => return Err(Unsupported::LateHeight.into()),
                marker::END_OF_IMAGE => break,
                _ => {}
            }
        }
        Ok(())
    }
}

impl Scan {
    /// Where the coded data of the last unit ends.
    pub(crate) fn end(&self) -> usize {
        self.end
    }

    /// Refuses a file with coded data left over, which tells of damage on the way.
    ///
    /// # Errors
    /// [`JpegError::Corrupt`].
    pub fn check_that_nothing_is_left(&self, jpeg: &Jpeg) -> Result<(), JpegError> {
        marker::check_end_of_scan(jpeg.data, self.end, 0)
    }

    /// Whether every interval ends with its last unit.
    pub(crate) fn is_tidy(&self) -> bool {
        self.is_tidy
    }

    /// Reads every unit, coefficients up to zigzag index `LAST`, into a preview with `SIDE` samples for a block's side.
    fn read<const SIDE: usize, const LAST: usize>(
        &mut self,
        jpeg: &Jpeg,
        go_on: &dyn Fn() -> bool,
    ) -> Result<(), JpegError> {
        vectorized(
            #[inline(always)]
            || self.read_rows::<SIDE, LAST>(jpeg, go_on),
        )
    }

    #[inline(always)]
    fn read_rows<const SIDE: usize, const LAST: usize>(
        &mut self,
        jpeg: &Jpeg,
        go_on: &dyn Fn() -> bool,
    ) -> Result<(), JpegError> {
        let mut preview = Preview::<SIDE>::new(jpeg, 0, self.coding.units.width, Channels::Rgb);
        // As all pixels are made; and of inks small differences are large ones of colour.
        if SIDE == 8 || jpeg.channels() == Channels::Inks {
            preview = preview.smooth();
        }
        let mut image = Preview::<SIDE>::blank(jpeg);
        let mut cursor = Cursor::new(&self.coding, jpeg.data, self.start);
        for row in 0..self.coding.units.height {
            if !go_on() {
                return Err(JpegError::Stopped);
            }
            for column in 0..self.coding.units.width {
                if cursor.unit().is_multiple_of(SPACING) {
                    cursor.begin_unit()?;
                    self.checkpoints.push(Checkpoint {
                        place: cursor.place(),
                        dc: cursor.dc,
                    });
                }
                cursor.read_unit::<LAST>(
                    #[inline(always)]
                    |block, values| {
                        self.lowest.push(values[0]);
                        preview.put(column, block, values);
                    },
                )?;
            }
            preview.finish_row(row, image.dimensions(), &mut image);
        }
        self.end = cursor.next_byte();
        self.is_tidy = !cursor.found_surplus;
        self.preview = (SIDE > 0).then_some(image);
        Ok(())
    }

    /// The lowest coefficients of a unit's blocks.
    pub(super) fn lowest(&self, unit: u32) -> &[i16] {
        let count = self.coding.blocks.len();
        self.lowest
            .get(unit as usize * count..)
            .and_then(|rest| rest.get(..count))
            .unwrap_or_default()
    }

    /// A cursor right behind the unit before `unit`, before any restart marker.
    pub(super) fn cursor<'a>(&'a self, jpeg: &'a Jpeg, unit: u32) -> Result<Cursor<'a>, JpegError> {
        let index = unit.saturating_sub(1) / SPACING;
        let Some(checkpoint) = self.checkpoints.get(index as usize) else {
            return Err(JpegError::Corrupt {
                at: self.end,
                what: "a unit beyond the scan",
            });
        };
        let mut cursor = Cursor::within(
            &self.coding,
            jpeg.data,
            checkpoint.place,
            index * SPACING,
            checkpoint.dc,
        );
        while cursor.unit() < unit {
            cursor.skip_unit()?;
        }
        Ok(cursor)
    }
}
