//! The command line.

mod columns;
pub mod diff;
pub mod explain;
mod import;
pub mod pools;
pub mod schema;

use std::future::Future;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use serde::Serialize;
use tracing_subscriber::EnvFilter;

use self::explain::Question;
use self::pools::{AdminListener, OperateError, Target};
use crate::config::check::{self, Findings};
use crate::config::{self, Config, Source};
use crate::keepalived::RenderError;
use crate::observe::outlet::{Outlet, Sink};
use crate::server::{self, ServerError};

/// Load balancer for picture workers, in YAML
///
/// Without a command, `veil` runs. Without a file, it starts two blur workers of its own and serves them on
/// http://127.0.0.1:8080.
#[derive(Parser)]
#[command(name = "veil", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Subcommand)]
enum Command {
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
    /// Run one blur worker
    #[cfg(feature = "worker")]
    Worker(Box<blur_service::Args>),
    #[cfg(feature = "worker")]
    Blur(Box<blur_service::files::FilesArgs>),
}

#[derive(Args)]
struct RunArgs {
    /// Configuration file; without it, a proxy for this machine alone
    #[arg(short, long, value_name = "FILE", env = "VEIL_CONFIG")]
    config: Option<PathBuf>,
    /// Nginx's configuration in place of Veil's, whatever -c says; see `veil import nginx --help` for what of it is carried over
    #[arg(long, value_name = "FILE")]
    nginx: Option<PathBuf>,
    /// The standard input is the Veil that this one replaces
    #[arg(long, hide = true)]
    take_over: bool,
}

/// The configuration that is spoken of; without it, the built-in one.
#[derive(Args)]
struct ConfigArgs {
    /// Configuration file; without it, the built-in one
    #[arg(short, long, value_name = "FILE", env = "VEIL_CONFIG")]
    config: Option<PathBuf>,
}

#[derive(Args)]
struct CheckArgs {
    /// Configuration file; goes before -c and VEIL_CONFIG
    file: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArgs,
    /// Look at the text alone, and open nothing that it names
    #[arg(long)]
    syntax: bool,
}

#[derive(Args)]
struct ExplainArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    question: Question,
    /// Answer with JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct DiffArgs {
    old: PathBuf,
    new: PathBuf,
    /// Answer with JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct PoolsArgs {
    /// The admin listener of the Veil that is meant
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "VEIL_ADMIN",
        default_value = "127.0.0.1:8081",
        global = true
    )]
    admin: SocketAddr,
    /// What that listener wants to hear, where its configuration has a token
    #[arg(
        long,
        value_name = "TOKEN",
        env = "VEIL_ADMIN_TOKEN",
        hide_env_values = true,
        global = true
    )]
    token: Option<String>,
    #[command(subcommand)]
    command: Option<PoolsCommand>,
}

#[derive(Subcommand)]
enum PoolsCommand {
    /// Send a backend no further requests; those it has go on
    Drain { pool: String, backend: String },
    /// Take a drained backend back
    Undrain { pool: String, backend: String },
    /// Give a backend another share beside the others'; 0 drains it
    Weight { pool: String, backend: String, weight: u32 },
}

#[derive(Subcommand)]
enum KeepalivedCommand {
    /// Write Keepalived's file for a host, or for both, from the `keepalived` section of a configuration
    Render(RenderArgs),
}

