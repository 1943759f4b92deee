//! The program that decodes. It is started by `blur-service`, and is of no use to people.

mod keeper;
mod reader;
mod walls;

use std::{env, process::ExitCode};

use hevc_still::{KEEPER, READER};

fn main() -> ExitCode {
    let done = match env::args().nth(1).as_deref() {
        Some(KEEPER) => keeper::keep(),
        Some(READER) => reader::read(),
        Some("--help") => {
            println!("veil-heic decodes HEIC by libheif; blur-service starts it where it lies beside it.");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("veil-heic: this program is started by blur-service");
            return ExitCode::from(WRONG_USAGE);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("veil-heic: {error}");
            ExitCode::FAILURE
        }
    }
}

const WRONG_USAGE: u8 = 2;
