//! `server` blocks: where they listen, and which hosts they answer for.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::conditions;
use super::report::Report;
use super::scope::Scope;
use super::syntax::Directive;
use super::texts;
use crate::client::endpoint::Endpoint;

/// A `server` block.
pub struct Server<'a> {
    pub block: &'a Directive,
    pub scope: Scope<'a>,
    pub listens: Vec<Listen<'a>>,
    /// Names that it answers for, as routes write them.
    pub names: Vec<String>,
    /// Its listeners ask for clients' certificates, as it wants them to.
    pub are_clients_asked: bool,
}

/// One `listen` of a server; the one that is meant where it has none.
#[derive(Clone)]
pub struct Listen<'a> {
    pub address: Endpoint,
    /// The same port over IPv6, which is one listener with this one.
    pub is_ipv6_beside: bool,
    pub tls: bool,
    pub http2: bool,
    pub proxy_protocol: bool,
    default: bool,
    pub directive: Option<&'a Directive>,
}

impl<'a> Server<'a> {
    pub fn of(block: &'a Directive, http: &Scope<'a>, report: &mut Report) -> Self {
        report.carried(block);
        let scope = http.within(block);
        let said: Vec<&Directive> = scope.own_named("listen").collect();
        let mut listens: Vec<Listen> = said.iter().filter_map(|directive| listen(directive, report)).collect();
        if said.is_empty() {
            listens.push(Listen {
                address: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 80)).into(),
                is_ipv6_beside: false,
                tls: false,
                http2: false,
                proxy_protocol: false,
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
            are_clients_asked: false,
        }
    }

    /// Nginx: `$server_name`.
    pub fn first_name(&self) -> String {
        let said = self.scope.own_named("server_name").next();
        said.map_or_else(String::new, |names| names.word(0).trim_start_matches('.').to_owned())
    }

    /// Whose certificates it wants from clients, and how: `ssl_client_certificate` and `ssl_verify_client`.
    pub fn wants_of_clients(&self) -> Option<[&'a Directive; 2]> {
        let verify = self.scope.one("ssl_verify_client")?;
        let ca = self.scope.one("ssl_client_certificate")?;
        matches!(verify.word(0), "on" | "optional").then_some([ca, verify])
    }

    /// Its `listen`s at an address.
    pub fn at(&self, address: &Endpoint) -> impl Iterator<Item = &Listen<'a>> {
        self.listens.iter().filter(move |listen| listen.address == *address)
    }

    /// Whether it answers there for hosts that nobody else answers for.
    pub fn is_default_at(&self, address: &Endpoint, all: &[Server]) -> bool {
        let here = |server: &&Server| server.at(address).next().is_some();
        let is_said = |server: &&Server| server.at(address).any(|listen| listen.default);
        let default = all.iter().find(is_said).or_else(|| all.iter().find(here));
        default.is_some_and(|default| default.block.place == self.block.place)
    }
}

/// `listen 80; listen [::]:80;` is one listener of two addresses, wherever it is said.
pub fn unite(servers: &mut [Server], report: &mut Report) {
    let all = servers.iter().flat_map(|server| &server.listens);
    let over_ipv4: BTreeSet<u16> = all
        .filter_map(|listen| listen.address.inet())
        .filter(|address| address.is_ipv4() && address.ip().is_unspecified())
        .map(|address| address.port())
        .collect();
    for server in servers {
        for listen in &mut server.listens {
            let Some(SocketAddr::V6(address)) = listen.address.inet() else {
                continue;
            };
            if address.ip().is_unspecified() && over_ipv4.contains(&address.port()) {
                listen.address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())).into();
                listen.is_ipv6_beside = true;
            }
        }
        for listen in &server.listens {
            if let (1, Some(directive)) = (server.at(&listen.address).count(), listen.directive)
                && listen.is_ipv6_beside
            {
                report.changed(directive, "its server is found over IPv4 too");
            }
        }
    }
}

