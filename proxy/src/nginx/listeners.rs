//! Listeners: what all `server` blocks say of the addresses that they share.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::draft::{Draft, Map};
use super::report::Report;
use super::scope::Scope;
use super::servers::Server;
use super::syntax::Directive;
use super::values;
use crate::client::endpoint::Endpoint;
use crate::yaml::units::ByteSize;

/// The listeners of all servers, by the names that routes know them by.
pub fn listeners(servers: &[Server], report: &mut Report) -> Map {
    let mut addresses: BTreeMap<&Endpoint, Vec<&Server>> = BTreeMap::new();
    for server in servers {
        for listen in &server.listens {
            let there = addresses.entry(&listen.address).or_default();
            // One that listens over IPv6 beside is there once.
            if there.last().is_none_or(|last| last.block.place != server.block.place) {
                there.push(server);
            }
        }
    }
    let mut listeners = Map::default();
    for (address, there) in addresses {
        let default = there.iter().find(|server| server.is_default_at(address, servers));
        let listener = Sharing {
            address,
            default: default.unwrap_or(&there[0]),
            there: &there,
        };
        let said = there[0].at(address).find_map(|listen| listen.directive);
        let place = said.map_or(&there[0].block.place, |listen| &listen.place).to_string();
        listeners.put(name(address), Draft::from(listener.written(report)).placed_at(place));
    }
    listeners
}

/// What a listener is called: `port_80`, or with its address where that is one of many, or a socket's path.
pub fn name(address: &Endpoint) -> String {
    let address = match address {
        Endpoint::Inet(address) => address,
        Endpoint::Unix(path) => return path.to_string_lossy().trim_matches('/').replace('/', "_"),
    };
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => format!("port_{}", address.port()),
        IpAddr::V6(ip) if ip.is_unspecified() => format!("ipv6_port_{}", address.port()),
        ip => format!("{ip}_port_{}", address.port()),
    }
}

/// Servers that share an address. Nginx takes what concerns a connection before its request is known from the default one.
struct Sharing<'a> {
    address: &'a Endpoint,
    default: &'a Server<'a>,
    there: &'a [&'a Server<'a>],
}

/// What a listener has one of, and each server may say.
const ONCE: [&str; 7] = [
    "client_header_timeout",
    "keepalive_timeout",
    "send_timeout",
    "underscores_in_headers",
    "large_client_header_buffers",
    "merge_slashes",
    "http2_max_concurrent_streams",
];

impl Sharing<'_> {
    fn written(&self, report: &mut Report) -> Map {
        let scope = &self.default.scope;
        let mut listener = Map::default();
        match self.ipv6_beside() {
            Some(beside) => listener.put("address", vec![self.address.to_string(), beside]),
            None => listener.put("address", self.address.to_string()),
        }
        if !self.speaks_http2(report) {
            listener.put("http2", false);
        }
        listener.put_some("max_streams", streams(scope, report));
        listener.put_part("tls", self.tls(report));
        self.put_proxies(&mut listener, report);
        let all_names = scope.is_on("ignore_invalid_headers", report) == Some(false);
        if scope.is_on("underscores_in_headers", report) == Some(true) || all_names {
            listener.put("underscores_in_headers", true);
        }
        if scope.is_on("merge_slashes", report) == Some(false) {
            listener.put("merge_slashes", false);
        }
        listener.put("lone_line_feeds", true);
        listener.put("odd_ports", true);
        listener.put("unproved_fields", true);
        listener.put_some("max_head", greatest_head(scope, report));
        let mut timeouts = Map::default();
        for (key, name) in [("head", ONCE[0]), ("idle", ONCE[1]), ("send", ONCE[2])] {
            timeouts.put_some(key, scope.time(name, report));
        }
        listener.put_part("timeouts", timeouts);
        self.tell_of_others(report);
        listener
    }

    fn ipv6_beside(&self) -> Option<String> {
        let mut listens = self.there.iter().flat_map(|server| server.at(self.address));
        let port = self.address.inet()?.port();
        listens
            .any(|listen| listen.is_ipv6_beside)
            .then(|| format!("[::]:{port}"))
    }

    fn speaks_http2(&self, report: &mut Report) -> bool {
        let by_flag = self
            .there
            .iter()
            .flat_map(|server| server.at(self.address))
            .any(|listen| listen.http2);
        let servers = self.there.iter().map(|server| server.scope.is_on("http2", report));
        servers.fold(by_flag, |speaks, said| speaks || said == Some(true))
    }

    /// What the other servers say of what there is one of.
    fn tell_of_others(&self, report: &mut Report) {
        for server in self.there {
            for directive in ONCE.iter().filter_map(|name| server.scope.one(name)) {
                if !report.knows(directive) {
                    report.changed(
                        directive,
                        "a listener has one such setting: the default server's is taken",
                    );
                }
            }
            for directive in server.scope.own_named("set_real_ip_from") {
                if server.block.place != self.default.block.place {
                    report.missing(
                        directive,
                        "a listener believes the same proxies for all hosts: say it in its default server",
                    );
                }
            }
        }
    }

    /// `set_real_ip_from`, `real_ip_header`, and PROXY protocol.
    fn put_proxies(&self, listener: &mut Map, report: &mut Report) {
        let scope = &self.default.scope;
        let mut trusted = trusted_proxies(scope, self.address, report);
        let field = scope.one("real_ip_header");
        let by_protocol = field.is_some_and(|field| field.word(0) == "proxy_protocol");
        if let Some(listen) = self.default.at(self.address).find(|listen| listen.proxy_protocol) {
            listener.put("proxy_protocol", true);
            if let (true, Some(directive)) = (trusted.is_empty() || !by_protocol, listen.directive) {
                report.missing(
                    directive,
                    "only proxies that are trusted may send it, and clients have the addresses that it tells: list them \
                     under the listener's trusted_proxies",
                );
            }
            if trusted.is_empty() {
                trusted.push("127.0.0.1/32".to_owned());
            }
        }
        if trusted.is_empty() {
            return;
        }
        listener.put("trusted_proxies", trusted);
        match field {
            // Nginx's default.
            None if scope.one("set_real_ip_from").is_some() => listener.put("client_address_field", "X-Real-IP"),
            None => {}
            Some(field) if by_protocol || field.word(0).eq_ignore_ascii_case("x-forwarded-for") => {
                report.carried(field)
            }
            Some(field) => {
                report.carried(field);
                listener.put("client_address_field", field.word(0));
            }
        }
    }

    /// Empty where TLS is not spoken.
    fn tls(&self, report: &mut Report) -> Map {
        // What one of them says of the address holds for all.
        let speaks_tls = |server: &&Server| server.at(self.address).any(|listen| listen.tls);
        if !self.there.iter().any(speaks_tls) {
            return Map::default();
        }
        let servers = self.there;
        let mut tls = Map::default();
        let mut pairs = self.pairs(servers, report);
        match pairs.len() {
            1 => tls.extend(pairs.remove(0)),
            _ => tls.put("certificates", pairs),
        }
        tls.put_some("least_version", least_version(&self.default.scope, report));
        tls.put_part("client", clients(self.default, report));
        if self.default.scope.is_on("ssl_session_tickets", report) == Some(false) {
            tls.put("tickets", false);
        }
        tls
    }

    /// The servers' certificates with their keys, the default server's first, each once.
    fn pairs(&self, servers: &[&Server], report: &mut Report) -> Vec<Map> {
        let mut seen = BTreeSet::new();
        let mut pairs = Vec::new();
        for server in [self.default].into_iter().chain(servers.iter().copied()) {
            let certificates = server.scope.all("ssl_certificate");
            for (certificate, key) in certificates.iter().zip(server.scope.all("ssl_certificate_key")) {
                tell_of_choice(certificate, servers.len() > 1, report);
                report.carried(key);
                if seen.insert((certificate.word(0), key.word(0))) {
                    let pair = Map::default().with("certificate", certificate.word(0));
                    pairs.push(pair.with("key", key.word(0)));
                }
            }
        }
        pairs
    }
}

