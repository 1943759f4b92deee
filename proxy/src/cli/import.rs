//! `veil import`: other programs' configurations as Veil's.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{FAILED, say};
use crate::config;
use crate::nginx::{self, Imported, Origin, Version};

#[derive(Subcommand)]
pub enum Import {
    /// Write Nginx's configuration as Veil's, and say what became of each directive
    #[command(after_help = "Examples:\n  veil import nginx /etc/nginx/nginx.conf -o veil.yaml\n  \
                      veil import nginx nginx.conf --strict > veil.yaml\n\n\
                      The report goes to stderr: what was carried over in another form (changed) and what was not\n\
                      (missing), each with its place. Where Nginx would have asked for leave in a way that is missing,\n\
                      Veil serves nobody.\n\n\
                      Exit code: 0 if it was written, 1 if it cannot be read or written or, with --strict, if something is missing.")]
    Nginx(NginxArgs),
}

#[derive(Args)]
pub struct NginxArgs {
    /// Nginx's main file; what it includes is read too
    file: PathBuf,
    /// Where to write; stdout unless given
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The Nginx that it was written for; before 1.29.7, backends are spoken to in HTTP/1.0, on a connection for each request
    #[arg(long, value_name = "VERSION", default_value_t = Version::NEWEST)]
    nginx_version: Version,
    /// Fail, and write nothing, where something is missing
    #[arg(long)]
    strict: bool,
    /// Write the report as JSON, what was carried over and what does no harm too
    #[arg(long)]
    json: bool,
}

pub fn import(import: Import) -> ExitCode {
    let Import::Nginx(args) = import;
    let origin = Origin {
        version: args.nginx_version,
        ..Origin::of(args.file)
    };
    let imported = match nginx::import(&origin) {
        Ok(imported) => imported,
        Err(error) => {
            eprintln!("veil import nginx: {error}");
            return ExitCode::from(FAILED);
        }
    };
    tell(&imported, args.json);
    if args.strict && imported.report.has_missing() {
        return ExitCode::from(FAILED);
    }
    let name = args
        .output
        .as_ref()
        .map_or("stdout".into(), |path| path.display().to_string());
    for mistake in config::parse(&name, &imported.yaml).err().unwrap_or_default() {
        eprintln!("{mistake}");
    }
    match args.output {
        None => say(format_args!("{}", imported.yaml)),
        Some(path) => {
            if let Err(error) = fs::write(&path, &imported.yaml) {
                eprintln!("veil import nginx: cannot write {}: {error}", path.display());
                return ExitCode::from(FAILED);
            }
        }
    }
    ExitCode::SUCCESS
}

fn tell(imported: &Imported, json: bool) {
    if json {
        let lines: Vec<_> = imported.report.lines().collect();
        eprintln!("{:#}", serde_json::json!(lines));
    } else {
        eprint!("{}", imported.report);
    }
}
