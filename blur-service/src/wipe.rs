//! Memory of pictures is zeroed when it is given back, so that a later mistake of any kind finds nothing in it: the file
//! that came in, decoded pixels, the detector's view, coefficients. Not what libraries keep in between.

use std::{hint::black_box, ops::Deref};

/// Bytes that are zeroed in the end.
#[derive(Default)]
pub struct Wiped(Vec<u8>);

impl Wiped {
    /// Room for this many bytes; a buffer that grew would leave copies behind.
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// These bytes, from now on zeroed in the end.
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub fn extend(&mut self, data: &[u8]) {
        let length = self.0.len() + data.len();
        if length > self.0.capacity() {
            let mut larger = Self::with_capacity(length.max(2 * self.0.capacity()));
            larger.0.extend_from_slice(&self.0);
            *self = larger;
        }
        self.0.extend_from_slice(data);
    }
}

impl Deref for Wiped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Zeroes samples that nobody will read again. The compiler must not know that, or it would leave the work out.
pub fn wipe<S: Copy + Default>(samples: &mut [S]) {
    samples.fill(S::default());
    black_box(samples);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wiped_is_zero() {
        let mut samples = [7u16, 8, 9];
        wipe(&mut samples);
        assert_eq!(samples, [0; 3]);
    }

    #[test]
    fn bytes_are_kept_as_they_grow() {
        let mut bytes = Wiped::with_capacity(2);
        bytes.extend(b"one");
        bytes.extend(b"two");
        assert_eq!(&*bytes, b"onetwo");
    }
}
