//! Nginx's command line, as init scripts, packages and test suites know it: `nginx -t`, `nginx -s reload`, and so on.

use std::env;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, Parser, ValueEnum};
use rustix::process::{Pid, kill_process};

use super::arguments::RunArgs;
use super::{FAILED, say};
use crate::config::{self, Config};
use crate::nginx::{self, Fate, Imported, Origin, Process, Report, Version};
use crate::program;
use crate::server;

/// Nginx, by Veil
#[derive(Parser)]
#[command(name = "nginx", disable_version_flag = true)]
pub struct NginxCli {
    #[command(flatten)]
    pub args: NginxArgs,
}

#[derive(Args)]
pub struct NginxArgs {
    /// Show the version
    #[arg(short = 'v')]
    version: bool,
    /// Show the version, and what of Nginx can be configured
    #[arg(short = 'V')]
    features: bool,
    /// Test the configuration
    #[arg(short = 't')]
    test: bool,
    /// Test the configuration, and print its files
    #[arg(short = 'T')]
    dump: bool,
    /// Say no more than mistakes while testing
    #[arg(short = 'q')]
    quiet: bool,
    /// Send a signal to the running process
    #[arg(short = 's', value_name = "SIGNAL")]
    signal: Option<Signal>,
    /// What names are relative to
    #[arg(short = 'p', value_name = "PREFIX", default_value = "/etc/nginx")]
    prefix: PathBuf,
    /// Where errors are logged until the configuration says where; `stderr` for there
    #[arg(short = 'e', value_name = "FILE", default_value = "/var/log/nginx/error.log")]
    error_log: PathBuf,
    /// The configuration
    #[arg(short = 'c', value_name = "FILE", default_value = "/etc/nginx/nginx.conf")]
    config: PathBuf,
    /// Directives outside of any block
    #[arg(
        short = 'g',
        value_name = "DIRECTIVES",
        default_value = "",
        hide_default_value = true
    )]
    directives: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum Signal {
    /// End
    Stop,
    /// Serve what has begun, and end
    Quit,
    /// Open the logs anew
    Reopen,
    /// Read the configuration anew
    Reload,
}

impl Signal {
    fn number(self) -> rustix::process::Signal {
        match self {
            Self::Stop => rustix::process::Signal::TERM,
            Self::Quit => rustix::process::Signal::QUIT,
            Self::Reopen => rustix::process::Signal::USR1,
            Self::Reload => rustix::process::Signal::HUP,
        }
    }
}

/// Where the process's number is where the configuration does not say.
const PID_FILE: &str = "/run/nginx.pid";
/// Of Nginx's, whose directives are known, and those that Nginx has unless it is built without.
const MODULES: &str = "--with-http_auth_request_module --with-http_gzip_static_module --with-http_realip_module \
                       --with-http_ssl_module --with-http_stub_status_module --with-http_v2_module \
                       --without-http-cache --without-http_autoindex_module --without-http_browser_module \
                       --without-http_charset_module --without-http_empty_gif_module --without-http_fastcgi_module \
                       --without-http_memcached_module --without-http_referer_module --without-http_scgi_module \
                       --without-http_ssi_module --without-http_userid_module --without-http_uwsgi_module";

/// Whether the program was started by that name.
pub fn is_called_so() -> bool {
    let called = env::args_os().next().map(PathBuf::from);
    called.is_some_and(|called| called.file_name().is_some_and(|name| name == "nginx"))
}

/// Does as Nginx would. Exit codes: 0 good, 1 failed.
pub fn run(args: NginxArgs) -> ExitCode {
    let done = match &args {
        NginxArgs { version: true, .. } | NginxArgs { features: true, .. } => {
            show_version(args.features);
            Ok(ExitCode::SUCCESS)
        }
        NginxArgs { test: true, .. } | NginxArgs { dump: true, .. } => Ok(args.test()),
        NginxArgs {
            signal: Some(signal), ..
        } => args.send(*signal),
        _ => args.start(),
    };
    done.unwrap_or_else(|error| {
        eprintln!("nginx: [emerg] {error}");
        ExitCode::from(FAILED)
    })
}

fn show_version(features: bool) {
    eprintln!(
        "nginx version: nginx/{} (veil {})",
        Version::NEWEST,
        env!("CARGO_PKG_VERSION")
    );
    if features {
        eprintln!("TLS SNI support enabled\nconfigure arguments: {MODULES}");
    }
}

impl NginxArgs {
    fn origin(&self) -> Origin {
        Origin {
            file: self.prefix.join(&self.config),
            prefix: Some(self.prefix.clone()),
            directives: self.directives.clone(),
            version: Version::NEWEST,
        }
    }

