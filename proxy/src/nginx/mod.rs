//! Configurations of Nginx as Veil's YAML, with a report of what became of each directive.
//!
//! What is written is Veil's own configuration and nothing else: there is no second engine. Where something cannot be
//! carried over, the report says so, and the YAML refuses rather than serves: nobody gets in where Nginx let nobody in.

mod conditions;
mod cookies;
mod draft;
mod errors;
mod fields;
mod files;
mod geo;
mod health;
mod keeping;
mod limits;
mod listeners;
mod locations;
mod logs;
mod mirrors;
mod origin;
mod passing;
mod paths;
mod policies;
mod process;
mod proxies;
mod redirects;
mod report;
mod rules;
mod scope;
mod servers;
mod sites;
mod syntax;
mod tables;
mod target;
mod texts;
mod upstreams;
mod values;
mod version;

use std::collections::BTreeSet;

use rustix::process::geteuid;

use self::draft::{Draft, Map};
pub use self::files::ReadError;
use self::locations::Door;
pub use self::origin::Origin;
pub use self::process::{Process, process};
pub use self::report::{Fate, Line, Report};
use self::scope::Scope;
use self::servers::Server;
use self::syntax::Directive;
use self::texts::Words;
use self::upstreams::Upstreams;
pub use self::version::Version;
use crate::client::endpoint::Endpoint;

/// A configuration of Veil's, and what became of Nginx's.
pub struct Imported {
    pub yaml: String,
    pub report: Report,
}

/// Reads a configuration of Nginx's, with all that it includes.
///
/// # Errors
/// A file that cannot be read, or that Nginx would not take.
pub fn import(origin: &Origin) -> Result<Imported, ReadError> {
    let mut report = Report::default();
    let directives = files::read(origin, &mut report)?.directives;
    report.words = Words::of(&directives);
    let yaml = draft::written(&whole(&directives, origin, &mut report));
    settle(&directives, false, &mut report);
    Ok(Imported { yaml, report })
}

fn whole(directives: &[Directive], origin: &Origin, report: &mut Report) -> Map {
    let main = Scope::of(directives);
    let mut config = Map::default().with("version", 1_u32);
    if let Some(user) = main.one("user") {
        if origin.prefix.is_some() && !geteuid().is_root() {
            report.harmless(user, "only root can become another user");
        } else if user.word(0) == "root" {
            report.harmless(user, "root stays who it is");
        } else {
            config.put("user", user.word(0));
            report.changed(
                user,
                "with the groups of that user's, who has to be able to read certificates and to write logs",
            );
        }
    }
    match main.one("worker_processes") {
        Some(workers) => {
            let count = workers.word(0).parse::<u32>().ok().filter(|workers| *workers > 0);
            config.put_some("threads", count);
            report.carried(workers);
        }
        // Who runs Nginx's own command line gets what Nginx would start; a file that is imported is free of it.
        None if origin.prefix.is_some() => config.put("threads", 1_u32),
        None => {}
    }
    let Some(http) = directives.iter().find(|directive| directive.name == "http") else {
        return config;
    };
    report.carried(http);
    served(&main.within(http), origin, &mut config, report);
    config
}

/// All that the `http` block says.
fn served(http: &Scope, origin: &Origin, config: &mut Map, report: &mut Report) {
    let mut servers: Vec<Server> = http
        .own_named("server")
        .map(|block| Server::of(block, http, report))
        .collect();
    servers::unite(&mut servers, report);
    servers::settle_on_clients(&mut servers);
    let mut upstreams = Upstreams::of(http, origin.version);
    let main_log = logs::main(http, &servers);
    let mut routes = Vec::new();
    for server in &servers {
        for door in doors(server, &servers) {
            routes.extend(locations::routes(
                server,
                &door,
                (http, main_log),
                &mut upstreams,
                report,
            ));
        }
    }
    config.put("listeners", listeners::listeners(&servers, report));
    // Nginx has no such port, and several of it may run on one machine.
    if origin.prefix.is_none() {
        config.put("admin", Map::default().with("address", admin_address(&servers)));
    }
    config.put_part("tables", tables::tables(http, report));
    config.put("routes", routes);
    config.put("pools", upstreams.into_pools(report));
    let pages = Map::default().with("form", "pages").with("signature", "nginx");
    config.put("problems", pages.with("unserved", "bad_gateway").with("storable", true));
    config.put("body", Map::default().with("max_size", Draft::Scalar("1MiB".into())));
    if let Some(log) = logs::access_log(main_log, http, report) {
        config.put("access_log", log);
    }
}

/// 127.0.0.1:8081, or the next port that nobody else listens on.
fn admin_address(servers: &[Server]) -> String {
    let listens = servers.iter().flat_map(|server| &server.listens);
    let taken: BTreeSet<u16> = listens
        .filter_map(|listen| Some(listen.address.inet()?.port()))
        .collect();
    let port = (8081..u16::MAX).find(|port| !taken.contains(port)).unwrap_or(8081);
    format!("127.0.0.1:{port}")
}

