//! Fax codes (ITU-T T.4 and T.6), by the tables of the `fax` crate: one-bit rows, 1 where it is black.

use std::convert::Infallible;

use fax::{
    BitReader, ByteReader,
    maps::{Mode, black, mode, white},
};

/// How the rows of a page are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Each row by itself, from a whole byte on (compression 2).
    Rows,
    /// Group 3: a mark before each row; with `is_two_dimensional` it says which rows are by themselves.
    Group3 {
        is_two_dimensional: bool,
    },
    Group4,
}

/// Decodes `height` rows of `width` pixels, each from a whole byte on. Nothing if the data breaks off, or is no fax code.
pub fn decode(data: &[u8], width: u32, height: u32, scheme: Scheme) -> Option<Vec<u8>> {
    let stride = width.div_ceil(8) as usize;
    let mut rows = vec![0; stride.checked_mul(height as usize)?];
    // The tables look a little further than the last code.
    let bytes = data.iter().copied().chain([0; PADDING]).map(Ok::<u8, Infallible>);
    let mut coded = Coded {
        bits: ByteReader::new(bytes).ok()?,
        width,
        before: Vec::new(),
        row: Vec::new(),
    };
    for row in rows.chunks_exact_mut(stride.max(1)) {
        match scheme {
            Scheme::Rows => {
                coded.next_byte()?;
                coded.alone()?;
            }
            Scheme::Group3 { is_two_dimensional } => coded.marked(is_two_dimensional)?,
            // An end before the last row leaves the rest of the page white.
            Scheme::Group4 if !coded.beside()? => return Some(rows),
            Scheme::Group4 => {}
        }
        coded.draw(row);
        std::mem::swap(&mut coded.before, &mut coded.row);
    }
    Some(rows)
}

struct Coded<R> {
    bits: ByteReader<R>,
    width: u32,
    /// Where the row before changes its colour, from white on.
    before: Vec<u32>,
    row: Vec<u32>,
}

impl<R: Iterator<Item = Result<u8, Infallible>>> Coded<R> {
    /// A row behind its mark. One with a mistake is shown as far as it goes: faxes have some.
    fn marked(&mut self, is_two_dimensional: bool) -> Option<()> {
        while self.bits.peek(MARK_BITS)? != 1 {
            self.bits.consume(1).ok()?;
        }
        self.bits.consume(MARK_BITS).ok()?;
        let is_beside = is_two_dimensional && self.bits.peek(1)? == 0;
        if is_two_dimensional {
            self.bits.consume(1).ok()?;
        }
        let _ = match is_beside {
            true => self.beside().map(|_| ()),
            false => self.alone(),
        };
        Some(())
    }

    fn next_byte(&mut self) -> Option<()> {
        let left = self.bits.bits_to_byte_boundary();
        self.bits.consume(left).ok()
    }

    /// A row by itself: runs of white and black in turn.
    fn alone(&mut self) -> Option<()> {
        self.row.clear();
        let (mut at, mut is_black) = (0, false);
        while at < self.width {
            at += self.run(is_black)?;
            self.row.push(at);
            is_black = !is_black;
        }
        Some(())
    }

    /// A row as it differs from the one before; false if the page ends here.
    fn beside(&mut self) -> Option<bool> {
        self.row.clear();
        let (mut at, mut is_black) = (None, false);
        let mut place = 0;
        while at.unwrap_or(0) < self.width {
            let (first, second) = self.changes(&mut place, at, is_black);
            match mode::decode(&mut self.bits)? {
                Mode::Pass => at = Some(second),
                Mode::Horizontal => {
                    let start = at.unwrap_or(0);
                    let middle = start + self.run(is_black)?;
                    let end = middle + self.run(!is_black)?;
                    self.row.extend([middle, end]);
                    at = Some(end);
                }
                Mode::Vertical(step) => {
                    let change = first.checked_add_signed(step.into())?;
                    if change < at.unwrap_or(0) {
                        return None;
                    }
                    self.row.push(change);
                    is_black = !is_black;
                    at = Some(change);
                }
                Mode::EOF => return Some(false),
                Mode::Extension => return None,
            }
        }
        Some(true)
    }

    /// The first change of the row before that lies behind `at` and is to the other colour, and the one after it.
    fn changes(&self, place: &mut usize, at: Option<u32>, is_black: bool) -> (u32, u32) {
        let is_behind = |change: u32| at.is_none_or(|at| change > at);
        while *place > 0 && is_behind(self.before[*place - 1]) {
            *place -= 1;
        }
        while self.before.get(*place).is_some_and(|change| !is_behind(*change)) {
            *place += 1;
        }
        let first = *place + usize::from(*place % 2 != usize::from(is_black));
        let change = |index: usize| self.before.get(index).map_or(self.width, |at| (*at).min(self.width));
        (change(first), change(first + 1))
    }

    /// How long a run is: codes of multiples of 64, and one of less.
    fn run(&mut self, is_black: bool) -> Option<u32> {
        let mut length = 0u32;
        loop {
            let part = match is_black {
                true => black::decode(&mut self.bits),
                false => white::decode(&mut self.bits),
            }?;
            length = length.checked_add(part.into()).filter(|length| *length <= MOST_RUN)?;
            if part < 64 {
                return Some(length);
            }
        }
    }

    /// Sets the black bits of a row.
    fn draw(&self, row: &mut [u8]) {
        for run in self.row.chunks(2) {
            let end = run.get(1).map_or(self.width, |end| (*end).min(self.width));
            for x in run[0]..end {
                row[x as usize / 8] |= 0x80 >> (x % 8);
            }
        }
    }
}

const MARK_BITS: u8 = 12;
const PADDING: usize = 4;
/// Longer than any row.
const MOST_RUN: u32 = 1 << 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blank_row_and_one_with_a_bar_are_read_in_group_4() {
        // V0; then H with 4 white and 2 black, V0; then the end.
        let coded = bits("1 001 1011 11 1 000000000001000000000001");
        assert_eq!(decode(&coded, 16, 2, Scheme::Group4), Some(vec![0, 0, 0x0c, 0]));
        // A page that ends early is white from there on.
        assert_eq!(decode(&coded, 16, 3, Scheme::Group4), Some(vec![0, 0, 0x0c, 0, 0, 0]));
    }

    #[test]
    fn rows_by_themselves_are_read_with_and_without_marks() {
        // 4 white, 2 black, 10 white.
        let row = "1011 11 00111";
        let expected = Some(vec![0x0c, 0, 0x0c, 0]);
        let group3 = Scheme::Group3 {
            is_two_dimensional: false,
        };
        let mark = "000000000001";
        assert_eq!(
            decode(&bits(&format!("{mark}{row}{mark}{row}")), 16, 2, group3),
            expected
        );
        assert_eq!(
            decode(&bits(&format!("{row}00000 {row}")), 16, 2, Scheme::Rows),
            expected
        );
        assert_eq!(decode(&bits(row), 16, 2, Scheme::Rows), None);
    }

    fn bits(text: &str) -> Vec<u8> {
        let bits: Vec<u8> = text.bytes().filter(|bit| *bit != b' ').map(|bit| bit - b'0').collect();
        let byte = |bits: &[u8]| {
            bits.iter()
                .zip(0..)
                .fold(0, |byte, (bit, place)| byte | bit << (7 - place))
        };
        bits.chunks(8).map(byte).collect()
    }
}