#[derive(Args)]
struct RenderArgs {
    /// Configuration file, the same on both hosts
    #[arg(short, long, value_name = "FILE", env = "VEIL_CONFIG")]
    config: PathBuf,
    #[command(flatten)]
    hosts: WhichHosts,
    /// Folder that gets NAME.conf for each host; without it, they are printed
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct WhichHosts {
    /// The host whose file is wanted, by its name in the configuration
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Both hosts
    #[arg(long)]
    all: bool,
}

/// Nothing was wrong with how Veil was called or configured, and yet it failed.
const FAILED: u8 = 1;
/// Called or configured wrongly; clap uses the same for arguments.
const WRONG_USAGE: u8 = 2;
/// What `veil diff` compares is not the same.
const DIFFERENT: u8 = 1;

/// Does what the command line says. Exit codes: 0 good, 1 failed, 2 wrong usage or configuration.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command.unwrap_or(Command::Run(cli.run)) {
        Command::Run(args) => run(args),
        Command::Check(args) => check(args),
        Command::Explain(args) => explain(&args),
        Command::Diff(args) => diff(args),
        Command::Schema => print_schema(),
        Command::Pools(args) => pools(args),
        Command::Keepalived(KeepalivedCommand::Render(args)) => render_keepalived(args),
        Command::Import(args) => import::import(args),
        #[cfg(feature = "worker")]
        Command::Worker(args) => worker(*args),
        #[cfg(feature = "worker")]
        Command::Blur(args) => blur_service::files::run(&args),
    }
}

fn source(file: Option<PathBuf>) -> Source {
    file.map_or(Source::Local, Source::File)
}

fn run(args: RunArgs) -> ExitCode {
    let log = match log_to_stderr() {
        Ok(log) => log,
        Err(error) => {
            eprintln!("veil: cannot log: {error}");
            return ExitCode::from(FAILED);
        }
    };
    let source = args.nginx.map_or_else(|| source(args.config), Source::Nginx);
    let code = match server::run(&source, args.take_over) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say_why(&error);
            ExitCode::from(if matches!(error, ServerError::Config(_)) {
                WRONG_USAGE
            } else {
                FAILED
            })
        }
    };
    log.finish(Outlet::FAREWELL);
    code
}

/// In a log of JSON as one event, whatever a supervisor or a predecessor reads it with; never not at all.
fn say_why(error: &ServerError) {
    if io::stderr().is_terminal() || !tracing::enabled!(tracing::Level::ERROR) {
        eprintln!("{error}");
    } else {
        tracing::error!(%error, "cannot run");
    }
}

fn check(args: CheckArgs) -> ExitCode {
    let source = source(args.file.or(args.config.config));
    let Findings { mistakes, warnings } = if args.syntax {
        check::text(&source)
    } else {
        check::all(&source)
    };
    warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    mistakes.iter().for_each(|mistake| eprintln!("{mistake}"));
    if !mistakes.is_empty() {
        return ExitCode::from(WRONG_USAGE);
    }
    say(format_args!("{source}: good\n"));
    ExitCode::SUCCESS
}

fn explain(args: &ExplainArgs) -> ExitCode {
    let config = match loaded(&source(args.config.config.clone())) {
        Ok(config) => config,
        Err(code) => return code,
    };
    match wait_for(explain::explain(&config, &args.question)) {
        Ok(explanation) => {
            print(&explanation, args.json);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("veil explain: {error}");
            ExitCode::from(FAILED)
        }
    }
}

fn diff(args: DiffArgs) -> ExitCode {
    let (old, new) = match (loaded(&Source::File(args.old)), loaded(&Source::File(args.new))) {
        (Ok(old), Ok(new)) => (old, new),
        (Err(code), _) | (_, Err(code)) => return code,
    };
    match wait_for(diff::diff(&old, &new)) {
        Ok(difference) => {
            print(&difference, args.json);
            ExitCode::from(if difference.is_none() { 0 } else { DIFFERENT })
        }
        Err(error) => {
            eprintln!("veil diff: {error}");
            ExitCode::from(WRONG_USAGE)
        }
    }
}

/// The configuration; where it has mistakes, they are told.
fn loaded(source: &Source) -> Result<Config, ExitCode> {
    config::load(source).map_err(|mistakes| {
        mistakes.iter().for_each(|mistake| eprintln!("{mistake}"));
        ExitCode::from(WRONG_USAGE)
    })
}

/// Runs what asks others than this process, on this thread.
fn wait_for<T, E: From<io::Error>>(answer: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(answer)
}

