//! The container of AVIF and HEIC: boxes of items, where they lie, what is told of them and how they belong together (ISO/IEC
//! 14496-12, 8.11; 23008-12, 6 and 9).

use std::borrow::Cow;

/// The boxes in a stretch of a file: kind and content. Ends at the first one that is cut off.
pub struct Boxes<'a> {
    rest: &'a [u8],
}

impl<'a> Boxes<'a> {
    pub fn of(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    /// The bytes behind the last box so far.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn find(data: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
        Self::of(data)
            .find(|(found, _)| found == kind)
            .map(|(_, content)| content)
    }
}

impl<'a> Iterator for Boxes<'a> {
    type Item = ([u8; 4], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let mut reader = Reader(self.rest);
        let short = reader.number(4)?;
        let kind = *reader.0.first_chunk()?;
        reader.take(4)?;
        let length = match short {
            0 => self.rest.len() as u64,
            1 => reader.number(8)?,
            length => length,
        };
        let head = self.rest.len() - reader.0.len();
        let (whole, rest) = self.rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.rest = rest;
        Some((kind, whole.get(head..)?))
    }
}

/// What a file says of its items.
pub struct Items<'a> {
    file: &'a [u8],
    /// Data in the same box as all the rest.
    own_data: &'a [u8],
    pub primary: u32,
    /// Number and kind.
    kinds: Vec<(u32, [u8; 4])>,
    places: Vec<(u32, Place)>,
    /// Kind and content.
    properties: Vec<([u8; 4], &'a [u8])>,
    /// An item and the properties that it has, from 1.
    associations: Vec<(u32, Vec<usize>)>,
    references: Vec<Reference>,
}

/// What one item has to do with others.
struct Reference {
    kind: [u8; 4],
    from: u32,
    to: Vec<u32>,
}

struct Place {
    is_in_own_data: bool,
    /// Offset and length.
    stretches: Vec<(u64, u64)>,
}

impl<'a> Items<'a> {
    /// Nothing if the file has no items, or too many.
    pub fn of(file: &'a [u8]) -> Option<Self> {
        let meta = full(Boxes::find(file, b"meta")?)?.1;
        let part = |kind| Boxes::find(meta, kind);
        let properties = part(b"iprp")?;
        Some(Self {
            file,
            own_data: part(b"idat").unwrap_or_default(),
            primary: primary(part(b"pitm")?)?,
            kinds: kinds(part(b"iinf")?)?,
            places: places(part(b"iloc")?)?,
            properties: Boxes::of(Boxes::find(properties, b"ipco")?).take(MOST).collect(),
            associations: Boxes::of(properties)
                .filter(|(kind, _)| kind == b"ipma")
                .filter_map(|(_, content)| associations(content))
                .flatten()
                .collect(),
            references: part(b"iref").and_then(references).unwrap_or_default(),
        })
    }

    /// Every item and its kind.
    pub fn all(&self) -> &[(u32, [u8; 4])] {
        &self.kinds
    }

    pub fn kind(&self, item: u32) -> Option<[u8; 4]> {
        self.kinds.iter().find(|(id, _)| *id == item).map(|(_, kind)| *kind)
    }

    /// Its coded data.
    pub fn data(&self, item: u32) -> Option<Cow<'a, [u8]>> {
        let (_, place) = self.places.iter().find(|(id, _)| *id == item)?;
        let source = if place.is_in_own_data { self.own_data } else { self.file };
        let stretch = |(offset, length): &(u64, u64)| {
            let rest = source.get(usize::try_from(*offset).ok()?..)?;
            match length {
                0 => Some(rest),
                length => rest.get(..usize::try_from(*length).ok()?),
            }
        };
        match &place.stretches[..] {
            [single] => stretch(single).map(Cow::Borrowed),
            several => {
                let parts: Vec<&[u8]> = several.iter().map(stretch).collect::<Option<_>>()?;
                let length: usize = parts.iter().map(|part| part.len()).sum();
                // Stretches may lie upon each other.
                (length <= self.file.len()).then(|| Cow::Owned(parts.concat()))
            }
        }
    }

    /// What is told of an item under this name.
    pub fn properties<'s>(&'s self, item: u32, kind: &'s [u8; 4]) -> impl Iterator<Item = &'a [u8]> + use<'a, 's> {
        let all = self.associations.iter().filter(move |(id, _)| *id == item);
        all.flat_map(|(_, numbers)| numbers)
            .filter_map(|number| self.properties.get(number.checked_sub(1)?))
            .filter(move |(found, _)| found == kind)
            .map(|(_, content)| *content)
    }

    /// The items that this one refers to in this way.
    pub fn referred(&self, item: u32, kind: &[u8; 4]) -> &[u32] {
        let is_wanted = |reference: &&Reference| reference.kind == *kind && reference.from == item;
        let found = self.references.iter().find(is_wanted);
        found.map_or(&[], |reference| &reference.to)
    }

    /// The items that refer to this one in this way.
    pub fn referring<'s>(&'s self, item: u32, kind: &'s [u8; 4]) -> impl Iterator<Item = u32> + use<'a, 's> {
        let of_kind = self.references.iter().filter(move |reference| reference.kind == *kind);
        of_kind
            .filter(move |reference| reference.to.contains(&item))
            .map(|reference| reference.from)
    }
}