fn tell_of_choice(certificate: &Directive, is_one_of_many: bool, report: &mut Report) {
    match is_one_of_many {
        true => report.changed(
            certificate,
            "it is shown to who asks for one of the names in it, not in server_name",
        ),
        false => report.carried(certificate),
    }
}

/// `ssl_protocols TLSv1.2 TLSv1.3`
fn least_version(scope: &Scope, report: &mut Report) -> Option<&'static str> {
    let directive = scope.one("ssl_protocols")?;
    let speaks = |version: &str| directive.texts().any(|text| text == version);
    if directive.texts().all(|text| matches!(text, "TLSv1.2" | "TLSv1.3")) {
        report.carried(directive);
    } else {
        report.changed(directive, "nothing older than TLS 1.2 is spoken");
    }
    (speaks("TLSv1.3") && !speaks("TLSv1.2")).then_some("1.3")
}

/// `ssl_verify_client on` with `ssl_client_certificate`, where all servers want it.
fn clients(server: &Server, report: &mut Report) -> Map {
    let Some([ca, verify]) = server.wants_of_clients().filter(|_| server.are_clients_asked) else {
        return Map::default();
    };
    report.carried(ca);
    let clients = Map::default().with("ca", ca.word(0));
    if verify.word(0) == "on" {
        report.carried(verify);
        return clients;
    }
    report.changed(verify, "a certificate that is shown and not good ends the connection");
    clients.with("certificate", "optional")
}

/// `set_real_ip_from`; Veil reads lists as with `real_ip_recursive on`.
fn trusted_proxies(scope: &Scope, address: &Endpoint, report: &mut Report) -> Vec<String> {
    let mut trusted = Vec::new();
    for directive in scope.all("set_real_ip_from") {
        report.carried(directive);
        match (directive.word(0), address) {
            // Who comes through a Unix socket counts as 127.0.0.1.
            ("unix:", Endpoint::Unix(_)) => trusted.push("127.0.0.1/32".to_owned()),
            ("unix:", Endpoint::Inet(_)) => {}
            (network, _) => trusted.push(network.to_owned()),
        }
    }
    if let Some(directive) = scope.one("real_ip_recursive") {
        report.carried(directive);
    } else if let (Some(first), false) = (scope.one("set_real_ip_from"), trusted.is_empty()) {
        report.changed(
            first,
            "the last address that is no trusted proxy's is taken, as with real_ip_recursive on",
        );
    }
    trusted
}

/// `http2_max_concurrent_streams`
fn streams(scope: &Scope, report: &mut Report) -> Option<u32> {
    let directive = scope.one("http2_max_concurrent_streams")?;
    report.carried(directive);
    directive.word(0).parse().ok().filter(|streams| *streams > 0)
}

/// `large_client_header_buffers 4 16k`: a line may be as long as one of them, a head as all of them.
fn greatest_head(scope: &Scope, report: &mut Report) -> Option<ByteSize> {
    let directive = scope.one("large_client_header_buffers")?;
    let count: u64 = directive.word(0).parse().ok()?;
    let size = values::size(directive.word(1))?.get();
    report.changed(directive, "one size bounds the whole head, not each of its lines");
    Some(ByteSize::from_bytes(count.checked_mul(size)?))
}
