//! A real rsyslogd, which writes down what it makes of each message.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::nginx::Nginx;
use crate::until::{SOON, until};

/// One process in the foreground; ended with this value.
pub struct Rsyslog {
    process: Child,
    home: TempDir,
    /// Where it listens, over UDP and TCP.
    pub address: SocketAddr,
}

impl Rsyslog {
    /// Where rsyslogd is, if this machine has it.
    pub fn binary() -> Option<&'static Path> {
        Some(Path::new("/usr/sbin/rsyslogd")).filter(|path| path.exists())
    }

    /// Returns once it listens everywhere.
    pub fn start(binary: &Path) -> Self {
        let home = tempfile::tempdir().expect("a folder can be made");
        let address = Nginx::free_address();
        let file = home.path().join("rsyslog.conf");
        let configuration = CONFIGURATION
            .replace("HOME", &home.path().display().to_string())
            .replace("PORT", &address.port().to_string());
        fs::write(&file, configuration).expect("the folder is ours");
        let process = Command::new(binary)
            .args(["-n", "-i", "NONE", "-f"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary is there");
        let rsyslog = Self { process, home, address };
        until("rsyslogd listens", SOON, || {
            (rsyslog.socket().exists() && std::net::TcpStream::connect(address).is_ok()).then_some(())
        });
        rsyslog
    }

    /// Where it listens in the file system.
    pub fn socket(&self) -> PathBuf {
        self.home.path().join("log")
    }

    /// The message with this text, as it was taken apart: facility, severity, program, kind and text.
    pub fn wait_for(&self, text: &str) -> String {
        let written = self.home.path().join("written");
        until("the message is written", SOON, || {
            let all = fs::read_to_string(&written).ok()?;
            all.lines().find(|line| line.contains(text)).map(str::to_owned)
        })
    }
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const CONFIGURATION: &str = r#"
global(workDirectory="HOME")
module(load="imuxsock" SysSock.Use="off")
module(load="imudp")
module(load="imtcp")
template(name="apart" type="string"
         string="%syslogfacility-text% %syslogseverity-text% %app-name% %msgid% %structured-data%|%msg%\n")
ruleset(name="all") { action(type="omfile" file="HOME/written" template="apart") }
input(type="imuxsock" socket="HOME/log" useSpecialParser="off" parseHostname="on" ruleset="all")
input(type="imudp" address="127.0.0.1" port="PORT" ruleset="all")
input(type="imtcp" address="127.0.0.1" port="PORT" ruleset="all")
"#;