fn primary(content: &[u8]) -> Option<u32> {
    let ((version, _), content) = full(content)?;
    Reader(content).id(version > 0)
}

fn kinds(content: &[u8]) -> Option<Vec<(u32, [u8; 4])>> {
    let ((version, _), content) = full(content)?;
    let entries = content.get(if version == 0 { 2 } else { 4 }..)?;
    let kind = |(_, content)| {
        let ((version, _), content) = full(content)?;
        let mut reader = Reader(content);
        let id = reader.id(version > 2)?;
        reader.take(2)?;
        Some((id, *reader.0.first_chunk()?))
    };
    Some(Boxes::of(entries).take(MOST).filter_map(kind).collect())
}

fn places(content: &[u8]) -> Option<Vec<(u32, Place)>> {
    let ((version, _), content) = full(content)?;
    let mut reader = Reader(content);
    let (sizes, more) = (reader.number(1)? as usize, reader.number(1)? as usize);
    let (offset_size, length_size, base_size) = (sizes >> 4, sizes & 15, more >> 4);
    let index_size = if version > 0 { more & 15 } else { 0 };
    let count = reader.number(if version < 2 { 2 } else { 4 })?;
    let mut places = Vec::new();
    for _ in 0..count.min(MOST as u64) {
        let id = reader.id(version > 1)?;
        let method = if version > 0 { reader.number(2)? & 15 } else { 0 };
        // Which file: only this one is there.
        reader.take(2)?;
        let base = reader.number(base_size)?;
        let mut stretches = Vec::new();
        for _ in 0..reader.number(2)?.min(MOST as u64) {
            reader.take(index_size)?;
            let offset = base.checked_add(reader.number(offset_size)?)?;
            stretches.push((offset, reader.number(length_size)?));
        }
        let place = Place {
            is_in_own_data: method == 1,
            stretches,
        };
        // Data made of other items' data is not read.
        if method < 2 {
            places.push((id, place));
        }
    }
    Some(places)
}

fn associations(content: &[u8]) -> Option<Vec<(u32, Vec<usize>)>> {
    let ((version, flags), content) = full(content)?;
    let mut reader = Reader(content);
    let is_wide = flags & 1 == 1;
    let mut found = Vec::new();
    for _ in 0..reader.number(4)?.min(MOST as u64) {
        let id = reader.id(version > 0)?;
        let mut numbers = Vec::new();
        for _ in 0..reader.number(1)? {
            // The highest bit says that the property is needed.
            let number = match is_wide {
                true => reader.number(2)? & 0x7fff,
                false => reader.number(1)? & 0x7f,
            };
            numbers.push(number as usize);
        }
        found.push((id, numbers));
    }
    Some(found)
}

fn references(content: &[u8]) -> Option<Vec<Reference>> {
    let ((version, _), content) = full(content)?;
    let reference = |(kind, content): ([u8; 4], _)| {
        let mut reader = Reader(content);
        let from = reader.id(version > 0)?;
        let to = (0..reader.number(2)?).map(|_| reader.id(version > 0));
        let to = to.collect::<Option<_>>()?;
        Some(Reference { kind, from, to })
    };
    Some(Boxes::of(content).take(MOST).filter_map(reference).collect())
}

/// Version and flags, and what follows them.
fn full(content: &[u8]) -> Option<((u8, u32), &[u8])> {
    let ([version, f2, f1, f0], rest) = content.split_first_chunk()?;
    Some(((*version, u32::from_be_bytes([0, *f2, *f1, *f0])), rest))
}

/// Numbers, the highest byte first.
pub(super) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// Of up to eight bytes; none are zero.
    pub fn number(&mut self, bytes: usize) -> Option<u64> {
        let taken = self.take(bytes).filter(|_| bytes <= 8)?;
        Some(taken.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn id(&mut self, is_wide: bool) -> Option<u32> {
        self.number(if is_wide { 4 } else { 2 }).map(|id| id as u32)
    }
}

/// Items, properties, stretches and references that are looked at.
const MOST: usize = 4096;
