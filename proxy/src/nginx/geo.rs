//! The rows of `geo`: networks or ranges of addresses, of which later ones go before those that they overlap.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use ipnet::{IpSubnets, Ipv4Subnets, Ipv6Subnets};

use super::report::Report;
use super::syntax::Directive;
use crate::yaml::units::Cidr;

/// What the rows of a block say.
#[derive(Default)]
pub struct Geo<'a> {
    pub networks: Networks<'a>,
    pub default: Option<&'a Directive>,
    /// Networks of those who tell whom they ask for.
    pub proxies: Vec<String>,
    pub is_recursive: bool,
}

/// Networks as YAML writes them, each with the row that says what it is: the last one of those that name it. There may be hundreds
/// of thousands.
#[derive(Default)]
pub struct Networks<'a> {
    /// In their order; none in the place of one that is gone.
    rows: Vec<Option<(String, &'a Directive)>>,
    places: HashMap<String, usize>,
}

impl<'a> Networks<'a> {
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a Directive)> {
        self.rows
            .iter()
            .flatten()
            .map(|(network, row)| (network.as_str(), *row))
    }

    fn put(&mut self, network: String, row: &'a Directive) {
        self.take(&network);
        self.places.insert(network.clone(), self.rows.len());
        self.rows.push(Some((network, row)));
    }

    fn take(&mut self, network: &str) {
        if let Some(place) = self.places.remove(network) {
            self.rows[place] = None;
        }
    }
}

/// Ranges that do not overlap, by whether they are of IPv6 and their first addresses, as numbers.
type Ranges<'a> = BTreeMap<(bool, u128), Range<'a>>;

#[derive(Clone, Copy)]
struct Range<'a> {
    last: u128,
    row: &'a Directive,
}

impl<'a> Geo<'a> {
    pub fn of(block: &'a Directive, report: &mut Report) -> Self {
        let rows = block.block.as_deref().unwrap_or_default();
        let by_ranges = rows.iter().any(|row| row.name == "ranges");
        let (mut geo, mut ranges) = (Self::default(), Ranges::new());
        for row in rows {
            match row.name.as_str() {
                "ranges" | "volatile" => report.carried(row),
                "default" => geo.default = Some(row),
                "proxy" => geo.put_proxy(row, report),
                "proxy_recursive" => {
                    report.carried(row);
                    geo.is_recursive = true;
                }
                "delete" if by_ranges => delete_range(&mut ranges, row, report),
                "delete" => geo.delete(row, report),
                name if by_ranges => match range(name, row) {
                    Some((first, range)) => {
                        report.carried(row);
                        put(&mut ranges, first, range);
                    }
                    None => report.missing(row, "it is no range of addresses, such as 10.0.0.1-10.0.0.9"),
                },
                name => geo.put(name, row, report),
            }
        }
        for (network, row) in ranges.iter().flat_map(networks) {
            geo.networks.put(network, row);
        }
        geo
    }

    fn put(&mut self, network: &str, row: &'a Directive, report: &mut Report) {
        match network.parse::<Cidr>() {
            Ok(_) if network.ends_with("/0") && network != "::/0" => self.default = Some(row),
            Ok(_) => {
                report.carried(row);
                self.networks.put(network.to_owned(), row);
            }
            Err(_) => report.missing(row, "only networks are known here, such as 10.0.0.0/8"),
        }
    }

    fn put_proxy(&mut self, row: &Directive, report: &mut Report) {
        match row.word(0).parse::<Cidr>() {
            Ok(_) => {
                report.carried(row);
                self.proxies.push(row.word(0).to_owned());
            }
            Err(_) => report.missing(row, "only networks are known here, such as 10.0.0.0/8"),
        }
    }

    fn delete(&mut self, row: &Directive, report: &mut Report) {
        report.carried(row);
        self.networks.take(row.word(0));
    }
}

