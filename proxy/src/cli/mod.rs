//! The command line.

mod arguments;
mod columns;
pub mod diff;
pub mod explain;
mod import;
mod log;
mod nginx;
pub mod pools;
pub mod schema;

use std::future::Future;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, FromArgMatches, Parser};
use manual::Manual;
use serde::Serialize;

use self::arguments::{
    CheckArgs, Cli, Command, DiffArgs, ExplainArgs, KeepalivedCommand, PoolsArgs, PoolsCommand, RenderArgs, RunArgs,
};
use self::log::log_to;
use self::nginx::NginxCli;
use self::pools::{AdminListener, OperateError, Target};
use crate::config::check::{self, Findings};
use crate::config::{self, Config, Source};
use crate::keepalived::RenderError;
use crate::nginx::Report;
use crate::observe::outlet::{Outlet, Sink};
use crate::server::{self, Launch, ServerError};

/// Nothing was wrong with how Veil was called or configured, and yet it failed.
const FAILED: u8 = 1;
/// Called or configured wrongly; clap uses the same for arguments.
const WRONG_USAGE: u8 = 2;
/// What `veil diff` compares is not the same.
const DIFFERENT: u8 = 1;

/// Does what the command line says. Exit codes: 0 good, 1 failed, 2 wrong usage or configuration. `commit` is what the
/// program was built from.
pub fn main(commit: Option<&str>) -> ExitCode {
    if nginx::is_called_so() {
        return nginx::run(NginxCli::parse().args);
    }
    let command = Cli::command().version(manual::version(env!("CARGO_PKG_VERSION"), commit, &features()));
    let cli = Cli::from_arg_matches(&command.clone().get_matches()).unwrap_or_else(|error| error.exit());
    match cli.command.unwrap_or(Command::Run(cli.run)) {
        Command::Run(args) => run(args, None),
        Command::Check(args) => check(args),
        Command::Explain(args) => explain(&args),
        Command::Diff(args) => diff(args),
        Command::Schema => print_schema(),
        Command::Pools(args) => pools(args),
        Command::Keepalived(KeepalivedCommand::Render(args)) => render_keepalived(args),
        Command::Import(args) => import::import(args),
        Command::Nginx(args) => nginx::run(args),
        Command::Manual(manual) => write_manual(&manual, command),
        #[cfg(feature = "worker")]
        Command::Worker(args) => worker(*args),
        #[cfg(feature = "worker")]
        Command::Blur(args) => blur_service::files::run(&args),
    }
}

/// What was built in, by choice.
#[cfg(feature = "worker")]
fn features() -> Vec<&'static str> {
    ["worker"].iter().chain(blur_service::FEATURES).copied().collect()
}

#[cfg(not(feature = "worker"))]
fn features() -> Vec<&'static str> {
    Vec::new()
}

fn source(file: Option<PathBuf>) -> Source {
    file.map_or(Source::LOCAL, Source::File)
}

fn write_manual(manual: &Manual, command: clap::Command) -> ExitCode {
    match manual.write(command) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("veil: cannot write the manual: {error}");
            ExitCode::from(FAILED)
        }
        _ => ExitCode::SUCCESS,
    }
}

/// `read` is what the arguments name, where it has been read and found to be good already.
fn run(args: RunArgs, read: Option<(Config, Report)>) -> ExitCode {
    let sink = args.log_file.clone().map_or(Sink::Stderr, Sink::File);
    let log = match log_to(sink, args.nginx_prefix.is_some()) {
        Ok(log) => log,
        Err(error) => {
            eprintln!("veil: cannot log: {error}");
            return ExitCode::from(FAILED);
        }
    };
    if args.detached {
        // A process that leads its group already is one of a session of its own.
        let _ = rustix::process::setsid();
    }
    let takes_over = args.take_over;
    let launch = Launch {
        source: args.source(),
        pid_file: args.pid_file,
        log_file: args.log_file,
        log: Arc::clone(&log),
    };
    let config = read.map(|(config, report)| {
        config::announce(&launch.source, &report);
        config
    });
    let code = match server::run(launch, config, takes_over) {
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
    let admin = config.admin.and_then(|admin| admin.address.inet());
    let (Some(keepalived), Some(admin)) = (config.keepalived, admin) else {
        eprintln!("{source}: there is no keepalived section; conf/veil.yaml shows one");
        return ExitCode::from(WRONG_USAGE);
    };
    let written = keepalived
        .files(admin, args.hosts.host.as_deref())
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
