//! `server` blocks: where they listen, and which hosts they answer for.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::draft::{Draft, Map};
use super::report::Report;
use super::scope::Scope;
use super::syntax::Directive;

/// A `server` block.
pub struct Server<'a> {
    pub block: &'a Directive,
    pub scope: Scope<'a>,
    pub listens: Vec<Listen<'a>>,
    /// Names that it answers for, as routes write them.
    pub names: Vec<String>,
}

/// One `listen` of a server; the one that is meant where it has none.
#[derive(Clone)]
pub struct Listen<'a> {
    pub address: SocketAddr,
    pub tls: bool,
    default: bool,
    directive: Option<&'a Directive>,
}

impl<'a> Server<'a> {
    pub fn of(block: &'a Directive, http: &Scope<'a>, report: &mut Report) -> Self {
        report.carried(block);
        let scope = http.within(block);
        let said: Vec<&Directive> = scope.own_named("listen").collect();
        let mut listens: Vec<Listen> = said.iter().filter_map(|directive| listen(directive, report)).collect();
        if said.is_empty() {
            listens.push(Listen {
                address: (Ipv4Addr::UNSPECIFIED, 80).into(),
                tls: false,
                default: false,
                directive: None,
            });
        }
        let names = scope
            .own_named("server_name")
            .flat_map(|directive| names(directive, report))
            .collect();
        Self {
            block,
            scope,
            listens,
            names,
        }
    }

    /// Whether it answers there for hosts that nobody else answers for.
    pub fn is_default_at(&self, address: SocketAddr, all: &[Server]) -> bool {
        let here = |server: &&Server| server.listens.iter().any(|listen| listen.address == address);
        let is_said = |server: &&Server| {
            let mut listens = server.listens.iter();
            listens.any(|listen| listen.address == address && listen.default)
        };
        let default = all.iter().find(is_said).or_else(|| all.iter().find(here));
        default.is_some_and(|default| default.block.place == self.block.place)
    }
}

/// Flags of `listen` that say how its socket is made, which Veil does in its own way.
const SOCKET: [&str; 8] = [
    "reuseport",
    "deferred",
    "bind",
    "backlog",
    "rcvbuf",
    "sndbuf",
    "fastopen",
    "so_keepalive",
];

fn listen<'a>(directive: &'a Directive, report: &mut Report) -> Option<Listen<'a>> {
    let Some(address) = address(directive.word(0)) else {
        report.missing(directive, "Veil listens on IP addresses; write one");
        return None;
    };
    let flags: Vec<&str> = directive.texts().skip(1).collect();
    let known = |flag: &&str| {
        let name = flag.split('=').next().unwrap_or(flag);
        SOCKET.contains(&name) || matches!(*flag, "ssl" | "http2" | "default_server" | "default" | "ipv6only=on")
    };
    match flags.iter().find(|flag| !known(flag)) {
        Some(flag) => report.missing(
            directive,
            format!("{flag} is not known; the address is listened on without it"),
        ),
        None => report.carried(directive),
    }
    Some(Listen {
        address,
        tls: flags.contains(&"ssl"),
        default: flags.contains(&"default_server") || flags.contains(&"default"),
        directive: Some(directive),
    })
}

/// `80`, `*:80`, `10.0.0.1`, `10.0.0.1:80`, `[::]:80`, `localhost:80`.
fn address(text: &str) -> Option<SocketAddr> {
    if let Ok(port) = text.parse::<u16>() {
        return Some((Ipv4Addr::UNSPECIFIED, port).into());
    }
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    if let Some(address) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return Some((address.parse::<Ipv6Addr>().ok()?, 80).into());
    }
    let (host, port) = text.rsplit_once(':').unwrap_or((text, "80"));
    let address = match host {
        "*" => Ipv4Addr::UNSPECIFIED.into(),
        "localhost" => Ipv4Addr::LOCALHOST.into(),
        host => host.parse::<IpAddr>().ok()?,
    };
    Some((address, port.parse().ok()?).into())
}

fn names(directive: &Directive, report: &mut Report) -> Vec<String> {
    report.carried(directive);
    let mut names = Vec::new();
    for name in directive.texts() {
        match name {
            // Names that no host has.
            "_" | "" | "-" | "--" => {}
            _ if name.starts_with('~') => report.missing(
                directive,
                "a host by a regular expression; write the hosts that are meant",
            ),
            _ if name.ends_with(".*") => {
                report.missing(directive, "a host without its end; write the hosts that are meant")
            }
            "*" => {}
            _ => match name.strip_prefix('.') {
                Some(domain) => names.extend([domain.to_owned(), format!("*.{domain}")]),
                None => names.push(name.to_ascii_lowercase()),
            },
        }
    }
    names
}

/// The listeners of all servers, by the names that routes know them by.
pub fn listeners(servers: &[Server], report: &mut Report) -> Map {
    let mut addresses: BTreeMap<SocketAddr, Vec<&Server>> = BTreeMap::new();
    for server in servers {
        for listen in &server.listens {
            addresses.entry(listen.address).or_default().push(server);
        }
    }
    let mut listeners = Map::default();
    for (address, servers_there) in addresses {
        let place = servers_there[0].listens.iter().find_map(|listen| listen.directive);
        let listener = Draft::from(listener(address, &servers_there, servers, report));
        let place = place.map_or_else(
            || servers_there[0].block.place.to_string(),
            |listen| listen.place.to_string(),
        );
        listeners.put(name(address), listener.placed_at(place));
    }
    listeners
}

