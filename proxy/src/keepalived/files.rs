//! `veil keepalived render`: which hosts' files are wanted, and where they go.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::{Host, HostConfig, KeepalivedConfig};
use crate::diagnostic::suggest;

/// Why no file was written.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    #[error("there is no host {name:?}; {}", suggest("the hosts", name, hosts.iter().map(String::as_str)).unwrap_or_default())]
    NoSuchHost { name: String, hosts: Vec<String> },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

impl KeepalivedConfig {
    /// Keepalived's file for `host`, or both hosts' files: into the folder `output` as `NAME.conf`, or to stdout.
    pub fn write(&self, admin: SocketAddr, host: Option<&str>, output: Option<&Path>) -> Result<(), RenderError> {
        for (host, named) in self.wanted(host)? {
            let text = self.render(host, admin);
            match output {
                None => print!("{text}"),
                Some(folder) => write(&folder.join(format!("{}.conf", named.name.as_str())), &text)?,
            }
        }
        Ok(())
    }

    fn wanted(&self, name: Option<&str>) -> Result<Vec<(Host, &HostConfig)>, RenderError> {
        let hosts = self.hosts();
        let Some(name) = name else {
            return Ok(hosts.to_vec());
        };
        let wanted = hosts.iter().find(|(_, config)| config.name.as_str() == name);
        wanted.map(|one| vec![*one]).ok_or_else(|| RenderError::NoSuchHost {
            name: name.to_owned(),
            hosts: hosts.map(|(_, config)| config.name.as_str().to_owned()).to_vec(),
        })
    }
}

fn write(path: &Path, text: &str) -> Result<(), RenderError> {
    fs::write(path, text).map_err(|source| RenderError::Write {
        path: path.to_owned(),
        source,
    })
}
