//! What may be said on the command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use manual::Manual;

use super::explain::Question;
use super::import;
use super::nginx::NginxArgs;
use super::pools::admin_address;
use crate::client::endpoint::Endpoint;
use crate::config::Source;
use crate::nginx::{Origin, Version};

/// Load balancer for picture workers, in YAML
///
/// Without a command, `veil` runs. Without a file, it starts two blur workers of its own and serves them on
/// http://127.0.0.1:8080.
#[derive(Parser)]
#[command(name = "veil", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub run: RunArgs,
}

#[derive(Subcommand)]
pub enum Command {
    /// Serve until told to stop: TERM, INT and QUIT drain, HUP reloads, USR1 opens the access log anew, and USR2 hands
    /// the listeners over to the program's file started anew
    #[command(after_help = "Example: veil run -c /etc/veil/veil.yaml")]
    Run(RunArgs),
    /// Say all that is wrong with a configuration and with what it names on this machine, and start nothing
    #[command(
        after_help = "Examples:\n  veil check /etc/veil/veil.yaml\n  veil check --syntax conf/veil.yaml\n\n\
                            Exit code: 0 if it is good, 2 if not; warnings change nothing."
    )]
    Check(CheckArgs),
    /// Say which backends a request would be sent to, in order, and why
    #[command(after_help = "Examples:\n  veil explain -c veil.yaml --client 203.0.113.7\n  \
                            veil explain -c veil.yaml --client 203.0.113.7 --method POST --path /v1/blur --down left\n  \
                            veil explain -c veil.yaml --client 203.0.113.7 --admin 127.0.0.1:8081 --json")]
    Explain(ExplainArgs),
    /// Say what another configuration changes, and which share of clients it moves to other backends
    #[command(after_help = "Example: veil diff /etc/veil/veil.yaml new.yaml\n\n\
                            Exit code, as diff's: 0 if they say the same, 1 if not, 2 if one is wrong.")]
    Diff(DiffArgs),
    /// Print the configuration's JSON Schema, for editors
    #[command(
        after_help = "Example: veil schema > veil.schema.json, and in the first line of a configuration:\n  \
                            # yaml-language-server: $schema=veil.schema.json"
    )]
    Schema,
    /// Show the pools of a running Veil, or command their backends
    #[command(
        after_help = "Examples:\n  veil pools\n  veil pools drain blur 192.168.1.10:5000\n  \
                            veil pools weight blur left 3 --admin 127.0.0.1:8081"
    )]
    Pools(PoolsArgs),
    /// Print Keepalived's files for the virtual addresses of a configuration
    #[command(
        subcommand,
        after_help = "Example: veil keepalived render -c /etc/veil/veil.yaml --all --output /etc/keepalived"
    )]
    Keepalived(KeepalivedCommand),
    /// Write another program's configuration as Veil's
    #[command(subcommand)]
    Import(import::Import),
    /// Be called as Nginx is: test, run, signal. The same as a link to this program that is called `nginx`
    Nginx(NginxArgs),
    #[command(flatten)]
    Manual(Manual),
    /// Run one blur worker
    #[cfg(feature = "worker")]
    Worker(Box<blur_service::Args>),
    #[cfg(feature = "worker")]
    Blur(Box<blur_service::files::FilesArgs>),
}

