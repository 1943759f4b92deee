//! Bits of entropy-coded data: a reader that steps over stuffed zeros and knows its place in the file, a writer that
//! stuffs them, and runs of bits that go from the one to the other (ITU-T T.81, B.1.1.5 and F.1.2.3).

/// Where a bit lies in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(u64);

impl Place {
    pub fn byte(byte: usize) -> Self {
        Self(byte as u64 * 8)
    }

    /// The byte, and how many of its bits lie before this place.
    fn split(self) -> (usize, u32) {
        ((self.0 / 8) as usize, (self.0 % 8) as u32)
    }

    /// Where the next whole byte begins, the stuffed zero of the last one stepped over.
    pub fn next_byte(self, data: &[u8]) -> usize {
        let (byte, bit) = self.split();
        if bit == 0 { byte } else { after(data, byte) }
    }
}

/// Reads the bits of one interval, up to the next marker; beyond it there are only zeros, and [`BitReader::overrun`].
///
/// Between two calls of [`BitReader::refill`] at least [`REFILLED`] bits may be taken.
#[derive(Clone)]
pub struct BitReader<'a> {
    data: &'a [u8],
    /// The next byte that is not in `buffer` yet.
    at: usize,
    /// The next bits, from the most significant one on.
    buffer: u64,
    /// How many bits of `buffer` count, up to 63.
    count: u32,
    /// How many of the bits handed into `buffer` so far were zeros beyond the end.
    padding: u32,
}

/// Bits that are there after a refill.
pub const REFILLED: u32 = 56;

impl<'a> BitReader<'a> {
    pub fn new(data: &'a [u8], place: Place) -> Self {
        let (at, bit) = place.split();
        let mut reader = Self {
            data,
            at,
            buffer: 0,
            count: 0,
            padding: 0,
        };
        reader.refill();
        reader.consume(bit);
        reader
    }

    #[inline(always)]
    pub fn refill(&mut self) {
        if let Some(bytes) = self.data.get(self.at..).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_be_bytes(*bytes);
            if !has_ff(word) {
                // Bits beyond `count` are kept too; the next refill lays the same bits over them.
                self.buffer |= word >> self.count;
                self.at += ((63 - self.count) >> 3) as usize;
                self.count |= REFILLED;
                return;
            }
        }
        self.refill_bytewise();
    }

    #[cold]
    #[inline(never)]
    fn refill_bytewise(&mut self) {
        while self.count < REFILLED {
            let byte = match (self.data.get(self.at), self.data.get(self.at + 1)) {
                (Some(0xff), Some(0)) => {
                    self.at += 2;
                    0xff
                }
                (Some(0xff), _) | (None, _) => {
                    self.padding = self.padding.saturating_add(8);
                    0
                }
                (Some(byte), _) => {
                    self.at += 1;
                    *byte
                }
            };
            self.buffer |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    /// The next `bits` bits, 1 to 32, which stay.
    #[inline(always)]
    pub fn peek(&self, bits: u32) -> usize {
        (self.buffer >> (64 - bits)) as usize
    }

    #[inline(always)]
    pub fn consume(&mut self, bits: u32) {
        self.buffer <<= bits;
        self.count -= bits;
    }

    /// The next `bits` bits, 0 to 32.
    #[inline(always)]
    pub fn take(&mut self, bits: u32) -> u32 {
        // Two shifts, since one by 64 is not defined.
        let taken = (self.buffer >> 1 >> (63 - bits)) as u32;
        self.consume(bits);
        taken
    }

    /// Whether the next `bits` bits, up to 64, which are taken, are these.
    #[inline(always)]
    pub fn takes(&mut self, value: u64, bits: u32) -> bool {
        let (first, second) = (bits.min(32), bits.saturating_sub(32));
        self.refill();
        let mut taken = u64::from(self.take(first));
        if second > 0 {
            self.refill();
            taken = taken << second | u64::from(self.take(second));
        }
        taken == value
    }

    /// Whether more bits were taken than there are.
    pub fn overrun(&self) -> bool {
        self.missing() > 0
    }

    /// How many bits were taken that are not there.
    pub fn missing(&self) -> u32 {
        self.padding.saturating_sub(self.count)
    }

    /// Where the next bit lies.
    pub fn place(&self) -> Place {
        let unread = self.count.saturating_sub(self.padding);
        let mut byte = self.at;
        for _ in 0..unread.div_ceil(8) {
            byte = before(self.data, byte);
        }
        Place(byte as u64 * 8 + u64::from(unread.wrapping_neg() % 8))
    }
}

/// Appends bits to a file and stuffs a zero after every byte of ones.
pub struct BitWriter {
    out: Vec<u8>,
    buffer: u64,
    /// How many bits of `buffer`, the least significant ones, wait; under 32 between calls.
    count: u32,
}

impl BitWriter {
    pub fn new(out: Vec<u8>) -> Self {
        Self {
            out,
            buffer: 0,
            count: 0,
        }
    }

    /// Appends the `bits` least significant bits of `value`, 0 to 32; the others are zero.
    #[inline(always)]
    pub fn put(&mut self, value: u32, bits: u32) {
        self.buffer = self.buffer << bits | u64::from(value);
        self.count += bits;
        if self.count >= 32 {
            self.count -= 32;
            self.put_word((self.buffer >> self.count) as u32);
        }
    }

    #[inline(always)]
    fn put_word(&mut self, word: u32) {
        if has_ff(u64::from(word)) {
            word.to_be_bytes().into_iter().for_each(|byte| self.put_byte(byte));
        } else {
            self.out.extend_from_slice(&word.to_be_bytes());
        }
    }

    fn put_byte(&mut self, byte: u8) {
        self.out.push(byte);
        if byte == 0xff {
            self.out.push(0);
        }
    }

    /// Appends the bits of `data` between two places.
    pub fn copy(&mut self, data: &[u8], from: Place, to: Place) {
        self.out.reserve((to.0 / 8).saturating_sub(from.0 / 8) as usize);
        for_each_run(
            data,
            from,
            to,
            #[inline(always)]
            |value, bits| {
                if bits == WHOLE_RUN {
                    self.put_run(value);
                } else {
                    self.put(value as u32, bits);
                }
                true
            },
        );
    }

    /// Appends a [`WHOLE_RUN`].
    #[inline(always)]
    fn put_run(&mut self, run: u64) {
        let next = match self.count {
            0 => run,
            count => self.buffer << (64 - count) | run >> count,
        };
        if has_ff(next) {
            next.to_be_bytes().into_iter().for_each(|byte| self.put_byte(byte));
        } else {
            self.out.extend_from_slice(&next.to_be_bytes());
        }
        // Its last `count` bits wait; what lies above them is of no account.
        self.buffer = run;
    }

    /// Ends the interval: ones up to the next whole byte. Returns the file, to which whole bytes may be appended.
    pub fn finish(&mut self) -> &mut Vec<u8> {
        let fill = self.count.wrapping_neg() % 8;
        self.put((1 << fill) - 1, fill);
        while self.count > 0 {
            self.count -= 8;
            self.put_byte((self.buffer >> self.count) as u8);
        }
        &mut self.out
    }
}

/// Calls `run` with the bits of `data` between two places, a [`WHOLE_RUN`] or up to 8 at a time, until it returns false.
/// Returns whether it never did.
#[inline(always)]
pub fn for_each_run(data: &[u8], from: Place, to: Place, mut run: impl FnMut(u64, u32) -> bool) -> bool {
    let ((mut at, first), (end, last)) = (from.split(), to.split());
    let byte = |at: usize| u64::from(data.get(at).copied().unwrap_or(0));
    if at == end {
        return first >= last || run(byte(at) >> (8 - last) & ((1 << (last - first)) - 1), last - first);
    }
    if first > 0 {
        if !run(byte(at) & (0xff >> first), 8 - first) {
            return false;
        }
        at = after(data, at);
    }
    while at < end {
        if let Some(bytes) = data.get(at..end).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_be_bytes(*bytes);
            if !has_ff(word) {
                if !run(word, WHOLE_RUN) {
                    return false;
                }
                at += 8;
                continue;
            }
        }
        if !run(byte(at), 8) {
            return false;
        }
        at = after(data, at);
    }
    last == 0 || run(byte(end) >> (8 - last), last)
}

