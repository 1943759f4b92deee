//! A table as it stands in a file, extended without changing a code it has, and its codes for writing (ITU-T T.81,
//! annex C).

/// A table as it stands in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// How many codes there are of 1 to 16 bits.
    pub counts: [u8; 16],
    /// Symbols by growing code.
    pub symbols: Vec<u8>,
}

impl Spec {
    /// The table, or nothing if its codes do not fit their lengths. No code may be all ones.
    pub fn new(counts: [u8; 16], symbols: &[u8]) -> Option<Self> {
        let spec = Self {
            counts,
            symbols: symbols.to_vec(),
        };
        let total: usize = counts.iter().map(|count| usize::from(*count)).sum();
        let fits = (1..=16).zip(spec.next_codes()).all(|(length, next)| next < 1 << length);
        (total == symbols.len() && total <= 256 && fits).then_some(spec)
    }

    /// Every code: its bits, its length and its symbol.
    pub fn codes(&self) -> impl Iterator<Item = (u32, u32, u8)> {
        let lengths = (1u32..=16)
            .zip(self.counts)
            .flat_map(|(length, count)| (0..count).map(move |_| length));
        let mut next = (0u32, 0u32);
        lengths.zip(&self.symbols).map(move |(length, symbol)| {
            let code = next.0 << (length - next.1);
            next = (code + 1, length);
            (code, length, *symbol)
        })
    }

    /// For 1 to 16 bits, the first code of that length that is free.
    pub(crate) fn next_codes(&self) -> [u32; 16] {
        let mut next = 0u32;
        self.counts.map(|count| {
            next = (next << 1).saturating_add(u32::from(count)).min(1 << 20);
            next
        })
    }

    /// This table with `missing` symbols behind its own ones, every code it has unchanged; nothing if there is no room.
    pub fn extended(&self, missing: &[u8]) -> Option<Self> {
        let longest = self.counts.iter().rposition(|count| *count > 0)?;
        let next = self.next_codes();
        let length = (longest..16).find(|bits| (2 << bits) > next[*bits] as usize + missing.len())?;
        let mut counts = self.counts;
        counts[length] = counts[length].checked_add(u8::try_from(missing.len()).ok()?)?;
        Self::new(counts, &[&self.symbols, missing].concat())
    }
}

/// Codes by symbol, for writing.
pub struct Codes {
    /// Code and length; length zero: the table lacks this symbol.
    codes: Box<[(u16, u8); 256]>,
}

impl Codes {
    pub fn new(spec: &Spec) -> Self {
        let mut codes = Box::new([(0, 0); 256]);
        for (code, length, symbol) in spec.codes() {
            codes[usize::from(symbol)] = (code as u16, length as u8);
        }
        Self { codes }
    }

    /// The code of `symbol` and its length in bits, if the table has it.
    #[inline(always)]
    pub fn find(&self, symbol: u8) -> Option<(u32, u32)> {
        let (code, length) = self.codes[usize::from(symbol)];
        (length > 0).then_some((u32::from(code), u32::from(length)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_extended_table_keeps_its_codes() {
        let spec = Spec::new(counts(&[0, 1, 5]), &[1, 2, 3, 4, 5, 6]).unwrap();
        let extended = spec.extended(&[7, 8, 9, 10, 11]).unwrap();
        let (before, after) = (Codes::new(&spec), Codes::new(&extended));
        for symbol in 1..=6 {
            assert_eq!(before.find(symbol), after.find(symbol));
        }
        for symbol in 7..=11 {
            assert!(before.find(symbol).is_none() && after.find(symbol).is_some());
        }
    }

    #[test]
    fn a_full_table_cannot_be_extended() {
        let mut full = counts(&[1; 16]);
        full[15] = 1;
        let spec = Spec::new(full, &(0..16).collect::<Vec<u8>>()).unwrap();
        assert!(spec.extended(&[100]).is_none());
    }

    #[test]
    fn a_table_with_too_many_codes_is_refused() {
        assert!(Spec::new(counts(&[2]), &[1, 2]).is_none());
        assert!(Spec::new(counts(&[1, 2]), &[1, 2, 3]).is_none());
    }

    fn counts(first: &[u8]) -> [u8; 16] {
        std::array::from_fn(|index| first.get(index).copied().unwrap_or(0))
    }
}
