//! What is said over the socket of a picture. To the decoder: once, how much memory it may take (8 bytes); then for each
//! coded picture a length (4 bytes), a sampling (1 byte) and a file of one item. From it: once [`READY`]; then for each a [`Head`] and the planes
//! that this promises, row by row, without anything between them. Numbers are little-endian.

/// A coded picture, as its container has it.
#[derive(Clone, Copy, Debug)]
pub struct Coded<'a> {
    pub width: u32,
    pub height: u32,
    /// The content of the box `hvcC`.
    pub configuration: &'a [u8],
    pub data: &'a [u8],
}

/// A decoded picture.
#[derive(Debug)]
pub struct Still {
    pub head: Head,
    pub planes: Vec<Plane>,
}

/// A plane of [`Head::sample_bytes`] a sample.
#[derive(Debug)]
pub struct Plane {
    pub samples: Vec<u8>,
    pub width: u32,
    pub height: u32,
}

/// What a decoded picture is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub width: u32,
    pub height: u32,
    /// A sample's, 8 to 16.
    pub bits: u8,
    pub sampling: Sampling,
}

/// How many samples of colour there are to those of brightness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    Grey = 0,
    HalfBoth = 1,
    HalfAcross = 2,
    Full = 3,
}

impl Sampling {
    /// As `chroma_format_idc` counts them (ITU-T H.265, 6.2).
    pub fn read(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Grey),
            1 => Some(Self::HalfBoth),
            2 => Some(Self::HalfAcross),
            3 => Some(Self::Full),
            _ => None,
        }
    }
}

/// What a decoder says once it is shut in.
pub const READY: u8 = b'R';

impl Head {
    pub const BYTES: usize = 10;

    pub fn written(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(&self.width.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.height.to_le_bytes());
        bytes[8] = self.bits;
        bytes[9] = self.sampling as u8;
        bytes
    }

    /// Nothing if it cannot be meant.
    pub fn read(bytes: [u8; Self::BYTES]) -> Option<Self> {
        let [w0, w1, w2, w3, h0, h1, h2, h3, bits, sampling] = bytes;
        let head = Self {
            width: u32::from_le_bytes([w0, w1, w2, w3]),
            height: u32::from_le_bytes([h0, h1, h2, h3]),
            bits,
            sampling: Sampling::read(sampling)?,
        };
        (head.width > 0 && head.height > 0 && (8..=16).contains(&bits)).then_some(head)
    }

    pub fn sample_bytes(&self) -> usize {
        if self.bits > 8 { 2 } else { 1 }
    }

    /// Width and height of each plane.
    pub fn planes(&self) -> Vec<(u32, u32)> {
        let (width, height) = (self.width, self.height);
        let colour = match self.sampling {
            Sampling::Grey => return vec![(width, height)],
            Sampling::Full => (width, height),
            Sampling::HalfAcross => (width.div_ceil(2), height),
            Sampling::HalfBoth => (width.div_ceil(2), height.div_ceil(2)),
        };
        vec![(width, height), colour, colour]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_was_written_and_nonsense_is_not_read() {
        let head = Head {
            width: 4032,
            height: 3025,
            bits: 10,
            sampling: Sampling::HalfBoth,
        };
        assert_eq!(Head::read(head.written()), Some(head));
        assert_eq!(head.planes(), [(4032, 3025), (2016, 1513), (2016, 1513)]);
        for (at, byte) in [(8, 7), (8, 17), (9, 4)] {
            let mut bytes = head.written();
            bytes[at] = byte;
            assert_eq!(Head::read(bytes), None);
        }
        let nothing = Head { width: 0, ..head };
        assert_eq!(Head::read(nothing.written()), None);
    }
}
