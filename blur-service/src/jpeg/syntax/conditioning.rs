//! What chooses the statistics of a decision (ITU-T T.81, F.1.4.4.1.2 and F.1.4.4.2), as a file may set it.

/// For each of the four tables there may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conditioning {
    pub dc: [Bounds; 4],
    pub ac: [LowFrequencies; 4],
}

impl Conditioning {
    /// Reads the body of a segment of conditioning.
    pub fn read(&mut self, body: &[u8]) -> Option<()> {
        let (entries, []) = body.as_chunks::<2>() else {
            return None;
        };
        for [class_and_id, value] in entries {
            let id = usize::from(class_and_id & 15);
            match class_and_id >> 4 {
                0 => *self.dc.get_mut(id)? = Bounds::new(value & 15, value >> 4)?,
                1 => *self.ac.get_mut(id)? = LowFrequencies::new(*value)?,
                _ => return None,
            }
        }
        Some(())
    }
}

/// Which differences of DC coefficients are small ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The largest that counts as none.
    none: i32,
    /// The largest that is small.
    small: i32,
}

impl Bounds {
    /// Of the exponents in the file.
    fn new(lower: u8, upper: u8) -> Option<Self> {
        (lower <= upper).then_some(Self {
            none: (1 << lower) >> 1,
            small: 1 << upper,
        })
    }

    /// The class of a difference, 0 to 4, which chooses the statistics of the next one.
    pub fn class(self, difference: i32) -> usize {
        let is_negative = usize::from(difference < 0);
        match difference.abs() {
            size if size <= self.none => 0,
            size if size <= self.small => 1 + is_negative,
            _ => 3 + is_negative,
        }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self { none: 0, small: 2 }
    }
}

/// Which frequencies are low ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LowFrequencies {
    /// Zigzag index of the last one (Kx).
    last: usize,
}

impl LowFrequencies {
    fn new(last: u8) -> Option<Self> {
        (1..64).contains(&last).then_some(Self {
            last: usize::from(last),
        })
    }

    pub fn contains(self, at: usize) -> bool {
        at <= self.last
    }
}

impl Default for LowFrequencies {
    fn default() -> Self {
        Self { last: 5 }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_file_sets_what_differs_from_the_default() {
        let mut conditioning = Conditioning::default();
        conditioning.read(&[0x01, 0x42, 0x10, 63]).unwrap();
        assert_eq!(conditioning.dc[1], Bounds { none: 2, small: 16 });
        assert_eq!(conditioning.ac[0], LowFrequencies { last: 63 });
        assert_eq!(
            (conditioning.dc[0], conditioning.ac[1]),
            (Bounds::default(), LowFrequencies::default())
        );
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for body in [&[0, 0x12][..], &[0x10, 0], &[0x10, 64], &[0x04, 0x10], &[0x20, 1], &[0]] {
            assert_eq!(Conditioning::default().read(body), None, "{body:?}");
        }
    }

    #[test]
    fn differences_are_classed_by_their_size_and_sign() {
        let classes = |bounds: Bounds| [0, 1, -1, 2, -2, 3, -3, 16, 17].map(|difference| bounds.class(difference));
        assert_eq!(classes(Bounds::default()), [0, 1, 2, 1, 2, 3, 4, 3, 3]);
        assert_eq!(classes(Bounds::new(2, 4).unwrap()), [0, 0, 0, 0, 0, 1, 2, 1, 3]);
    }
}
