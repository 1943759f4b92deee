//! SRV records as backends: their weights, and their priorities as tiers.

use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{Name, RData};

use crate::pool::members::address::Address;

/// An SRV record's target as a backend.
#[derive(Debug, PartialEq, Eq)]
pub struct Target {
    pub name: Name,
    pub port: u16,
    pub weight: u32,
    pub backup: bool,
}

impl Target {
    /// None where the record says that the service is not there.
    pub fn address(&self) -> Option<Address> {
        let name = self.name.to_utf8();
        format!("{}:{}", name.trim_end_matches('.'), self.port).parse().ok()
    }
}

/// RFC 2782: the lowest priority comes first; the weights are shares among equals. They go up to 65535, and a ring has
/// points for each unit of weight, so that only their ratio is taken, in units of a hundredth of the greatest at least.
pub fn targets(records: &[RData]) -> Vec<Target> {
    let mut records: Vec<&SRV> = records
        .iter()
        .filter_map(|data| match data {
            RData::SRV(record) => Some(record),
            _ => None,
        })
        .collect();
    records.sort_by(|a, b| (a.priority, &a.target, a.port).cmp(&(b.priority, &b.target, b.port)));
    records.dedup_by(|a, b| a.target == b.target && a.port == b.port);
    let lowest = records.first().map_or(0, |record| record.priority);
    let divisor = records
        .iter()
        .fold(0, |divisor, record| {
            greatest_common_divisor(divisor, record.weight.into())
        })
        .max(1);
    let greatest = records
        .iter()
        .map(|record| u32::from(record.weight) / divisor)
        .max()
        .unwrap_or(1);
    let weight = |record: &SRV| {
        let weight = u32::from(record.weight) / divisor;
        let within = if greatest > MOST_WEIGHT {
            weight * MOST_WEIGHT / greatest
        } else {
            weight
        };
        within.max(1)
    };
    let target = |record: &&SRV| Target {
        name: record.target.clone(),
        port: record.port,
        weight: weight(record),
        backup: record.priority > lowest,
    };
    records.iter().map(target).collect()
}

const MOST_WEIGHT: u32 = 100;

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    match b {
        0 => a,
        b => greatest_common_divisor(b, a % b),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn srv(priority: u16, weight: u16, target: &str) -> RData {
        RData::SRV(SRV::new(priority, weight, 5000, target.parse().unwrap()))
    }

    fn seen(records: &[RData]) -> Vec<(String, u32, bool)> {
        let shown = |target: Target| (target.address().unwrap().to_string(), target.weight, target.backup);
        targets(records).into_iter().map(shown).collect()
    }

    #[test]
    fn a_higher_priority_number_is_a_backup() {
        let records = [
            srv(20, 5, "spare.test."),
            srv(10, 60, "b.test."),
            srv(10, 20, "a.test."),
        ];
        let expected = [
            ("a.test:5000", 4, false),
            ("b.test:5000", 12, false),
            ("spare.test:5000", 1, true),
        ];
        assert_eq!(
            seen(&records),
            expected.map(|(name, weight, backup)| (name.to_owned(), weight, backup))
        );
    }

    #[test]
    fn weights_are_ratios_within_a_hundred_and_never_nothing() {
        let weights = |weights: &[u16]| -> Vec<u32> {
            let names = ["a.test.", "b.test.", "c.test."];
            let records: Vec<RData> = weights
                .iter()
                .zip(names)
                .map(|(weight, name)| srv(1, *weight, name))
                .collect();
            targets(&records).iter().map(|target| target.weight).collect()
        };
        assert_eq!(weights(&[33, 33, 33]), [1, 1, 1]);
        assert_eq!(weights(&[0, 0]), [1, 1]);
        assert_eq!(weights(&[0, 10]), [1, 1]);
        assert_eq!(weights(&[65535, 32767, 1]), [100, 49, 1]);
    }

    #[test]
    fn a_record_for_nobody_is_passed_over() {
        assert_eq!(targets(&[srv(0, 0, ".")])[0].address(), None);
    }
}