/// Clients are asked before their request is known: where not all servers at an address want the same of them, none is.
pub fn settle_on_clients(servers: &mut [Server]) {
    let wanted = |server: &Server| {
        server
            .wants_of_clients()
            .map(|wanted| wanted.map(|said| said.word(0).to_owned()))
    };
    let agree: Vec<bool> = servers
        .iter()
        .map(|server| {
            let wants = wanted(server);
            let beside = |other: &&Server| {
                server
                    .listens
                    .iter()
                    .any(|listen| other.at(&listen.address).next().is_some())
            };
            wants.is_some() && servers.iter().filter(beside).all(|other| wanted(other) == wants)
        })
        .collect();
    for (server, agree) in servers.iter_mut().zip(agree) {
        server.are_clients_asked = agree;
    }
}

/// Flags of `listen` that say how its socket is made, which Veil does in its own way.
const SOCKET: [&str; 9] = [
    "accept_filter",
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
        report.missing(directive, "Veil listens on IP addresses and Unix sockets; write one");
        return None;
    };
    let flags: Vec<&str> = directive.texts().skip(1).collect();
    let known = |flag: &&str| {
        let name = flag.split('=').next().unwrap_or(flag);
        let socket = SOCKET.contains(&name) || matches!(*flag, "ipv6only=on");
        socket || matches!(*flag, "ssl" | "http2" | "proxy_protocol" | "default_server" | "default")
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
        is_ipv6_beside: false,
        tls: flags.contains(&"ssl"),
        http2: flags.contains(&"http2"),
        proxy_protocol: flags.contains(&"proxy_protocol"),
        default: flags.contains(&"default_server") || flags.contains(&"default"),
        directive: Some(directive),
    })
}

/// `unix:/run/x.sock`, or as [`inet`].
fn address(text: &str) -> Option<Endpoint> {
    match text.strip_prefix("unix:") {
        Some(path) => Endpoint::unix(path).ok(),
        None => inet(text).map(Endpoint::from),
    }
}

/// `80`, `*:80`, `10.0.0.1`, `10.0.0.1:80`, `[::]:80`, `localhost:80`.
fn inet(text: &str) -> Option<SocketAddr> {
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
            "_" | "-" | "--" => {}
            "" => names.push(NO_HOST.to_owned()),
            _ if name.starts_with('~') => match expression(&name[1..]) {
                Ok(expression) => names.push(format!("~{expression}")),
                Err(why) => report.missing(directive, format!("{why}; write the hosts that are meant")),
            },
            "*" => {}
            _ => match name.strip_prefix('.') {
                Some(domain) => names.extend([domain.to_owned(), format!("*.{domain}")]),
                None => names.push(name.to_ascii_lowercase()),
            },
        }
    }
    names
}

/// Of requests without Host.
const NO_HOST: &str = "~^$";

/// A name's regular expression, which takes capitals for small letters; `\Q` and `\E` quote what stands between them.
fn expression(text: &str) -> Result<String, String> {
    let mut parts = text.split(r"\Q");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (quoted, rest) = part.split_once(r"\E").unwrap_or((part, ""));
        plain.push_str(&texts::escaped(quoted));
        plain.push_str(rest);
    }
    if plain.contains(|c: char| c.is_ascii_uppercase()) {
        plain.insert_str(0, "(?i)");
    }
    conditions::known(&plain).map(|()| plain)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::syntax::parse;
    use super::*;

    #[test]
    fn names_are_hosts() {
        let directives = parse("x", r#"server_name A.test .b.test _ "" ~^X\d ~^y\Q.test\E$ *.c.test;"#).unwrap();
        assert_eq!(
            names(&directives[0], &mut Report::default()),
            [
                "a.test",
                "b.test",
                "*.b.test",
                "~^$",
                r"~(?i)^X\d",
                r"~^y\.test$",
                "*.c.test"
            ]
        );
    }

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
            ("unix:/run/x.sock", Some("unix:/run/x.sock")),
            ("unix:x.sock", None),
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
