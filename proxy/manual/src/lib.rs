//! What a program says of its command line, for other readers than `--help`'s: manual pages, shells' completions, and which
//! build it is.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
};

use clap::{Command, Subcommand};
use clap_complete::Shell;

#[derive(Clone, Debug, Subcommand)]
pub enum Manual {
    /// Write the manual's pages into a folder, one for the program and one for each command
    #[command(after_help = "Example: sudo veil man /usr/local/share/man/man1")]
    Man { folder: PathBuf },
    /// Print a shell's completions
    #[command(after_help = "Example: veil completions bash | sudo tee /usr/share/bash-completion/completions/veil")]
    Completions { shell: Shell },
}

impl Manual {
    /// # Errors
    /// The system's, when the folder or stdout cannot be written to.
    pub fn write(&self, mut command: Command) -> io::Result<()> {
        match self {
            Self::Man { folder } => {
                fs::create_dir_all(folder)?;
                clap_mangen::generate_to(command, folder)
            }
            Self::Completions { shell } => {
                let name = command.get_name().to_owned();
                let mut script = Vec::new();
                clap_complete::generate(*shell, &mut command, name, &mut script);
                io::stdout().write_all(&script)
            }
        }
    }
}

/// `0.1.0 (8cb9c54; worker, avif)`. `commit` is unknown where whoever built it did not say: `VEIL_COMMIT`.
pub fn version(number: &str, commit: Option<&str>, features: &[&str]) -> &'static str {
    let commit = commit.unwrap_or("commit unknown");
    let features = match features {
        [] => "no features".to_owned(),
        some => some.join(", "),
    };
    // Once in a program's life.
    format!("{number} ({commit}; {features})").leak()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_says_what_was_built() {
        assert_eq!(
            version("0.1.0", Some("8cb9c54"), &["worker", "avif"]),
            "0.1.0 (8cb9c54; worker, avif)"
        );
        assert_eq!(version("0.1.0", None, &[]), "0.1.0 (commit unknown; no features)");
    }
}
