//! Which part of the pictures a machine does, where several share a folder or a bucket.

use std::{path::Path, str::FromStr};

/// `3/8`: the fourth of eight parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u64,
    count: u64,
}

impl Shard {
    /// Whether a picture is of this part, by its name below the folder; on every machine and in every version alike.
    pub fn holds(self, name: &Path) -> bool {
        // The highest bits of the product, as Lemire's reduction takes them.
        let product = u128::from(fnv_1a(name.as_os_str().as_encoded_bytes())) * u128::from(self.count);
        product >> 64 == u128::from(self.index)
    }
}

impl FromStr for Shard {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once('/').and_then(|(index, count)| {
            let (index, count) = (index.parse().ok()?, count.parse().ok()?);
            (index < count).then_some(Self { index, count })
        });
        parts.ok_or("write I/N, with I from 0 and below N, such as 0/4")
    }
}

/// Fowler, Noll and Vo's hash, 64 bits, and a last mixing of its bits (MurmurHash3's finaliser).
fn fnv_1a(bytes: &[u8]) -> u64 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_name_is_of_one_part_and_the_parts_are_alike() {
        let names: Vec<String> = (0..10_000).map(|number| format!("day/{number}.jpg")).collect();
        let mut sizes = [0; 7];
        for name in &names {
            let holds = |index: &usize| Shard::from_str(&format!("{index}/7")).unwrap().holds(Path::new(name));
            let holders: Vec<usize> = (0..7).filter(holds).collect();
            assert_eq!(holders.len(), 1, "{name}");
            sizes[holders[0]] += 1;
        }
        assert!(sizes.iter().all(|size| (1300..1560).contains(size)), "{sizes:?}");
    }

    #[test]
    fn a_name_stays_where_it_is() {
        let of: Vec<usize> = ["a.jpg", "b.jpg", "c/d.png", ""]
            .map(|name| {
                (0..4)
                    .find(|index| {
                        Shard {
                            index: *index,
                            count: 4,
                        }
                        .holds(Path::new(name))
                    })
                    .unwrap() as usize
            })
            .to_vec();
        assert_eq!(of, PINNED);
    }

    /// Moving a name would have it done twice, or never, while versions are mixed.
    const PINNED: [usize; 4] = [1, 0, 3, 3];

    #[test]
    fn what_is_no_part_is_refused() {
        for text in ["", "1", "4/4", "0/0", "-1/2", "1/2/3", "a/b"] {
            assert!(Shard::from_str(text).is_err(), "{text}");
        }
    }
}
