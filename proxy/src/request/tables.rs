//! Tables: what a text, an address or a share of all requests stands for. Nginx: `map`, `geo` and `split_clients`.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderValue;
use pingora::http::RequestHeader;
use quantity::forwarded::{address, from_the_last};
use schemars::JsonSchema;
use serde::Deserialize;

use super::expression::{Expression, as_it_is};
use super::networks::Networks;
use super::variables::Template;
use super::{LookUp, RequestCtx};
use crate::yaml::units::{Cidr, Ratio};

/// The tables that a text with variables names: `$table_plan`, `$(table_plan)`.
pub fn named_in(text: &str) -> impl Iterator<Item = &str> {
    let is_in_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    // After `$$` there is a dollar sign, and no variable.
    let mut pieces = text.split('$').skip(1);
    std::iter::from_fn(move || {
        let piece = pieces.next()?;
        if piece.is_empty() {
            pieces.next();
        }
        let name = piece
            .strip_prefix('(')
            .unwrap_or(piece)
            .strip_prefix("table_")
            .unwrap_or_default();
        Some(&name[..name.find(|c| !is_in_name(c)).unwrap_or(name.len())])
    })
    .filter(|name| !name.is_empty())
}

/// All tables, by their names.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(from = "BTreeMap<String, Table>")]
#[schemars(with = "BTreeMap<String, Table>")]
pub struct Tables(Arc<BTreeMap<String, Table>>);

impl From<BTreeMap<String, Table>> for Tables {
    fn from(tables: BTreeMap<String, Table>) -> Self {
        Self(Arc::new(tables))
    }
}

impl Tables {
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// None where there is none.
    pub fn for_requests(&self) -> Option<Arc<dyn LookUp>> {
        (!self.0.is_empty()).then(|| Arc::new(self.clone()) as Arc<dyn LookUp>)
    }
}

/// `{ of: $header_x_plan, default: free, rows: [{ text: gold, is: fast }] }`. A text goes before hosts, those before regular
/// expressions, which are asked in their order, then the smallest network, then shares.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(try_from = "TableFields")]
#[schemars(with = "TableFields")]
pub struct Table {
    of: Template,
    default: Option<Template>,
    texts: HashMap<String, Template>,
    /// By what follows the `*`, or what is before it.
    hosts: Vec<(Host, Template)>,
    expressions: Vec<(Expression, Template)>,
    networks: Networks<Template>,
    /// Each with the least hash that is behind it.
    shares: Vec<(u64, Template)>,
    proxies: Vec<Cidr>,
    nearest_proxy_only: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TableFields {
    /// What is looked up.
    of: Template,
    /// What it is where no row fits; nothing unless given.
    default: Option<Template>,
    /// Where what is looked up is the address of one of these, that which it has written last into X-Forwarded-For is looked up
    /// in its place, and so on. Nginx: `proxy` of `geo`.
    #[serde(default)]
    proxies: Vec<Cidr>,
    /// Whom the first of them has told of is looked up, be it a proxy too. Nginx: without `proxy_recursive`.
    #[serde(default)]
    nearest_proxy_only: bool,
    /// What each network stands for, in fewer words than rows. Nginx: `geo`.
    #[serde(default)]
    networks: BTreeMap<Cidr, Template>,
    #[serde(default)]
    rows: Vec<RowFields>,
}

/// One of the kinds, and what it stands for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RowFields {
    /// Whatever the case of its letters.
    text: Option<String>,
    /// `example.com`, `*.example.com`, `example.*`, or `.example.com` for both of the first.
    host: Option<String>,
    /// What its groups take is `$capture_1`, `$capture_NAME` in `is`.
    regex: Option<Expression>,
    network: Option<Cidr>,
    /// Of all, by their hash; the same text is always in the same share.
    share: Option<Ratio>,
    is: Template,
}

#[derive(Clone, Debug, PartialEq)]
enum Host {
    Exact(String),
    /// With its dot, `.example.com`.
    Below(String),
    /// With its dot, `example.`
    Before(String),
}

impl TryFrom<TableFields> for Table {
    type Error = String;

