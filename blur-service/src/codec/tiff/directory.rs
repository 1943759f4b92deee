//! The directories of a TIFF, of both kinds: of 4 GB (TIFF 6.0) and of more.

/// Where the directories of a file are.
pub struct File<'a> {
    data: &'a [u8],
    is_big_endian: bool,
    /// Of the kind for more than 4 GB, whose numbers have eight bytes.
    is_big: bool,
}

/// The tagged values of a picture.
pub struct Directory<'a> {
    entries: Vec<Entry<'a>>,
}

struct Entry<'a> {
    tag: u16,
    values: Values<'a>,
}

/// The values of a tag. None is copied, since a file may promise as many as it has bytes.
#[derive(Clone, Copy)]
pub struct Values<'a> {
    data: &'a [u8],
    kind: u16,
    is_big_endian: bool,
}

impl<'a> File<'a> {
    pub fn open(data: &'a [u8]) -> Option<Self> {
        let is_big_endian = match data.first_chunk()? {
            b"MM" => true,
            b"II" => false,
            _ => return None,
        };
        let file = Self {
            data,
            is_big_endian,
            is_big: false,
        };
        let is_big = match file.number(2, 2)? {
            42 => false,
            43 => true,
            _ => return None,
        };
        Some(Self { is_big, ..file })
    }

    pub fn data(&self) -> &'a [u8] {
        self.data
    }

    pub fn is_big_endian(&self) -> bool {
        self.is_big_endian
    }

    /// Where the first directory is.
    pub fn first(&self) -> Option<u64> {
        self.number(if self.is_big { 8 } else { 4 }, self.word())
    }

    /// A directory, as much of it as is there, and where the next one is; zero if there is none.
    pub fn directory(&self, at: u64) -> Option<(Directory<'a>, u64)> {
        let at = usize::try_from(at).ok()?;
        let width = if self.is_big { 8 } else { 2 };
        let count = usize::try_from(self.number(at, width)?).ok()?;
        let first = at + width;
        let step = 4 + 2 * self.word();
        let read = count.min(MOST_ENTRIES);
        let entries = (0..read).map_while(|index| self.entry(first + step * index));
        let entries = entries.flatten().collect();
        let behind = count.checked_mul(step).and_then(|length| first.checked_add(length));
        let next = behind.and_then(|at| self.number(at, self.word())).unwrap_or(0);
        Some((Directory { entries }, next))
    }

    /// An entry; within it nothing if its values are not in the file.
    fn entry(&self, at: usize) -> Option<Option<Entry<'a>>> {
        let word = self.word();
        let (tag, kind) = (self.number(at, 2)? as u16, self.number(at + 2, 2)? as u16);
        let (count, inside) = (self.number(at + 4, word)?, at + 4 + word);
        let place = self.number(inside, word)?;
        let values = || {
            let length = usize::try_from(count).ok()?.checked_mul(bytes_of(kind)?)?;
            let start = if length <= word {
                inside
            } else {
                usize::try_from(place).ok()?
            };
            let data = self.data.get(start..start.checked_add(length)?)?;
            let is_big_endian = self.is_big_endian;
            Some(Values {
                data,
                kind,
                is_big_endian,
            })
        };
        Some(values().map(|values| Entry { tag, values }))
    }

    fn word(&self) -> usize {
        if self.is_big { 8 } else { 4 }
    }

    fn number(&self, at: usize, bytes: usize) -> Option<u64> {
        self.data
            .get(at..at.checked_add(bytes)?)
            .map(|bytes| number(bytes, self.is_big_endian))
    }
}

impl<'a> Directory<'a> {
    pub fn values(&self, tag: u16) -> Option<Values<'a>> {
        self.entries
            .iter()
            .find(|entry| entry.tag == tag)
            .map(|entry| entry.values)
    }

    /// The first value of a tag.
    pub fn value(&self, tag: u16) -> Option<u64> {
        self.values(tag)?.whole(0)
    }

    /// What stands in a tag, as bytes.
    pub fn bytes(&self, tag: u16) -> Option<&'a [u8]> {
        self.values(tag).map(|values| values.data)
    }
}

impl Values<'_> {
    pub fn count(&self) -> usize {
        self.data.len() / bytes_of(self.kind).unwrap_or(1)
    }

    /// A whole number without a sign.
    pub fn whole(&self, index: usize) -> Option<u64> {
        if !WHOLE.contains(&self.kind) {
            return None;
        }
        let bytes = bytes_of(self.kind)?;
        let start = index.checked_mul(bytes)?;
        let data = self.data.get(start..start.checked_add(bytes)?)?;
        Some(number(data, self.is_big_endian))
    }

    /// A fraction, or a whole number.
    pub fn fraction(&self, index: usize) -> Option<f64> {
        if self.kind != RATIONAL {
            return self.whole(index).map(|value| value as f64);
        }
        let start = index.checked_mul(8)?;
        let data = self.data.get(start..start.checked_add(8)?)?;
        let (numerator, parts) = data.split_at(4);
        let [numerator, parts] = [numerator, parts].map(|data| number(data, self.is_big_endian) as f64);
        (parts > 0.0).then(|| numerator / parts)
    }
}

fn number(bytes: &[u8], is_big_endian: bool) -> u64 {
    let fold = |sum, byte: &u8| sum << 8 | u64::from(*byte);
    match is_big_endian {
        true => bytes.iter().fold(0, fold),
        false => bytes.iter().rev().fold(0, fold),
    }
}

/// Of a value, by its type.
fn bytes_of(kind: u16) -> Option<usize> {
    match kind {
        1 | 2 | 6 | 7 => Some(1),
        3 | 8 => Some(2),
        4 | 9 | 11 | 13 => Some(4),
        5 | 10 | 12 | 16..=18 => Some(8),
        _ => None,
    }
}

/// Bytes, shorts, longs, places, and their long forms.
const WHOLE: [u16; 6] = [1, 3, 4, 13, 16, 18];
const RATIONAL: u16 = 5;
/// No picture has nearly so many tags; they are sorted, and those that matter come first.
const MOST_ENTRIES: usize = 4096;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn values_are_read_in_both_byte_orders_and_both_kinds() {
        let small = b"II\x2a\0\x08\0\0\0\x02\0\0\x01\x03\0\x01\0\0\0\x07\0\0\0\x01\x01\x04\0\x02\0\0\0\x26\0\0\0\0\0\0\0\x05\0\0\0\x06\0\0\0";
        let file = File::open(small).unwrap();
        let (directory, next) = file.directory(file.first().unwrap()).unwrap();
        assert_eq!((directory.value(256), next), (Some(7), 0));
        let values = directory.values(257).unwrap();
        assert_eq!((values.count(), values.whole(1), values.whole(2)), (2, Some(6), None));
        let large = b"MM\0\x2b\0\x08\0\0\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\x01\x01\0\0\x03\0\0\0\0\0\0\0\x02\0\x07\0\x08\0\0\0\0\0\0\0\0\0\0\0\0";
        let file = File::open(large).unwrap();
        let (directory, next) = file.directory(file.first().unwrap()).unwrap();
        assert_eq!((directory.values(256).unwrap().whole(1), next), (Some(8), 0));
    }

    #[test]
    fn values_that_are_not_in_the_file_are_none() {
        let file = b"II\x2a\0\x08\0\0\0\x01\0\0\x01\x04\0\xff\xff\xff\xff\x07\0\0\0\0\0\0\0";
        let file = File::open(file).unwrap();
        let (directory, _) = file.directory(8).unwrap();
        assert!(directory.values(256).is_none());
        assert!(file.directory(u64::MAX).is_none());
    }
}