/// How a server is found: by its names, and as the default of some of its listeners.
fn doors(server: &Server, all: &[Server]) -> Vec<Door> {
    let mut ports = server.listens.iter().filter_map(|listen| listen.address.inet());
    let port = ports.next().map_or(80, |address| address.port());
    let by = |addresses: Vec<&Endpoint>, hosts: Vec<String>| Door {
        hosts,
        listeners: listeners_of(&addresses, all),
        port,
    };
    let mut everywhere: Vec<&Endpoint> = server.listens.iter().map(|listen| &listen.address).collect();
    everywhere.dedup();
    let is_default = |address: &&Endpoint| server.is_default_at(address, all);
    let default: Vec<&Endpoint> = everywhere.iter().copied().filter(is_default).collect();
    let mut doors = Vec::new();
    if !server.names.is_empty() {
        doors.push(by(everywhere, server.names.clone()));
    }
    if !default.is_empty() {
        doors.push(by(default, Vec::new()));
    }
    doors
}

/// The names of listeners at these addresses; none where those are all there are.
fn listeners_of(addresses: &[&Endpoint], all: &[Server]) -> Vec<String> {
    let mut servers = all.iter().flat_map(|server| &server.listens);
    if servers.all(|listen| addresses.contains(&&listen.address)) {
        return Vec::new();
    }
    addresses.iter().map(|address| listeners::name(address)).collect()
}

/// What was not looked at: it does no harm, or it is missing, with all that is in it but for what was carried over nonetheless.
fn settle(directives: &[Directive], within_missing: bool, report: &mut Report) {
    for directive in directives {
        if !within_missing {
            if let Some(note) = harmless(&directive.name) {
                report.harmless(directive, note);
            } else if !report.knows(directive) {
                unused(directive, report);
            }
        }
        if report.knows(directive) {
            let is_missing = !report.is_carried(directive);
            settle(directive.block.as_deref().unwrap_or_default(), is_missing, report);
        }
    }
}

fn unused(directive: &Directive, report: &mut Report) {
    match directive.name.as_str() {
        "proxy_cache" if directive.word(0) == "off" => report.harmless(directive, "nothing is kept anyway"),
        // A cache may always have nothing.
        "proxy_cache" => {
            report.changed(
                directive,
                "no answer is given again: every request asks a backend, which gets more of them",
            );
        }
        "proxy_cache_bypass"
        | "proxy_no_cache"
        | "proxy_cache_key"
        | "proxy_cache_lock"
        | "proxy_cache_lock_age"
        | "proxy_cache_lock_timeout"
        | "proxy_cache_methods"
        | "proxy_cache_min_uses"
        | "proxy_cache_path"
        | "proxy_cache_purge"
        | "proxy_cache_revalidate"
        | "proxy_cache_valid" => {
            report.harmless(directive, "it is for a cache, of which there is none");
        }
        "resolver" | "resolver_timeout" => {
            report.changed(
                directive,
                "names are looked up by the system, when the configuration is read",
            );
        }
        name if is_inherited(name) => {
            report.harmless(directive, "nothing uses it: it is replaced wherever it would hold");
        }
        "ssl_ciphers" | "ssl_prefer_server_ciphers" | "ssl_ecdh_curve" | "ssl_dhparam" | "ssl_conf_command" => {
            report.changed(
                directive,
                "TLS 1.3, and of TLS 1.2 what has forward secrecy and authenticated encryption",
            );
        }
        "proxy_ssl_verify_depth" | "grpc_ssl_verify_depth" => {
            report.changed(directive, "a chain of certificates may have any length");
        }
        "chunked_transfer_encoding" if directive.word(0) == "on" => {
            report.harmless(directive, "what has no length is sent in chunks");
        }
        "lingering_close" | "lingering_time" | "lingering_timeout" => report.changed(
            directive,
            "what still comes behind a whole answer is taken for a moment, and the connection ends",
        ),
        "proxy_ignore_headers" | "grpc_ignore_headers" => {
            report.harmless(
                directive,
                "no field of a backend's answer is obeyed, and there is no cache",
            );
        }
        "proxy_store" | "limit_req_dry_run" | "limit_conn_dry_run" if directive.word(0) == "off" => {
            report.harmless(directive, "nothing else is done anyway");
        }
        "proxy_socket_keepalive" | "grpc_socket_keepalive" => {
            report.harmless(directive, "whether a backend is still there is always found out")
        }
        "gzip_proxied" | "gzip_vary" | "gzip_http_version" | "gzip_disable" | "gzip_buffers" => {
            report.harmless(directive, "nothing uses it: nothing is compressed");
        }
        "charset" if directive.word(0) == "off" => {
            report.harmless(directive, "answers go with the charset that they say")
        }
        "charset" => report.changed(
            directive,
            "only texts of `return` go with it, other answers with the charset that they say",
        ),
        "ssl_session_tickets" => report.changed(
            directive,
            "a listener has one such setting: the default server's is taken",
        ),
        "send_timeout" | "client_header_timeout" => report.changed(
            directive,
            "a listener has one such setting: the default server's is taken",
        ),
        "mirror" | "mirror_request_body" => {
            report.missing(
                directive,
                "only requests that are passed on are copied, not those for files and for answers of Nginx's own",
            );
        }
        "access_log" => report.harmless(directive, "nothing uses it: it is replaced wherever it would hold"),
        _ => report.missing(directive, "Veil has nothing for it"),
    }
}

