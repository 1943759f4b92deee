//! Where Unix sockets are to be.

use std::fs::symlink_metadata;
use std::os::unix::fs::FileTypeExt;
use std::path::Path as FilePath;

use super::Remark;
use crate::client::endpoint::Endpoint;
use crate::config::Config;
use crate::yaml::document::{Path, steps};

/// Sockets in whose place something else is: it is not taken away for them.
pub fn obstructed(config: &Config) -> Vec<Remark> {
    let is_obstructed = |path: &FilePath| symlink_metadata(path).is_ok_and(|file| !file.file_type().is_socket());
    let of = |path: &FilePath| format!("{} is there already, and is no socket", path.display());
    remarks(config, is_obstructed, of)
}

/// Sockets whose folder is missing; a service manager may make it.
pub fn without_folder(config: &Config) -> Vec<Remark> {
    let lacks_folder = |path: &FilePath| path.parent().is_some_and(|folder| !folder.is_dir());
    let of = |path: &FilePath| {
        let folder = path.parent().unwrap_or(path).display();
        format!("there is no folder {folder}, in which its socket is to be")
    };
    remarks(config, lacks_folder, of)
}

fn remarks(config: &Config, holds: impl Fn(&FilePath) -> bool, of: impl Fn(&FilePath) -> String) -> Vec<Remark> {
    let sockets = all(config).into_iter().filter(|(.., path)| holds(path));
    sockets
        .map(|(at, whose, path)| (at, format!("{whose}: {}", of(path))))
        .collect()
}

/// Each with its place in the configuration, and whose it is.
fn all(config: &Config) -> Vec<(Path, String, &FilePath)> {
    let listeners = config.listeners.iter().flat_map(|(name, listener)| {
        let at = steps!["listeners", name.as_str(), "address"].to_vec();
        listener
            .address
            .iter()
            .map(move |address| (at.clone(), format!("listener {name:?}"), address))
    });
    let admin = config
        .admin
        .iter()
        .map(|admin| (steps!["admin", "address"].to_vec(), "admin".to_owned(), &admin.address));
    let all = listeners.chain(admin).filter_map(|(at, whose, address)| match address {
        Endpoint::Unix(path) => Some((at, whose, path.as_path())),
        Endpoint::Inet(_) => None,
    });
    all.collect()
}
