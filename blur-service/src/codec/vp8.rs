//! How strongly a lossy WebP is quantised, read from the head of its frame (RFC 6386, 9.2 to 9.6).

/// The quality, 1 to 100, at which libwebp would quantise like this frame.
pub(super) fn quality(frame: &[u8]) -> Option<u8> {
    // The frame's tag, its start code and its sides come first.
    let mut bits = Bits::new(frame.get(10..)?);
    bits.literal(2)?;
    let segments = match bits.flag()? {
        true => segments(&mut bits)?,
        false => None,
    };
    skip_filter(&mut bits)?;
    let base = bits.literal(7)?;
    let steps = match segments {
        None => [(base, 0.25); 4],
        Some((true, steps)) => steps,
        Some((false, steps)) => steps.map(|(step, share)| (base + step, share)),
    };
    Some(of_steps(steps))
}

/// How strongly a segment is quantised, 0 to 127, and its share of the picture.
type Step = (i32, f32);

/// Of the segments: whether they are absolute, and four of them; nothing if the head tells none.
fn segments(bits: &mut Bits) -> Option<Option<(bool, [Step; 4])>> {
    let has_map = bits.flag()?;
    let mut told = None;
    if bits.flag()? {
        let is_absolute = bits.flag()?;
        let mut steps = [0; 4];
        for step in &mut steps {
            *step = bits.signed(7)?;
        }
        for _ in 0..4 {
            bits.signed(6)?;
        }
        told = Some((is_absolute, steps));
    }
    let mut lower = [1.0; 3];
    for chance in lower.iter_mut().filter(|_| has_map) {
        if bits.flag()? {
            *chance = bits.literal(8)? as f32 / 255.0;
        }
    }
    let [half, first, third] = lower;
    let shares = [
        half * first,
        half * (1.0 - first),
        (1.0 - half) * third,
        (1.0 - half) * (1.0 - third),
    ];
    let with_shares = |steps: [i32; 4]| std::array::from_fn(|index| (steps[index], shares[index]));
    Some(told.map(|(is_absolute, steps)| (is_absolute, with_shares(steps))))
}

/// The loop filter's kind, level, sharpness and deltas, and how many partitions there are.
fn skip_filter(bits: &mut Bits) -> Option<()> {
    bits.literal(10)?;
    if bits.flag()? && bits.flag()? {
        for _ in 0..8 {
            bits.signed(6)?;
        }
    }
    bits.literal(2).map(drop)
}

/// The inverse of libwebp's `VP8SetSegmentParams`: a segment's compression is that of the whole to a power that is one in the
/// mean of all segments.
fn of_steps(steps: [Step; 4]) -> u8 {
    let compression = |step: i32| 1.0 - (step.clamp(0, 126) as f32 + 0.5) / 127.0;
    let sum: f32 = steps.iter().map(|(step, share)| share * compression(*step).ln()).sum();
    let linear = sum.exp().powi(3);
    let quality = if linear < 0.5 {
        linear * 1.5
    } else {
        (linear + 1.0) / 2.0
    };
    ((quality * 100.0).round() as u8).clamp(LEAST, MOST)
}

/// The boolean decoder (RFC 6386, 7.3), a bit at a time: only a head is read with it.
struct Bits<'a> {
    rest: &'a [u8],
    value: u32,
    range: u32,
    shifted: u32,
}

impl<'a> Bits<'a> {
    fn new(data: &'a [u8]) -> Self {
        let (first, rest) = data.split_at(data.len().min(2));
        let byte = |index: usize| u32::from(first.get(index).copied().unwrap_or(0));
        Self {
            rest,
            value: byte(0) << 8 | byte(1),
            range: 255,
            shifted: 0,
        }
    }

    /// A bit that is as often zero as one.
    fn flag(&mut self) -> Option<bool> {
        let split = 1 + (((self.range - 1) * 128) >> 8);
        let is_one = self.value >= split << 8;
        if is_one {
            self.range -= split;
            self.value -= split << 8;
        } else {
            self.range = split;
        }
        while self.range < 128 {
            self.value <<= 1;
            self.range <<= 1;
            self.shifted += 1;
            if self.shifted == 8 {
                self.shifted = 0;
                let (next, rest) = self.rest.split_first()?;
                self.value |= u32::from(*next);
                self.rest = rest;
            }
        }
        Some(is_one)
    }

    fn literal(&mut self, bits: u32) -> Option<i32> {
        (0..bits).try_fold(0, |value, _| Some(value << 1 | i32::from(self.flag()?)))
    }

    /// A number that may be left out, with its sign.
    fn signed(&mut self, bits: u32) -> Option<i32> {
        if !self.flag()? {
            return Some(0);
        }
        let value = self.literal(bits)?;
        Some(if self.flag()? { -value } else { value })
    }
}

const LEAST: u8 = 40;
const MOST: u8 = 98;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::codec::webp::Chunks;

    #[test]
    fn the_quality_is_that_of_the_encoder() {
        let noise = |x: u32, y: u32| (x.wrapping_mul(y).wrapping_mul(2_654_435_761)) >> 27;
        let rough = |x: u32, y: u32| if x > 80 { noise(x, y) * 6 } else { x + y / 2 } as u8;
        let pixels: Vec<u8> = (0..120u32)
            .flat_map(|y| (0..160).flat_map(move |x| [rough(x, y), (y * 2) as u8, x as u8]))
            .collect();
        for asked in [45u8, 60, 75, 80, 85, 90, 95] {
            let file = webp::Encoder::from_rgb(&pixels, 160, 120)
                .encode_simple(false, f32::from(asked))
                .unwrap();
            let frame = Chunks::of(&file).find(|(kind, _)| kind == b"VP8 ").unwrap().1;
            let read = quality(frame).unwrap();
            assert!(read.abs_diff(asked) <= 2, "{asked} read as {read}");
        }
    }

    #[test]
    fn a_head_that_breaks_off_says_nothing() {
        assert_eq!(quality(&[0; 9]), None);
        assert_eq!(quality(&[0xff; 12]), None);
    }
}