fn is_inherited(name: &str) -> bool {
    let of_grpc = name.strip_prefix("grpc_").map(|rest| format!("proxy_{rest}"));
    INHERITED.contains(&name) || of_grpc.is_some_and(|name| INHERITED.contains(&name.as_str()))
}

/// What is taken from wherever it holds; so are those of gRPC that are called as these are.
const INHERITED: [&str; 55] = [
    "absolute_redirect",
    "add_header",
    "allow",
    "auth_basic",
    "auth_basic_user_file",
    "auth_request",
    "error_page",
    "expires",
    "gzip",
    "gzip_comp_level",
    "gzip_min_length",
    "gzip_static",
    "gzip_types",
    "index",
    "keepalive_disable",
    "keepalive_requests",
    "keepalive_time",
    "keepalive_timeout",
    "limit_conn",
    "limit_conn_log_level",
    "limit_conn_zone",
    "root",
    "client_body_timeout",
    "client_max_body_size",
    "deny",
    "limit_req",
    "limit_req_log_level",
    "limit_rate",
    "limit_rate_after",
    "limit_req_zone",
    "port_in_redirect",
    "proxy_buffering",
    "proxy_ignore_client_abort",
    "proxy_limit_rate",
    "proxy_intercept_errors",
    "proxy_bind",
    "proxy_cookie_domain",
    "proxy_cookie_flags",
    "proxy_cookie_path",
    "proxy_method",
    "proxy_pass_request_body",
    "proxy_pass_request_headers",
    "proxy_set_body",
    "proxy_connect_timeout",
    "proxy_hide_header",
    "proxy_pass_header",
    "proxy_next_upstream",
    "proxy_next_upstream_timeout",
    "proxy_next_upstream_tries",
    "proxy_read_timeout",
    "proxy_redirect",
    "proxy_request_buffering",
    "proxy_send_timeout",
    "proxy_set_header",
    "server_name_in_redirect",
];

/// Why a directive changes nothing that a client or a backend could see.
fn harmless(name: &str) -> Option<&'static str> {
    Some(match name {
        "worker_connections"
        | "worker_rlimit_nofile"
        | "worker_cpu_affinity"
        | "worker_priority"
        | "events"
        | "use"
        | "multi_accept"
        | "accept_mutex"
        | "thread_pool"
        | "worker_aio_requests" => "how Nginx's processes share work",
        "sendfile" | "tcp_nopush" | "tcp_nodelay" | "aio" | "directio" | "output_buffers" | "postpone_output"
        | "sendfile_max_chunk" => "how Nginx writes to its sockets",
        "server_names_hash_bucket_size"
        | "server_names_hash_max_size"
        | "types_hash_max_size"
        | "types_hash_bucket_size"
        | "variables_hash_max_size"
        | "variables_hash_bucket_size"
        | "map_hash_bucket_size"
        | "map_hash_max_size"
        | "proxy_headers_hash_max_size"
        | "proxy_headers_hash_bucket_size" => "how large Nginx makes its tables",
        "proxy_buffers"
        | "grpc_buffer_size"
        | "proxy_buffer_size"
        | "proxy_busy_buffers_size"
        | "proxy_max_temp_file_size"
        | "proxy_temp_file_write_size"
        | "proxy_temp_path"
        | "fastcgi_temp_path"
        | "scgi_temp_path"
        | "uwsgi_temp_path"
        | "client_body_buffer_size"
        | "client_body_temp_path"
        | "client_header_buffer_size"
        | "client_body_in_file_only"
        | "connection_pool_size"
        | "request_pool_size"
        | "reset_timedout_connection" => {
            "how Nginx keeps what waits; Veil's `body` and `answers` have one budget of memory"
        }
        "ssl_session_cache" | "ssl_session_timeout" | "ssl_buffer_size" => {
            "Veil resumes TLS sessions by tickets of its own"
        }
        "pid" | "daemon" | "master_process" | "lock_file" | "pcre_jit" | "ssl_engine" | "timer_resolution" | "env" => {
            "how Nginx runs as a process"
        }
        "types" | "default_type" | "server_tokens" => "of files and pages of Nginx's own",
        "log_not_found" | "log_subrequest" | "error_log" | "open_log_file_cache" => "Veil's own log goes to stderr",
        _ => return None,
    })
}
