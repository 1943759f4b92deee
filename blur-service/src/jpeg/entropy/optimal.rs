//! The shortest table for given frequencies (ITU-T T.81, annex K.2).

use crate::jpeg::syntax::spec::Spec;

/// A set of symbols, or their frequencies.
pub type Frequencies = [u32; 256];

impl Spec {
    /// The shortest table for these frequencies (annex K.2): a Huffman tree, cut to 16 bits.
    pub fn optimal(frequencies: &Frequencies) -> Self {
        // The 257th symbol is never used; it keeps the code of all ones free.
        let mut weights: Vec<u64> = frequencies.iter().map(|count| u64::from(*count)).chain([1]).collect();
        let mut group: Vec<usize> = (0..weights.len()).collect();
        let mut sizes = vec![0usize; weights.len()];
        while let Some((least, second)) = two_least(&weights) {
            weights[least] += weights[second];
            weights[second] = 0;
            for (owner, size) in group.iter_mut().zip(&mut sizes) {
                if *owner == least || *owner == second {
                    *owner = least;
                    *size += 1;
                }
            }
        }
        let mut order: Vec<u8> = (0..=255)
            .filter(|symbol| frequencies[usize::from(*symbol)] > 0)
            .collect();
        order.sort_by_key(|symbol| sizes[usize::from(*symbol)]);
        Self {
            counts: limited(&sizes),
            symbols: order,
        }
    }
}

/// The two least weights above zero, the later one first among equals.
fn two_least(weights: &[u64]) -> Option<(usize, usize)> {
    let least = |except: usize| {
        let candidates = weights
            .iter()
            .enumerate()
            .filter(|(index, weight)| **weight > 0 && *index != except);
        candidates
            .min_by_key(|(index, weight)| (**weight, usize::MAX - index))
            .map(|(index, _)| index)
    };
    let first = least(usize::MAX)?;
    Some((first, least(first)?))
}

/// How many codes of each length, none longer than 16 bits, without that of the 257th symbol.
fn limited(sizes: &[usize]) -> [u8; 16] {
    let mut counts = vec![0u32; sizes.len() + 1];
    sizes
        .iter()
        .filter(|size| **size > 0)
        .for_each(|size| counts[*size] += 1);
    for length in (17..counts.len()).rev() {
        while counts[length] > 0 {
            // Two of the longest codes become one that is shorter by a bit; the other hangs below a shorter code.
            let Some(shorter) = (1..length - 1).rev().find(|shorter| counts[*shorter] > 0) else {
                break;
            };
            counts[length] -= 2;
            counts[length - 1] += 1;
            counts[shorter + 1] += 2;
            counts[shorter] -= 1;
        }
    }
    if let Some(longest) = (1..=16).rev().find(|length| counts[*length] > 0) {
        counts[longest] -= 1;
    }
    std::array::from_fn(|index| counts[index + 1] as u8)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::jpeg::syntax::spec::Codes;

    #[test]
    fn an_optimal_table_has_every_symbol_and_no_long_code() {
        let mut frequencies = [0; 256];
        let (mut a, mut b) = (1u32, 1u32);
        for count in frequencies.iter_mut().take(40) {
            *count = a;
            (a, b) = (b, a.saturating_add(b));
        }
        let spec = Spec::optimal(&frequencies);
        assert!(Spec::new(spec.counts, &spec.symbols).is_some());
        let codes = Codes::new(&spec);
        assert!((0..40).all(|symbol| codes.find(symbol).is_some()));
        assert!(codes.find(39).unwrap().1 < codes.find(0).unwrap().1);
    }
}
