//! The blur service as a program of its own.

use std::process::ExitCode;

use blur_service::clearing::Clearing;
use clap::Parser;

#[global_allocator]
static ALLOCATOR: Clearing<std::alloc::System> = Clearing(std::alloc::System);

/// HTTP image API that hides every face in a picture, irreversibly
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    args: blur_service::Args,
}

fn main() -> ExitCode {
    match blur_service::run(Cli::parse().args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("blur-service: {error:#}");
            ExitCode::FAILURE
        }
    }
}
