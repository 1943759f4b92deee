//! `veil keepalived render`: which hosts' files are wanted, and where they go.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::{Host, HostConfig, KeepalivedConfig};
use crate::yaml::diagnostic::suggest;

/// Why no file was written.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    #[error("there is no host {name:?}; {}", suggest("the hosts", name, hosts.iter().map(String::as_str)).unwrap_or_default())]
    NoSuchHost { name: String, hosts: Vec<String> },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// Keepalived's file for a host. Its first line names that.
pub struct File {
    host: String,
    pub text: String,
}

impl File {
    /// Writes it into a folder, as `NAME.conf`.
    pub fn write_to(&self, folder: &Path) -> Result<(), RenderError> {
        let path = folder.join(format!("{}.conf", self.host));
        fs::write(&path, &self.text).map_err(|source| RenderError::Write { path, source })
    }
}

impl KeepalivedConfig {
    /// Keepalived's file for `host`, or both hosts' files.
    pub fn files(&self, admin: SocketAddr, host: Option<&str>) -> Result<Vec<File>, RenderError> {
        let file = |(host, named): (Host, &HostConfig)| File {
            host: named.name.as_str().to_owned(),
            text: self.render(host, admin),
        };
        Ok(self.wanted(host)?.into_iter().map(file).collect())
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
