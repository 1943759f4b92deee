//! The blur service as a program of its own.

use std::process::ExitCode;

use blur_service::{FEATURES, clearing::Clearing, files::FilesArgs};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use manual::Manual;

#[global_allocator]
static ALLOCATOR: Clearing<std::alloc::System> = Clearing(std::alloc::System);

/// HTTP image API that hides every face in a picture, irreversibly
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    args: blur_service::Args,
}

#[derive(Subcommand)]
enum Command {
    Blur(Box<FilesArgs>),
    #[command(flatten)]
    Manual(Manual),
}

fn main() -> ExitCode {
    // By whoever builds packages; `cargo` does not know the commit.
    let version = manual::version(env!("CARGO_PKG_VERSION"), option_env!("VEIL_COMMIT"), FEATURES);
    let command = Cli::command().version(version);
    let cli = Cli::from_arg_matches(&command.clone().get_matches()).unwrap_or_else(|error| error.exit());
    let done = match cli.command {
        Some(Command::Blur(args)) => return blur_service::files::run(&args),
        Some(Command::Manual(manual)) => manual.write(command).map_err(Into::into),
        None => blur_service::run(cli.args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("blur-service: {error:#}");
            ExitCode::FAILURE
        }
    }
}