fn print<T: Serialize + std::fmt::Display>(answer: &T, json: bool) {
    if json {
        say(format_args!("{:#}\n", serde_json::json!(answer)));
    } else {
        say(format_args!("{answer}"));
    }
}

/// Writes to stdout. Whoever reads may have seen enough: `veil schema | head` is no failure.
fn say(text: std::fmt::Arguments<'_>) {
    let mut out = io::stdout().lock();
    match out.write_fmt(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => panic!("cannot write to stdout: {error}"),
        _ => {}
    }
}

fn print_schema() -> ExitCode {
    say(format_args!("{:#}\n", schema::schema().as_value()));
    ExitCode::SUCCESS
}

fn pools(args: PoolsArgs) -> ExitCode {
    match ask_for_pools(args) {
        Ok(table) => {
            say(format_args!("{table}"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("veil pools: {error}");
            ExitCode::from(FAILED)
        }
    }
}

fn render_keepalived(args: RenderArgs) -> ExitCode {
    let source = Source::File(args.config);
    let config = match loaded(&source) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let (Some(keepalived), Some(admin)) = (config.keepalived, config.admin) else {
        eprintln!("{source}: there is no keepalived section; conf/veil.yaml shows one");
        return ExitCode::from(WRONG_USAGE);
    };
    let written = keepalived
        .files(admin.address, args.hosts.host.as_deref())
        .and_then(|files| match &args.output {
            Some(folder) => files.iter().try_for_each(|file| file.write_to(folder)),
            None => {
                files.iter().for_each(|file| say(format_args!("{}", file.text)));
                Ok(())
            }
        });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("veil keepalived render: {error}");
            ExitCode::from(match error {
                RenderError::NoSuchHost { .. } => WRONG_USAGE,
                RenderError::Write { .. } => FAILED,
            })
        }
    }
}

/// Does what is commanded; returns a table of what it has led to.
fn ask_for_pools(args: PoolsArgs) -> Result<String, OperateError> {
    let admin = AdminListener {
        address: args.admin,
        token: args.token,
    };
    let (target, command) = match args.command {
        None => return pools::overview(&admin),
        Some(PoolsCommand::Drain { pool, backend }) => (Target { pool, backend }, pools::Command::Drain),
        Some(PoolsCommand::Undrain { pool, backend }) => (Target { pool, backend }, pools::Command::Undrain),
        Some(PoolsCommand::Weight { pool, backend, weight }) => {
            (Target { pool, backend }, pools::Command::Weight(weight))
        }
    };
    pools::command(&admin, &target, command).map(|pool| pools::table(&[pool]))
}

#[cfg(feature = "worker")]
fn worker(args: blur_service::Args) -> ExitCode {
    match blur_service::run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("veil worker: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}

/// Pingora reports what clients do wrong as errors of its own; the access line says those things once.
const LOG_FILTER: &str = "info,pingora_core=off,pingora_proxy=off,pingora_pool=off,pingora_load_balancing=off";

/// `VEIL_LOG` overrides what is logged, in the form of tracing's filters. For a person at a terminal it is text; anywhere
/// else each line is a JSON object, as the access log's are, between which it may stand. Nobody waits for who reads it.
fn log_to_stderr() -> io::Result<Arc<Outlet>> {
    let outlet = Arc::new(Outlet::open(Sink::Stderr, "log", Duration::ZERO)?);
    let writer = Arc::clone(&outlet);
    let filter = EnvFilter::try_from_env("VEIL_LOG").unwrap_or_else(|_| EnvFilter::new(LOG_FILTER));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || Lines(Arc::clone(&writer)))
        .with_target(false);
    if io::stderr().is_terminal() {
        log.init();
    } else {
        log.json().flatten_event(true).with_current_span(false).init();
    }
    Ok(outlet)
}

/// What tracing writes of one event goes out as a whole.
struct Lines(Arc<Outlet>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(|lines| lines.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
