//! The blur service as a program of its own.

use std::process::ExitCode;

use blur_service::{clearing::Clearing, files::FilesArgs};
use clap::{Parser, Subcommand};

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
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(Command::Blur(args)) = cli.command {
        return blur_service::files::run(&args);
    }
    match blur_service::run(cli.args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("blur-service: {error:#}");
            ExitCode::FAILURE
        }
    }
}