/// What a listener is called: `port_80`, or with its address where that is one of many.
pub fn name(address: SocketAddr) -> String {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => format!("port_{}", address.port()),
        IpAddr::V6(ip) if ip.is_unspecified() => format!("ipv6_port_{}", address.port()),
        ip => format!("{ip}_port_{}", address.port()),
    }
}

/// Nginx takes what concerns a connection before its request is known from the default server.
fn listener(address: SocketAddr, there: &[&Server], all: &[Server], report: &mut Report) -> Map {
    let default = there
        .iter()
        .find(|server| server.is_default_at(address, all))
        .unwrap_or(&there[0]);
    let mut listener = Map::default().with("address", address.to_string());
    let tls = |server: &&&Server| {
        server
            .listens
            .iter()
            .any(|listen| listen.address == address && listen.tls)
    };
    let with_tls: Vec<&&Server> = there.iter().filter(tls).collect();
    if !with_tls.is_empty() {
        listener.put_part("tls", tls_of(default, &with_tls, report));
    }
    let trusted = trusted_proxies(&default.scope, report);
    if !trusted.is_empty() {
        listener.put("trusted_proxies", trusted);
    }
    if default.scope.is_on("underscores_in_headers", report) == Some(true) {
        listener.put("underscores_in_headers", true);
    }
    listener.put_some("max_head", greatest_head(&default.scope, report));
    let mut timeouts = Map::default();
    for (key, name) in [
        ("head", "client_header_timeout"),
        ("idle", "keepalive_timeout"),
        ("send", "send_timeout"),
    ] {
        timeouts.put_some(key, default.scope.time(name, report));
    }
    listener.put_part("timeouts", timeouts);
    for server in there {
        for name in [
            "client_header_timeout",
            "keepalive_timeout",
            "send_timeout",
            "underscores_in_headers",
            "large_client_header_buffers",
        ] {
            match server.scope.one(name) {
                Some(directive) if !report.knows(directive) => {
                    report.changed(
                        directive,
                        "a listener has one such setting: the default server's is taken",
                    );
                }
                _ => {}
            }
        }
        for directive in server
            .scope
            .own_named("set_real_ip_from")
            .filter(|_| server.block.place != default.block.place)
        {
            report.missing(
                directive,
                "a listener believes the same proxies for all hosts: say it in its default server",
            );
        }
    }
    listener
}

fn tls_of(default: &Server, servers: &[&&Server], report: &mut Report) -> Map {
    let mut tls = Map::default();
    for (key, name) in [("certificate", "ssl_certificate"), ("key", "ssl_certificate_key")] {
        let file = default
            .scope
            .one(name)
            .or_else(|| servers.iter().find_map(|server| server.scope.one(name)));
        if let Some(file) = file {
            report.carried(file);
            tls.put(key, file.word(0));
        }
        for server in servers {
            match (server.scope.one(name), file) {
                (Some(other), Some(file)) if other.word(0) != file.word(0) => {
                    report.missing(
                        other,
                        "the default server's certificate is taken: list this one too, under the listener's tls.certificates",
                    );
                }
                (Some(same), _) => report.carried(same),
                _ => {}
            }
        }
    }
    tls
}

/// `set_real_ip_from` with `real_ip_header X-Forwarded-For` and `real_ip_recursive on`.
fn trusted_proxies(scope: &Scope, report: &mut Report) -> Vec<String> {
    let mut trusted = Vec::new();
    for directive in scope.all("set_real_ip_from") {
        if directive.word(0) == "unix:" {
            report.missing(directive, "there are no Unix sockets to listen on");
            continue;
        }
        report.carried(directive);
        trusted.push(directive.word(0).to_owned());
    }
    if let Some(directive) = scope.one("real_ip_header") {
        match directive.word(0).eq_ignore_ascii_case("x-forwarded-for") {
            true => report.carried(directive),
            false => report.missing(
                directive,
                "clients' addresses are taken from X-Forwarded-For; let the proxy in front send that",
            ),
        }
    } else if let (Some(first), false) = (scope.one("set_real_ip_from"), trusted.is_empty()) {
        report.changed(first, "X-Forwarded-For is read, in place of X-Real-IP");
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

/// `large_client_header_buffers 4 16k`: a line may be as long as one of them, a head as all of them.
fn greatest_head(scope: &Scope, report: &mut Report) -> Option<crate::yaml::units::ByteSize> {
    let directive = scope.one("large_client_header_buffers")?;
    let count: u64 = directive.word(0).parse().ok()?;
    let size = super::values::size(directive.word(1))?.get();
    report.changed(directive, "one size bounds the whole head, not each of its lines");
    Some(crate::yaml::units::ByteSize::from_bytes(count.checked_mul(size)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_nginx_reads_them() {
        for (text, means) in [
            ("80", Some("0.0.0.0:80")),
            ("*:8080", Some("0.0.0.0:8080")),
            ("127.0.0.1", Some("127.0.0.1:80")),
            ("127.0.0.1:81", Some("127.0.0.1:81")),
            ("[::]:80", Some("[::]:80")),
            ("[::1]", Some("[::1]:80")),
            ("localhost:82", Some("127.0.0.1:82")),
            ("unix:/run/x.sock", None),
            ("99999", None),
            ("", None),
        ] {
            assert_eq!(
                address(text).map(|address| address.to_string()).as_deref(),
                means,
                "{text}"
            );
        }
    }
}
