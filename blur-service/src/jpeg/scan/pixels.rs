//! The whole picture as pixels.

use super::{
    colour::{Channels, Colour},
    preview::Preview,
};
use crate::{
    geometry::Size,
    jpeg::{
        entropy::coding::{Coding, Cursor},
        error::JpegError,
        syntax::{header::Jpeg, marker},
    },
    vector::vectorized,
};

/// A picture as stored (before any orientation), row by row.
pub struct Pixels {
    pub size: Size,
    pub channels: Channels,
    pub samples: Vec<u8>,
}

impl Jpeg<'_> {
    /// What its samples are for.
    pub fn channels(&self) -> Channels {
        match Colour::of(self) {
            Colour::Grey => Channels::Grey,
            colour if colour.is_of_inks() => Channels::Inks,
            _ => Channels::Rgb,
        }
    }

    /// All pixels of a file that the splice handles, as [`Jpeg::supported`] tells. `go_on` is asked once a row of units.
    ///
    /// # Errors
    /// Those of [`Jpeg::scan`] and of [`Scan::check_that_nothing_is_left`](super::Scan::check_that_nothing_is_left).
    pub fn pixels(&self, go_on: &dyn Fn() -> bool) -> Result<Pixels, JpegError> {
        let (coding, channels) = (self.coding()?, self.channels());
        let mut pixels = Pixels {
            size: self.frame.size,
            channels,
            samples: vec![0; self.frame.size.pixels() as usize * channels.count()],
        };
        let read = vectorized(
            #[inline(always)]
            || pixels.read(self, &coding, go_on),
        );
        let end = read?;
        self.check_what_follows(end)?;
        marker::check_end_of_scan(self.data, end, 0)?;
        Ok(pixels)
    }
}

impl Pixels {
    /// Returns where the bytes of the last unit end.
    #[inline(always)]
    fn read(&mut self, jpeg: &Jpeg, coding: &Coding, go_on: &dyn Fn() -> bool) -> Result<usize, JpegError> {
        let size = (self.size.width, self.size.height);
        let mut rows = Preview::<8>::new(jpeg, 0, coding.units.width, self.channels).smooth();
        let mut cursor = Cursor::new(coding, jpeg.data, jpeg.scan.start);
        for row in 0..coding.units.height {
            if !go_on() {
                return Err(JpegError::Stopped);
            }
            for column in 0..coding.units.width {
                cursor.read_unit::<63>(
                    #[inline(always)]
                    |block, values| rows.put(column, block, values),
                )?;
            }
            rows.finish_row(row, size, &mut self.samples);
        }
        Ok(cursor.next_byte())
    }
}