/// Bits of eight bytes.
pub const WHOLE_RUN: u32 = 64;

/// Whether a byte of `word` is 0xff: the test for a zero byte (Mycroft 1987) upon the complement.
#[inline(always)]
fn has_ff(word: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    (!word).wrapping_sub(ONES) & word & (ONES << 7) != 0
}

/// The place of the data byte after the one at `at`.
fn after(data: &[u8], at: usize) -> usize {
    at + if data.get(at) == Some(&0xff) { 2 } else { 1 }
}

/// The place of the data byte before `at`.
fn before(data: &[u8], at: usize) -> usize {
    let stuffed = at >= 2 && data.get(at - 2..at) == Some(&[0xff, 0]);
    at.saturating_sub(if stuffed { 2 } else { 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_every_place_is_known() {
        let values: Vec<(u32, u32)> = (0..4000u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 7, 1 + n % 17))
            .collect();
        let mut writer = BitWriter::new(vec![0xff, 0xd0]);
        for (value, bits) in &values {
            let ones = if value % 3 == 0 { u32::MAX } else { *value };
            writer.put(ones & ((1 << bits) - 1), *bits);
        }
        let data = writer.finish().clone();
        let mut reader = BitReader::new(&data, Place::byte(2));
        for (value, bits) in &values {
            let ones = if value % 3 == 0 { u32::MAX } else { *value };
            let mut again = BitReader::new(&data, reader.place());
            reader.refill();
            again.refill();
            let expected = ones & ((1 << bits) - 1);
            assert_eq!((reader.take(*bits), again.take(*bits)), (expected, expected));
        }
        assert!(!reader.overrun());
        assert_eq!(reader.place().next_byte(&data), data.len());
    }

    #[test]
    fn a_copied_run_is_the_same_bits_at_another_offset() {
        let data: Vec<u8> = (0..200u32)
            .flat_map(|n| if n % 9 == 0 { vec![0xff, 0] } else { vec![n as u8] })
            .collect();
        for skip in 0..40 {
            let mut reader = BitReader::new(&data, Place::byte(0));
            for _ in 0..skip {
                reader.take(1);
            }
            let from = reader.place();
            let mut writer = BitWriter::new(Vec::new());
            writer.put(5, 3);
            writer.copy(&data, from, Place::byte(data.len()));
            let copy = writer.finish().clone();
            let mut copied = BitReader::new(&copy, Place::byte(0));
            copied.consume(3);
            for _ in 0..190 {
                reader.refill();
                copied.refill();
                assert_eq!(reader.take(8), copied.take(8));
            }
        }
    }

    #[test]
    fn the_reader_stops_at_a_marker() {
        let data = [0xab, 0xff, 0xd9, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc];
        let mut reader = BitReader::new(&data, Place::byte(0));
        assert_eq!(reader.take(8), 0xab);
        assert!(!reader.overrun());
        assert_eq!(reader.place(), Place::byte(1));
        assert_eq!(reader.take(1), 0);
        assert!(reader.overrun());
    }
}
