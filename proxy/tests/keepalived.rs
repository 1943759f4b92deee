//! The stock files in `keepalived/` are what `veil keepalived render` makes of the configurations in `conf/`.
//! `VEIL_BLESS=1 cargo test` writes them anew, to be read in the diff.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const STOCK: [(&str, &str); 3] = [
    ("conf/veil.yaml", "keepalived"),
    ("conf/examples/ipv6-virtual-address.yaml", "keepalived/examples/ipv6"),
    ("conf/examples/both-active.yaml", "keepalived/examples/both-active"),
];

#[test]
fn the_stock_files_are_what_is_rendered() {
    for (config, folder) in STOCK {
        let rendered = tempfile::tempdir().unwrap();
        let output = render(&[config, "--all", "--output", rendered.path().to_str().unwrap()]);
        assert!(output.status.success(), "{output:?}");
        for file in files(rendered.path()) {
            let (text, stock) = (
                fs::read_to_string(&file).unwrap(),
                root().join(folder).join(file.file_name().unwrap()),
            );
            if std::env::var_os("VEIL_BLESS").is_some() {
                fs::write(&stock, text).unwrap();
            } else {
                assert_eq!(
                    fs::read_to_string(&stock).unwrap_or_default(),
                    text,
                    "{}",
                    stock.display()
                );
            }
        }
        let conf = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "conf");
        let stock = files(&root().join(folder)).into_iter().filter(conf).count();
        assert_eq!(
            stock,
            files(rendered.path()).len(),
            "{folder} has files that nothing renders"
        );
    }
}

#[test]
fn one_hosts_file_is_printed() {
    let output = render(&["conf/veil.yaml", "--host", "backup"]);
    let stock = fs::read_to_string(root().join("keepalived/backup.conf")).unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), stock);
}

#[test]
fn both_hosts_files_are_printed_unless_a_folder_is_given() {
    let output = render(&["conf/veil.yaml", "--all"]);
    let stock =
        ["master", "backup"].map(|host| fs::read_to_string(root().join(format!("keepalived/{host}.conf"))).unwrap());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), stock.concat());
}

#[test]
fn a_host_that_is_not_there_and_a_file_without_the_section_are_wrong_usage() {
    let output = render(&["conf/veil.yaml", "--host", "backups"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said.contains(r#"there is no host "backups""#) && said.contains(r#"did you mean "backup"?"#),
        "{said}"
    );

    let output = render(&["conf/examples/article.yaml", "--all", "--output", "/"]);
    assert_eq!(output.status.code(), Some(2));
}

/// The first argument is the configuration, from the repository's root.
fn render(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_veil"));
    command.args(["keepalived", "render", "-c"]).args(arguments);
    command.current_dir(root()).output().unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_file()).collect()
}