#[derive(Args, Default)]
pub struct RunArgs {
    /// Configuration file; without it, a proxy for this machine alone
    #[arg(short, long, value_name = "FILE", env = "VEIL_CONFIG")]
    pub config: Option<PathBuf>,
    /// Nginx's configuration in place of Veil's, whatever -c says; see `veil import nginx --help` for what of it is carried over
    #[arg(long, value_name = "FILE")]
    pub nginx: Option<PathBuf>,
    /// What names in Nginx's configuration are relative to; the folder of its file unless given. Nginx: -p
    #[arg(long, value_name = "FOLDER", requires = "nginx")]
    pub nginx_prefix: Option<PathBuf>,
    /// The Nginx that its configuration was written for; the newest stable one unless given. Before 1.29.7, backends are spoken to
    /// in HTTP/1.0, on a connection for each request
    #[arg(long, value_name = "VERSION", requires = "nginx")]
    pub nginx_version: Option<Version>,
    /// Directives that come after those of Nginx's file. Nginx: -g
    #[arg(
        long,
        value_name = "DIRECTIVES",
        requires = "nginx",
        default_value = "",
        hide_default_value = true
    )]
    pub nginx_directives: String,
    /// Holds the process's number from when Veil listens until it ends
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// Takes Veil's own log in place of stderr; USR1 opens it anew
    #[arg(long, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// Leaves the terminal that it was started from
    #[arg(long, hide = true)]
    pub detached: bool,
    /// Where to listen in place of 127.0.0.1:8080, without a configuration file; the admin listener is on this machine, at
    /// the port after it
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["config", "nginx"])]
    pub listen: Option<SocketAddr>,
    /// The standard input is the Veil that this one replaces
    #[arg(long, hide = true)]
    pub take_over: bool,
}

impl RunArgs {
    /// What the configuration is read from.
    pub fn source(&self) -> Source {
        match (&self.nginx, &self.config) {
            (Some(file), _) => Source::Nginx(Origin {
                file: file.clone(),
                prefix: self.nginx_prefix.clone(),
                directives: self.nginx_directives.clone(),
                version: self.nginx_version.unwrap_or_default(),
            }),
            (None, Some(file)) => Source::File(file.clone()),
            (None, None) => Source::Local { listen: self.listen },
        }
    }
}

/// The configuration that is spoken of; without it, the built-in one.
#[derive(Args)]
pub struct ConfigArgs {
    /// Configuration file; without it, the built-in one
    #[arg(short, long, value_name = "FILE", env = "VEIL_CONFIG")]
    pub config: Option<PathBuf>,
}

#[derive(Args)]
pub struct CheckArgs {
    /// Configuration file; goes before -c and VEIL_CONFIG
    pub file: Option<PathBuf>,
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Look at the text alone, and open nothing that it names
    #[arg(long)]
    pub syntax: bool,
}

#[derive(Args)]
pub struct ExplainArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    #[command(flatten)]
    pub question: Question,
    /// Answer with JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct DiffArgs {
    pub old: PathBuf,
    pub new: PathBuf,
    /// Answer with JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct PoolsArgs {
    /// The admin listener of the Veil that is meant; or its Unix socket, unix:/run/veil/admin.sock
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "VEIL_ADMIN",
        default_value = "127.0.0.1:8081",
        value_parser = admin_address,
        global = true
    )]
    pub admin: Endpoint,
    /// What that listener wants to hear, where its configuration has a token
    #[arg(
        long,
        value_name = "TOKEN",
        env = "VEIL_ADMIN_TOKEN",
        hide_env_values = true,
        global = true
    )]
    pub token: Option<String>,
    #[command(subcommand)]
    pub command: Option<PoolsCommand>,
}

#[derive(Subcommand)]
pub enum PoolsCommand {
    /// Send a backend no further requests; those it has go on
    Drain { pool: String, backend: String },
    /// Take a drained backend back
    Undrain { pool: String, backend: String },
    /// Give a backend another share beside the others'; 0 drains it
    Weight { pool: String, backend: String, weight: u32 },
}

#[derive(Subcommand)]
pub enum KeepalivedCommand {
    /// Write Keepalived's file for a host, or for both, from the `keepalived` section of a configuration
    Render(RenderArgs),
}

#[derive(Args)]
pub struct RenderArgs {
    /// Configuration file, the same on both hosts
    #[arg(short, long, value_name = "FILE", env = "VEIL_CONFIG")]
    pub config: PathBuf,
    #[command(flatten)]
    pub hosts: WhichHosts,
    /// Folder that gets NAME.conf for each host; without it, they are printed
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct WhichHosts {
    /// The host whose file is wanted, by its name in the configuration
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,
    /// Both hosts
    #[arg(long)]
    pub all: bool,
}