    fn process(&self) -> io::Result<Process> {
        nginx::process(&self.origin()).map_err(io::Error::other)
    }

    fn pid_file(&self, process: &Process) -> PathBuf {
        self.prefix.join(process.pid.as_deref().unwrap_or(Path::new(PID_FILE)))
    }

    /// None is stderr.
    fn log_file(&self, process: &Process) -> Option<PathBuf> {
        let file = process.error_log.as_deref().unwrap_or(&self.error_log);
        let is_stderr = file.as_os_str().is_empty() || file == Path::new("stderr");
        (!is_stderr).then(|| self.prefix.join(file))
    }

    fn test(&self) -> ExitCode {
        let origin = self.origin();
        if let Err(mistakes) = self.read(&origin) {
            eprintln!("nginx: [emerg] {mistakes}");
            eprintln!("nginx: configuration file {origin} test failed");
            return ExitCode::from(FAILED);
        }
        if !self.quiet {
            eprintln!("nginx: the configuration file {origin} syntax is ok");
            eprintln!("nginx: configuration file {origin} test is successful");
        }
        if self.dump {
            for (path, text) in self.process().map(|process| process.files).unwrap_or_default() {
                say(format_args!("# configuration file {}:\n{text}\n", path.display()));
            }
        }
        ExitCode::SUCCESS
    }

    /// The configuration, or what keeps it from being run; what it lacks is told.
    fn read(&self, origin: &Origin) -> io::Result<(Config, Report)> {
        let Imported { yaml, report } = nginx::import(origin).map_err(io::Error::other)?;
        for line in report.lines().filter(|line| line.fate == Fate::Missing && !self.quiet) {
            let notes = line.notes.join("; ");
            eprintln!(
                "nginx: [warn] {:?} is not carried over: {notes} in {}:{}",
                line.directive, line.file, line.line
            );
        }
        match config::parse(&origin.to_string(), &yaml) {
            Ok(config) => Ok((config, report)),
            Err(mistakes) => {
                let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
                Err(io::Error::other(mistakes.join("\nnginx: [emerg] ")))
            }
        }
    }

    fn send(&self, signal: Signal) -> io::Result<ExitCode> {
        let file = self.pid_file(&self.process()?);
        let text = fs::read_to_string(&file).map_err(|error| told(&file, &error))?;
        let pid = text.trim().parse().ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other(format!("invalid PID number {:?} in {:?}", text.trim(), file)))?;
        kill_process(pid, signal.number())?;
        Ok(ExitCode::SUCCESS)
    }

    fn start(&self) -> io::Result<ExitCode> {
        let origin = self.origin();
        let read = self.read(&origin)?;
        let process = self.process()?;
        let run = RunArgs {
            nginx: Some(origin.file),
            nginx_prefix: origin.prefix,
            nginx_directives: origin.directives,
            pid_file: Some(self.pid_file(&process)),
            log_file: self.log_file(&process),
            ..RunArgs::default()
        };
        match process.daemon {
            true => in_background(&run),
            false => Ok(super::run(run, Some(read))),
        }
    }
}

/// How long a process in the background may take to listen.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns once it listens.
fn in_background(run: &RunArgs) -> io::Result<ExitCode> {
    let pid_file = run.pid_file.clone().unwrap_or_default();
    let log = || match &run.log_file {
        Some(file) => OpenOptions::new().append(true).create(true).open(file).map(Stdio::from),
        None => Ok(Stdio::inherit()),
    };
    let mut child = Command::new(program::path()?)
        .args(["run", "--detached"])
        .args(server::arguments(
            &run.source(),
            run.pid_file.as_ref(),
            run.log_file.as_ref(),
        ))
        .stdin(Stdio::null())
        .stdout(log()?)
        .stderr(log()?)
        .spawn()?;
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if listens(&child, &pid_file) {
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(status) = child.try_wait()? {
            let log = run.log_file.as_deref().unwrap_or(Path::new("stderr"));
            return Err(io::Error::other(format!(
                "it ended with {status}; {} says why",
                log.display()
            )));
        }
        thread::sleep(Duration::from_millis(10));
    }
    Err(io::Error::other("it does not listen"))
}

fn listens(child: &Child, pid_file: &Path) -> bool {
    fs::read_to_string(pid_file).is_ok_and(|text| text.trim() == child.id().to_string())
}

fn told(file: &Path, error: &io::Error) -> io::Error {
    io::Error::other(format!("open() {file:?} failed ({error})"))
}