    fn try_from(fields: TableFields) -> Result<Self, String> {
        let mut table = Self {
            of: fields.of,
            default: fields.default,
            texts: HashMap::new(),
            hosts: Vec::new(),
            expressions: Vec::new(),
            networks: Networks::default(),
            shares: Vec::new(),
            proxies: fields.proxies,
            nearest_proxy_only: fields.nearest_proxy_only,
        };
        let mut so_far = 0.0;
        for row in fields.rows {
            match (row.text, row.host, row.regex, row.network, row.share) {
                (Some(text), None, None, None, None) => {
                    if table.texts.insert(text.to_lowercase(), row.is).is_some() {
                        return Err(format!("{text:?} stands for two things; write one row"));
                    }
                }
                (None, Some(host), None, None, None) => {
                    table.hosts.extend(hosts(&host).map(|host| (host, row.is.clone())));
                }
                (None, None, Some(expression), None, None) => table.expressions.push((expression, row.is)),
                (None, None, None, Some(network), None) => table.networks.put(network, row.is),
                (None, None, None, None, Some(share)) => {
                    so_far += share.get();
                    table.shares.push(((so_far * ALL_HASHES).round() as u64, row.is));
                }
                _ => return Err("a row is for one of text, host, regex, network and share".to_owned()),
            }
        }
        for (network, is) in fields.networks {
            table.networks.put(network, is);
        }
        if so_far > 1.000_001 {
            return Err("the shares are more than 100% together".to_owned());
        }
        table
            .hosts
            .sort_by_key(|(host, _)| std::cmp::Reverse(host.precedence()));
        Ok(table)
    }
}

/// Nginx: a share is one of 32 bits.
const ALL_HASHES: f64 = u32::MAX as f64;

fn hosts(text: &str) -> impl Iterator<Item = Host> {
    let text = text.to_ascii_lowercase();
    let both = match (text.strip_prefix("*."), text.strip_prefix('.'), text.strip_suffix(".*")) {
        (Some(below), ..) => [Some(Host::Below(format!(".{below}"))), None],
        (_, Some(domain), _) => [Some(Host::Exact(domain.to_owned())), Some(Host::Below(text.clone()))],
        (.., Some(before)) => [Some(Host::Before(format!("{before}."))), None],
        _ => [Some(Host::Exact(text)), None],
    };
    both.into_iter().flatten()
}

impl Host {
    fn takes(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => host == name,
            Self::Below(end) => host.len() > end.len() && host.ends_with(end.as_str()),
            Self::Before(begin) => host.len() > begin.len() && host.starts_with(begin.as_str()),
        }
    }

    fn precedence(&self) -> (u8, usize) {
        match self {
            Self::Exact(name) => (2, name.len()),
            Self::Below(end) => (1, end.len()),
            Self::Before(begin) => (0, begin.len()),
        }
    }
}

/// What a table says, and what groups have taken on the way.
type Row<'a> = (&'a Template, Vec<(Box<str>, Box<str>)>);

impl Table {
    fn key(&self, head: &RequestHeader, ctx: &RequestCtx) -> Vec<u8> {
        let key = self.of.bytes(head, ctx);
        if self.proxies.is_empty() {
            return key;
        }
        let found = self.behind_proxies(&key, head, ctx);
        found.map_or(key, |address| address.to_string().into_bytes())
    }

