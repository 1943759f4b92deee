//! The noise upon the cells: a keyed hash of the picture and of the cell's place. A thousand answers for one file carry the
//! same noise and are as good as one; without the key nobody can take it off, and it is stored nowhere.

// The hash is SipHash 2-4, a keyed one (Aumasson and Bernstein 2012). The standard library would rather have its nameless
// hasher used, which takes no key.
#![allow(deprecated)]

use std::{
    hash::{Hasher, SipHasher},
    str::FromStr,
};

use zeroize::{Zeroize, Zeroizing};

/// What the noise of all pictures comes from. Workers that have the same one answer alike.
#[derive(Clone)]
pub struct NoiseKey([u64; 4]);

impl Drop for NoiseKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl NoiseKey {
    /// One that nobody knows, for as long as this process lives.
    ///
    /// # Errors
    /// The operating system's, if it has no random numbers.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *key)?;
        let mut words = key.as_chunks::<8>().0.iter();
        Ok(Self(std::array::from_fn(|_| {
            words.next().map_or(0, |word| u64::from_le_bytes(*word))
        })))
    }

    /// The noise of one picture, by the bytes of its file, which are gone through once.
    pub fn noise(&self, file: &[u8]) -> Noise {
        let [a, b, c, d] = self.0;
        let of_file = hash([a, b], file);
        Noise([0u64, 1].map(|part| hash([c, d], [of_file, part].map(u64::to_le_bytes).as_flattened())))
    }
}

impl FromStr for NoiseKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() < LEAST_KEY_BYTES {
            return Err(format!("a secret of at least {LEAST_KEY_BYTES} characters"));
        }
        Ok(Self([1, 2, 3, 4].map(|part| hash([PURPOSE, part], text.as_bytes()))))
    }
}

impl std::fmt::Debug for NoiseKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("NoiseKey")
    }
}

/// The noise of one picture.
#[derive(Clone)]
pub struct Noise([u64; 2]);

impl Drop for Noise {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Noise {
    /// Noise that everybody can tell, for tests and benchmarks.
    pub fn repeatable(seed: u8) -> Self {
        Self([seed.into(); 2])
    }

    /// For every channel, up to four, of the cell that begins at this block: a number of 0 to 15. It depends on where in
    /// the picture the cell lies and on how large it is, not on the region.
    pub fn of_cell(&self, x: u32, y: u32, width: u32, height: u32) -> [u8; 4] {
        let place = [x, y, width, height].map(u32::to_le_bytes);
        let [a, b, c, d, ..] = hash(self.0, place.as_flattened()).to_le_bytes();
        [a, b, c, d].map(|byte| byte % 16)
    }
}

fn hash([first, second]: [u64; 2], bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher::new_with_keys(first, second);
    hasher.write(bytes);
    hasher.finish()
}

/// As many as a key of 128 bits has in hexadecimal.
const LEAST_KEY_BYTES: usize = 32;
/// Sets these keys apart from whatever else is made of the same secret.
const PURPOSE: u64 = u64::from_le_bytes(*b"VeilBlur");

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn one_file_has_one_noise_under_one_key() {
        let key: NoiseKey = "0123456789abcdef0123456789abcdef".parse().unwrap();
        let again: NoiseKey = "0123456789abcdef0123456789abcdef".parse().unwrap();
        let cells = |noise: Noise| (0..16).map(|x| noise.of_cell(x, 3, 1, 2)).collect::<Vec<_>>();
        assert_eq!(cells(key.noise(b"file")), cells(again.noise(b"file")));
        assert_ne!(cells(key.noise(b"file")), cells(key.noise(b"fire")));
        assert_ne!(
            cells(key.noise(b"file")),
            cells(NoiseKey::random().unwrap().noise(b"file"))
        );
        assert!("short".parse::<NoiseKey>().is_err());
        assert_eq!(format!("{key:?}"), "NoiseKey");
    }

    #[test]
    fn the_noise_is_spread_evenly() {
        let noise = Noise::repeatable(1);
        let mut counts = [0u32; 16];
        for x in 0..64 {
            for y in 0..64 {
                for level in noise.of_cell(x, y, 1, 1) {
                    counts[usize::from(level)] += 1;
                }
            }
        }
        assert!(counts.iter().all(|count| (900..1150).contains(count)), "{counts:?}");
    }
}