/// `10.0.0.1-10.0.0.9`
fn range<'a>(text: &str, row: &'a Directive) -> Option<((bool, u128), Range<'a>)> {
    let (first, last) = text.split_once('-')?;
    let (first, last): (IpAddr, IpAddr) = (first.parse().ok()?, last.parse().ok()?);
    let (begin, end) = (number(first), number(last));
    let is_range = first.is_ipv6() == last.is_ipv6() && begin <= end;
    is_range.then_some(((first.is_ipv6(), begin), Range { last: end, row }))
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// Puts a range in the place of what it overlaps.
fn put<'a>(ranges: &mut Ranges<'a>, (is_ipv6, first): (bool, u128), range: Range<'a>) {
    let before = ranges.range_mut((is_ipv6, 0)..(is_ipv6, first)).next_back();
    if let Some((_, before)) = before.filter(|(_, before)| before.last >= first) {
        let whole = *before;
        before.last = first - 1;
        if whole.last > range.last {
            ranges.insert((is_ipv6, range.last + 1), whole);
        }
    }
    while let Some((&begin, &there)) = ranges.range((is_ipv6, first)..=(is_ipv6, range.last)).next() {
        ranges.remove(&begin);
        if there.last > range.last {
            ranges.insert((is_ipv6, range.last + 1), there);
        }
    }
    ranges.insert((is_ipv6, first), range);
}

/// Nginx takes away a range that is there just so, and no part of one.
fn delete_range(ranges: &mut Ranges<'_>, row: &Directive, report: &mut Report) {
    report.carried(row);
    if let Some((first, gone)) = range(row.word(0), row)
        && ranges.get(&first).is_some_and(|there| there.last == gone.last)
    {
        ranges.remove(&first);
    }
}

/// The fewest networks that are a range.
fn networks<'a>((&(is_ipv6, first), range): (&(bool, u128), &Range<'a>)) -> Vec<(String, &'a Directive)> {
    let subnets: IpSubnets = match (is_ipv6, u32::try_from(first), u32::try_from(range.last)) {
        (false, Ok(first), Ok(last)) => Ipv4Subnets::new(first.into(), last.into(), 0).into(),
        _ => Ipv6Subnets::new(first.into(), range.last.into(), 0).into(),
    };
    subnets.map(|network| (network.to_string(), range.row)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::syntax::parse;
    use super::*;

    fn said(rows: &str) -> String {
        let directives = parse("x", &format!("geo $a {{ {rows} }}")).unwrap();
        let geo = Geo::of(&directives[0], &mut Report::default());
        let mut networks: Vec<String> = geo
            .networks
            .iter()
            .map(|(network, row)| format!("{network} {}", row.word(0)))
            .collect();
        networks.sort();
        networks.join(", ")
    }

    #[test]
    fn later_ranges_go_before_those_that_they_overlap() {
        for (rows, networks) in [
            ("ranges; 10.0.0.0-10.0.0.255 a;", "10.0.0.0/24 a"),
            (
                "ranges; 10.0.0.0-10.0.0.3 a; 10.0.0.1-10.0.0.2 b;",
                "10.0.0.0/32 a, 10.0.0.1/32 b, 10.0.0.2/32 b, 10.0.0.3/32 a",
            ),
            ("ranges; 10.0.0.0-10.0.0.3 a; delete 10.0.0.0-10.0.0.3;", ""),
            (
                "ranges; 10.0.0.0-10.0.0.3 a; delete 10.0.0.0-10.0.0.1;",
                "10.0.0.0/30 a",
            ),
            ("ranges; 10.0.0.3-10.0.0.1 a; x-y b; 10.0.0.1 c;", ""),
            ("ranges; 0.0.0.0-255.255.255.255 a;", "0.0.0.0/0 a"),
            (
                "10.0.0.0/8 a; 10.0.0.0/8 b; 10.1.0.0/16 c; delete 10.1.0.0/16;",
                "10.0.0.0/8 b",
            ),
        ] {
            assert_eq!(said(rows), networks, "{rows}");
        }
        let all = said("ranges; ::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff a; ::1-::1 b;");
        assert_eq!(all.split(", ").count(), 129);
        assert!(all.contains("::1/128 b") && all.contains("::/128 a") && all.contains("8000::/1 a"));
    }
}