    fn row(&self, key: &[u8]) -> Option<Row<'_>> {
        let text = String::from_utf8_lossy(key);
        let plain = |is| Some((is, Vec::new()));
        if let Some(is) = self.by_text(&text) {
            return plain(is);
        }
        for (expression, is) in &self.expressions {
            if let Some(groups) = expression.groups(&text, as_it_is) {
                return Some((is, groups));
            }
        }
        if let Ok(address) = text.parse::<IpAddr>()
            && let Some(is) = self.networks.find(address)
        {
            return plain(is);
        }
        if !self.shares.is_empty() {
            let hash = u64::from(murmur2(key));
            if let Some((_, is)) = self.shares.iter().find(|(behind, _)| hash < *behind) {
                return plain(is);
            }
        }
        self.default.as_ref().and_then(plain)
    }

    /// Whom the proxies tell of, where what is looked up is the address of one.
    fn behind_proxies(&self, key: &[u8], head: &RequestHeader, ctx: &RequestCtx) -> Option<IpAddr> {
        let of_proxy = |address: &IpAddr| self.proxies.iter().any(|network| network.contains(*address));
        let proxy = address(key).filter(of_proxy)?;
        let passed_on = head.headers.get_all("x-forwarded-for").iter();
        let lines: Vec<&[u8]> = passed_on
            .chain(&ctx.notes.unproved)
            .map(HeaderValue::as_bytes)
            .collect();
        let mut found = proxy;
        for told in from_the_last(&lines).map_while(address) {
            found = told;
            if self.nearest_proxy_only || !of_proxy(&found) {
                break;
            }
        }
        Some(found)
    }

    fn by_text(&self, text: &str) -> Option<&Template> {
        if self.texts.is_empty() && self.hosts.is_empty() {
            return None;
        }
        let lower = text.to_lowercase();
        let by_text = self.texts.get(&lower);
        let host = lower.strip_suffix('.').unwrap_or(&lower);
        by_text.or_else(|| Some(&self.hosts.iter().find(|(pattern, _)| pattern.takes(host))?.1))
    }
}

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Tables that look each other up.
const DEEPEST: u32 = 8;

impl LookUp for Tables {
    fn append(&self, table: &str, head: &RequestHeader, ctx: &RequestCtx, text: &mut Vec<u8>) {
        let depth = DEPTH.get();
        let Some(table) = self.0.get(table).filter(|_| depth < DEEPEST) else {
            return;
        };
        DEPTH.set(depth + 1);
        let key = table.key(head, ctx);
        if let Some((is, groups)) = table.row(&key) {
            text.append(&mut is.bytes_with(head, ctx, &groups));
        }
        DEPTH.set(depth);
    }
}

