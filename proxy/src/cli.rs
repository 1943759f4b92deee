//! The command line.

use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::config::{self, Source};
use crate::operate::{self, OperateError, Target};
use crate::schema;
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
    Run(RunArgs),
    /// Say all that is wrong with a configuration file, and start nothing
    Check(CheckArgs),
    /// Print the configuration's JSON Schema, for editors
    Schema,
    /// Show the pools of a running Veil, or command their backends
    Pools(PoolsArgs),
    /// Run one blur worker
    #[cfg(feature = "worker")]
    Worker(Box<blur_service::Args>),
}

#[derive(Args)]
struct RunArgs {
    /// Configuration file; without it, a proxy for this machine alone
    #[arg(short, long, value_name = "FILE", env = "VEIL_CONFIG")]
    config: Option<PathBuf>,
    /// The standard input is the Veil that this one replaces
    #[arg(long, hide = true)]
    take_over: bool,
}

#[derive(Args)]
struct CheckArgs {
    /// Configuration file; without it, the built-in one
    #[arg(short, long, value_name = "FILE", env = "VEIL_CONFIG")]
    config: Option<PathBuf>,
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

/// Nothing was wrong with how Veil was called or configured, and yet it failed.
const FAILED: u8 = 1;
/// Called or configured wrongly; clap uses the same for arguments.
const WRONG_USAGE: u8 = 2;

/// Does what the command line says. Exit codes: 0 good, 1 failed, 2 wrong usage or configuration.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command.unwrap_or(Command::Run(cli.run)) {
        Command::Run(args) => run(args),
        Command::Check(args) => check(&source(args.config)),
        Command::Schema => print_schema(),
        Command::Pools(args) => pools(args),
        #[cfg(feature = "worker")]
        Command::Worker(args) => worker(*args),
    }
}

fn source(file: Option<PathBuf>) -> Source {
    file.map_or(Source::Local, Source::File)
}

fn run(args: RunArgs) -> ExitCode {
    log_to_stderr();
    match server::run(&source(args.config), args.take_over) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(if matches!(error, ServerError::Config(_)) {
                WRONG_USAGE
            } else {
                FAILED
            })
        }
    }
}

fn check(source: &Source) -> ExitCode {
    match config::load(source) {
        Ok(_) => {
            println!("{source}: good");
            ExitCode::SUCCESS
        }
        Err(mistakes) => {
            mistakes.iter().for_each(|mistake| eprintln!("{mistake}"));
            ExitCode::from(WRONG_USAGE)
        }
    }
}

fn print_schema() -> ExitCode {
    println!("{:#}", schema::schema().as_value());
    ExitCode::SUCCESS
}

fn pools(args: PoolsArgs) -> ExitCode {
    match ask_for_pools(args) {
        Ok(table) => {
            print!("{table}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("veil pools: {error}");
            ExitCode::from(FAILED)
        }
    }
}

/// Does what is commanded; returns a table of what it has led to.
fn ask_for_pools(args: PoolsArgs) -> Result<String, OperateError> {
    let (target, command) = match args.command {
        None => return operate::pools(args.admin).map(|pools| operate::table(&pools)),
        Some(PoolsCommand::Drain { pool, backend }) => (Target { pool, backend }, operate::Command::Drain),
        Some(PoolsCommand::Undrain { pool, backend }) => (Target { pool, backend }, operate::Command::Undrain),
        Some(PoolsCommand::Weight { pool, backend, weight }) => {
            (Target { pool, backend }, operate::Command::Weight(weight))
        }
    };
    operate::command(args.admin, &target, command).map(|pool| operate::table(&[pool]))
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

/// `VEIL_LOG` overrides what is logged, in the form of tracing's filters.
fn log_to_stderr() {
    let filter = EnvFilter::try_from_env("VEIL_LOG").unwrap_or_else(|_| EnvFilter::new(LOG_FILTER));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .init();
}
