//! Colour profiles in APP2 segments: taken apart and put together (ICC.1:2022, annex B.4).

use crate::jpeg::error::JpegError;

const PREFIX: &[u8] = b"ICC_PROFILE\0";

/// What fits into one segment beside its length, the prefix, the number and the count.
const CHUNK: usize = 65_535 - 2 - PREFIX.len() - 2;

/// One numbered piece of a profile.
#[derive(Clone, Copy)]
pub struct Chunk<'a> {
    number: u8,
    count: u8,
    bytes: &'a [u8],
}

impl<'a> Chunk<'a> {
    pub fn parse(body: &'a [u8]) -> Option<Self> {
        match body.strip_prefix(PREFIX)? {
            [number, count, bytes @ ..] => Some(Self {
                number: *number,
                count: *count,
                bytes,
            }),
            _ => None,
        }
    }

    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// The profile, if every piece of it is there once.
pub fn join(chunks: &[Chunk]) -> Option<Vec<u8>> {
    let count = chunks.first()?.count;
    if chunks.len() != usize::from(count) || chunks.iter().any(|chunk| chunk.count != count) {
        return None;
    }
    let pieces = (1..=count).map(|number| {
        chunks
            .iter()
            .find(|chunk| chunk.number == number)
            .map(|chunk| chunk.bytes)
    });
    Some(pieces.collect::<Option<Vec<_>>>()?.concat())
}

/// Bodies of the segments that hold `profile`.
pub fn split(profile: &[u8]) -> Result<Vec<Vec<u8>>, JpegError> {
    let count = profile.len().div_ceil(CHUNK);
    let Ok(count) = u8::try_from(count) else {
        return Err(JpegError::TooLarge {
            what: "segments of the colour profile",
            found: count as u64,
            limit: 255,
        });
    };
    let body = |(number, bytes)| [PREFIX, &[number, count], bytes].concat();
    Ok((1..=count).zip(profile.chunks(CHUNK)).map(body).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_long_profile_is_split_and_joined_again_in_any_order() {
        let profile: Vec<u8> = (0..200_000u32).map(|n| ((n * 7) >> 3) as u8).collect();
        let mut bodies = split(&profile).unwrap();
        bodies.reverse();
        let chunks: Vec<Chunk> = bodies.iter().filter_map(|body| Chunk::parse(body)).collect();
        assert_eq!(chunks.len(), 4);
        assert_eq!(join(&chunks).unwrap(), profile);
        assert_eq!(join(&chunks[1..]), None);
    }
}
