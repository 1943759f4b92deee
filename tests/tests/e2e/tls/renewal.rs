//! Certificates that are renewed while clients come.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::SystemTime;

use e2e::backend::Backend;
use e2e::openssl::openssl;
use e2e::until::{SOON, until};

use super::{Folder, port, shown, start};

/// kumahq/kuma#17882, cloudflare/certinel#14, dyson/certman#2, temporalio/ui#3178, seastar#756: renewals as they really happen.
#[test]
fn a_certificate_is_renewed_in_whatever_order_its_files_come() {
    let (folder, backend) = (Folder::new(), Backend::named("app"));
    let live = folder.path("live");
    fs::create_dir(&live).unwrap();
    let renew = |name: &str, at: &Path| {
        folder.make(name, &["a.test"], &[]);
        for extension in ["crt", "key"] {
            fs::copy(
                folder.path(&format!("{name}.{extension}")),
                at.join(format!("a.{extension}")),
            )
            .unwrap();
        }
    };
    renew("first", &live);
    folder.make("beside", &["b.test"], &[]);
    for extension in ["crt", "key"] {
        fs::copy(
            folder.path(&format!("beside.{extension}")),
            live.join(format!("b.{extension}")),
        )
        .unwrap();
    }
    let veil = start(&format!("{{ folder: {} }}", live.display()), &backend, "");
    let port = port(&veil);
    let shows = |name: &str| until(name, SOON, || (shown(port, Some("a.test")) == name).then_some(()));
    // How often something was told of by now.
    let told = || veil.process.stderr.text().matches("is shown still").count();
    let stays = |name: &str, before: usize| {
        until("the half of it is told of", SOON, || {
            assert_eq!(shown(port, Some("a.test")), name);
            (told() > before).then_some(())
        });
    };
    shows("first");

    // The key first.
    folder.make("second", &["a.test"], &[]);
    let before = told();
    fs::copy(folder.path("second.key"), live.join("a.key")).unwrap();
    stays("first", before);
    fs::copy(folder.path("second.crt"), live.join("a.crt")).unwrap();
    shows("second");

    // Half a certificate.
    let whole = fs::read(folder.path("second.crt")).unwrap();
    let before = told();
    fs::write(live.join("a.crt"), &whole[..whole.len() / 2]).unwrap();
    stays("second", before);

    // Meanwhile another one is renewed, and a third one comes.
    folder.make("other", &["b.test"], &[]);
    fs::copy(folder.path("other.key"), live.join("b.key")).unwrap();
    fs::copy(folder.path("other.crt"), live.join("b.crt")).unwrap();
    until("the other one is renewed", SOON, || {
        (shown(port, Some("b.test")) == "other").then_some(())
    });
    assert_eq!(shown(port, Some("a.test")), "second");

    // Gone, then back.
    let before = told();
    fs::remove_file(live.join("a.key")).unwrap();
    stays("second", before);
    renew("third", &live);
    shows("third");

    // The same key, a new certificate.
    let anew = [
        "req",
        "-x509",
        "-key",
        "third.key",
        "-subj",
        "/CN=fourth",
        "-addext",
        "subjectAltName=DNS:a.test",
        "-out",
        "fourth.crt",
    ];
    openssl(&folder.path("."), &anew);
    fs::copy(folder.path("fourth.crt"), live.join("a.crt")).unwrap();
    shows("fourth");
}

/// Mailu#1302, ory/x#502, vectordotdev/vector#10877, cert-manager/csi-driver#264: a volume of Kubernetes is a link to a link to a
/// folder that is swapped, and all of its files have one date.
#[test]
fn a_certificate_behind_links_is_renewed_with_the_folder_that_they_lead_to() {
    let (folder, backend) = (Folder::new(), Backend::named("app"));
    let volume = folder.path("volume");
    fs::create_dir(&volume).unwrap();
    let publish = |name: &str| {
        folder.make(name, &["a.test"], &[]);
        let data = volume.join(format!("..{name}"));
        fs::create_dir(&data).unwrap();
        for (from, to) in [("crt", "tls.crt"), ("key", "tls.key")] {
            let file = data.join(to);
            let mut text = fs::read(folder.path(&format!("{name}.{from}"))).unwrap();
            text.resize(4096, b'\n');
            fs::write(&file, text).unwrap();
            let file = fs::File::options().write(true).open(file).unwrap();
            file.set_times(fs::FileTimes::new().set_modified(SystemTime::UNIX_EPOCH))
                .unwrap();
        }
        symlink(format!("..{name}"), volume.join("..data_tmp")).unwrap();
        fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
    };
    publish("first");
    for name in ["tls.crt", "tls.key"] {
        symlink(format!("..data/{name}"), volume.join(name)).unwrap();
    }
    let tls = format!("{{ certificate: {0}/tls.crt, key: {0}/tls.key }}", volume.display());
    let veil = start(&tls, &backend, "");
    let port = port(&veil);
    for name in ["first", "second", "third"] {
        if name != "first" {
            publish(name);
        }
        until(name, SOON, || (shown(port, Some("a.test")) == name).then_some(()));
    }
}