/// MurmurHash2 with the seed 0, by which Nginx shares out clients.
fn murmur2(key: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let little_endian = |bytes: &[u8]| bytes.iter().rev().fold(0, |word, byte| (word << 8) | u32::from(*byte));
    let mix = |k: u32| {
        let k = k.wrapping_mul(M);
        (k ^ (k >> 24)).wrapping_mul(M)
    };
    let mut hash = key.len() as u32;
    let mut words = key.chunks_exact(4);
    for word in &mut words {
        hash = hash.wrapping_mul(M) ^ mix(little_endian(word));
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        hash = (hash ^ little_endian(rest)).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::request::testing::{ctx, request};

    fn said(yaml: &str, value: &str) -> String {
        let tables: Tables = serde_yaml::from_str(&format!("{{ x: {yaml} }}")).unwrap();
        let mut ctx = ctx("192.0.2.1");
        ctx.tables = tables.for_requests();
        let head = request("GET", "/", &[("x-a", value)]);
        String::from_utf8(Template::parse("$table_x").unwrap().bytes(&head, &ctx)).unwrap()
    }

    #[test]
    fn the_most_exact_row_decides() {
        let yaml = "{ of: $header_x_a, default: none, rows: [{ regex: '^b(.)', is: 'r$capture_1' }, { text: Bc, is: text }, \
                    { host: '*.a.test', is: below }, { host: .b.a.test, is: both }, { host: 'www.*', is: before }] }";
        for (value, is) in [
            ("bc", "text"),
            ("BC", "text"),
            ("bd", "rd"),
            ("x.a.test", "below"),
            ("X.A.test.", "below"),
            ("a.test", "none"),
            ("b.a.test", "both"),
            ("x.b.a.test", "both"),
            ("www.c", "before"),
            ("", "none"),
        ] {
            assert_eq!(said(yaml, value), is, "{value}");
        }
    }

    #[test]
    fn the_smallest_network_decides() {
        for yaml in [
            "{ of: $header_x_a, rows: [{ network: 10.0.0.0/8, is: far }, { network: 10.1.0.0/16, is: near }] }",
            "{ of: $header_x_a, networks: { 10.0.0.0/8: far, 10.1.0.0/16: near } }",
            "{ of: $header_x_a, networks: { 10.0.0.0/8: far, 10.1.0.0/16: wide }, rows: [{ network: 10.1.0.0/16, is: near }] }",
        ] {
            for (value, is) in [("10.1.2.3", "near"), ("10.2.2.3", "far"), ("11.0.0.1", ""), ("x", "")] {
                assert_eq!(said(yaml, value), is, "{yaml} {value}");
            }
        }
    }

    #[test]
    fn proxies_are_asked_whom_they_are_for() {
        let rows = "default: none, rows: [{ network: 10.0.0.0/8, is: proxy }, { network: 192.0.2.0/24, is: near }]";
        for (proxies, told, is) in [
            ("", "192.0.2.9", "proxy"),
            ("proxies: [10.0.0.1/32],", "192.0.2.9", "near"),
            ("proxies: [10.0.0.1/32],", "203.0.113.1, 192.0.2.9:80", "near"),
            ("proxies: [10.0.0.1/32],", "192.0.2.9, 10.0.0.1", "near"),
            ("proxies: [10.0.0.1/32],", "192.0.2.9, 10.0.0.2", "proxy"),
            ("proxies: [10.0.0.1/32],", "192.0.2.9, who?", "proxy"),
            ("proxies: [10.0.0.1/32],", "203.0.113.1", "none"),
            ("proxies: [10.0.0.1/32],", "", "proxy"),
            (
                "proxies: [10.0.0.1/32], nearest_proxy_only: true,",
                "192.0.2.9, 10.0.0.1",
                "proxy",
            ),
            ("proxies: [10.0.0.3/32],", "192.0.2.9", "proxy"),
        ] {
            let yaml = format!("{{ x: {{ of: $client_address, {proxies} {rows} }} }}");
            let tables: Tables = serde_yaml::from_str(&yaml).unwrap();
            let mut of_stranger = ctx("10.0.0.1");
            of_stranger.notes.unproved = vec![HeaderValue::from_str(told).unwrap()];
            for (head, ctx) in [
                (request("GET", "/", &[("x-forwarded-for", told)]), ctx("10.0.0.1")),
                (request("GET", "/", &[]), of_stranger),
            ] {
                let mut said = Vec::new();
                tables.append("x", &head, &ctx, &mut said);
                assert_eq!(String::from_utf8(said).unwrap(), is, "{proxies} {told}");
            }
        }
    }

    #[test]
    fn shares_are_nginxs() {
        // Taken from Nginx's own murmur_hash2.
        assert_eq!(murmur2(b""), 0);
        assert_eq!(murmur2(b"hello"), 0xe56129cb);
        let yaml = "{ of: $header_x_a, default: rest, rows: [{ share: 20%, is: few }] }";
        let few = (0..1000).filter(|n| said(yaml, &n.to_string()) == "few").count();
        assert!((150..250).contains(&few), "{few}");
        let all = "{ of: $header_x_a, rows: [{ share: 100%, is: all }] }";
        assert_eq!(said(all, "any"), "all");
    }

    #[test]
    fn a_circle_ends() {
        let tables: Tables =
            serde_yaml::from_str("{ a: { of: $table_b, rows: [] }, b: { of: $table_a, rows: [] } }").unwrap();
        let mut text = Vec::new();
        tables.append("a", &request("GET", "/", &[]), &ctx("192.0.2.1"), &mut text);
        assert!(text.is_empty());
    }

    #[test]
    fn a_row_is_for_one_thing() {
        for rows in [
            "[{ is: a }]",
            "[{ text: a, host: b, is: c }]",
            "[{ text: a, is: b }, { text: A, is: c }]",
            "[{ share: 60%, is: a }, { share: 60%, is: b }]",
            "[{ regex: '(?=a)', is: b }]",
        ] {
            let yaml = format!("{{ of: $host, rows: {rows} }}");
            assert!(serde_yaml::from_str::<Table>(&yaml).is_err(), "{rows}");
        }
    }
}
