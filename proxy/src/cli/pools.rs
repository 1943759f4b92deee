//! `veil pools`: shows and commands the pools of a running Veil, by way of its admin listener.

use std::fmt::{Display, Write as _};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, SystemTime};

use http::Method;
use serde::de::DeserializeOwned;

use crate::cli::columns::columns;
use crate::client::endpoint::Endpoint;
use crate::observe::changes::{Change, ChangeOutcome, LastChanges};
use crate::pool::{BackendStatus, PoolStatus};

/// What is done to a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Drain,
    Undrain,
    Weight(u32),
}

/// A backend, by the names that the table shows.
#[derive(Clone, Debug)]
pub struct Target {
    pub pool: String,
    pub backend: String,
}

/// The admin listener of a running Veil, and what it wants to hear.
#[derive(Clone, Debug)]
pub struct AdminListener {
    pub address: Endpoint,
    pub token: Option<String>,
}

/// `127.0.0.1:8081`, or as Veil prints it.
pub fn admin_address(text: &str) -> Result<Endpoint, String> {
    let address = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
    Endpoint::written(address, "127.0.0.1")
}

/// Why a running Veil cannot be asked, or refuses.
#[derive(Debug, thiserror::Error)]
pub enum OperateError {
    #[error("no answer from the admin listener at {admin}: {source}")]
    Unreachable { admin: Endpoint, source: io::Error },
    #[error("{0}")]
    Refused(String),
    #[error("{admin} does not answer as an admin listener does")]
    NotAdmin { admin: Endpoint },
}

/// The pools of the Veil whose admin listener this is.
pub fn pools(admin: &AdminListener) -> Result<Vec<PoolStatus>, OperateError> {
    ask(admin, &Method::GET, "/pools")
}

/// The same as a table, and beneath it how the last reload and the last upgrade went.
pub fn overview(admin: &AdminListener) -> Result<String, OperateError> {
    // The two are one object, which serde cannot take apart where a map in it has numbers for keys.
    let shown: serde_json::Value = ask(admin, &Method::GET, "/pools")?;
    let not_admin = |_| OperateError::NotAdmin {
        admin: admin.address.clone(),
    };
    let last: Vec<LastChanges> = serde_json::from_value(shown.clone()).map_err(not_admin)?;
    let pools: Vec<PoolStatus> = serde_json::from_value(shown).map_err(not_admin)?;
    let last = last.first().map(changes).unwrap_or_default();
    Ok(format!("{}{last}", table(&pools)))
}

fn changes(last: &LastChanges) -> String {
    let mut lines = String::new();
    for (name, change) in [("reload", &last.last_reload), ("upgrade", &last.last_upgrade)] {
        let Some(change) = change else {
            continue;
        };
        let ago = lasting(change.age().as_secs());
        let _ = match (&change.outcome, &change.error) {
            (ChangeOutcome::UnderWay, _) => writeln!(lines, "{name}: under way for {ago}"),
            (ChangeOutcome::Succeeded, _) => writeln!(lines, "last {name}: {ago} ago, succeeded"),
            (ChangeOutcome::Failed, error) => {
                let error = error.as_deref().unwrap_or("no reason told");
                writeln!(lines, "last {name}: {ago} ago, failed, all stays as it was: {error}")
            }
        };
    }
    let is_refused = |change: &Change| change.outcome == ChangeOutcome::Failed;
    if last.last_reload.as_ref().is_some_and(is_refused) && last.configured_at > 0 {
        let ago = lasting(now().as_secs().saturating_sub(last.configured_at));
        let _ = writeln!(lines, "the configuration that is served has held for {ago}");
    }
    lines
}

/// Does something to a backend; returns how its pool stands then.
pub fn command(admin: &AdminListener, target: &Target, command: Command) -> Result<PoolStatus, OperateError> {
    let backend = format!("/pools/{}/{}", escaped(&target.pool), escaped(&target.backend));
    match command {
        Command::Drain => ask(admin, &Method::POST, &format!("{backend}/drain")),
        Command::Undrain => ask(admin, &Method::POST, &format!("{backend}/undrain")),
        Command::Weight(weight) => ask(admin, &Method::PUT, &format!("{backend}/weight/{weight}")),
    }
}

/// One line a backend, under a head, and one for a queue where there is anything to say of it; then what the sources of
/// backends could not say.
pub fn table(pools: &[PoolStatus]) -> String {
    let mut rows = vec![HEAD.map(str::to_owned)];
    for pool in pools {
        rows.extend(pool.backends.iter().map(|backend| row(pool, backend)));
        rows.extend(queue(pool));
        rows.extend(panics(pool));
    }
    let mut table = columns(&rows);
    for pool in pools {
        for source in &pool.discovery {
            if let Some(trouble) = source.shown_trouble() {
                table.push_str(&format!("{}: {trouble}\n", pool.name));
            }
        }
    }
    table
}

const HEAD: [&str; 10] = [
    "POOL",
    "BACKEND",
    "ADDRESS",
    "WEIGHT",
    "STANDING",
    "HEALTH",
    "IN FLIGHT",
    "REQUESTS",
    "FAILURES",
    "NOTE",
];

fn row(pool: &PoolStatus, backend: &BackendStatus) -> [String; 10] {
    [
        pool.name.clone(),
        backend.name.clone(),
        backend.address.clone(),
        backend.weight.to_string(),
        word(&backend.standing),
        word(&backend.health),
        match backend.max_conns {
            Some(most) => format!("{}/{most}", backend.in_flight),
            None => backend.in_flight.to_string(),
        },
        backend.requests.to_string(),
        backend.failures.to_string(),
        note(backend),
    ]
}

/// Who waits for a place, or was turned away.
fn queue(pool: &PoolStatus) -> Option<[String; 10]> {
    let turned_away = pool.queue_overflows + pool.queue_timeouts;
    if pool.queued == 0 && turned_away == 0 {
        return None;
    }
    let mut row: [String; 10] = Default::default();
    row[0] = pool.name.clone();
    row[1] = "(queue)".to_owned();
    row[6] = pool.queued.to_string();
    row[9] = format!("{turned_away} turned away");
    Some(row)
}

/// What was asked of backends that are out, since nobody else was there.
fn panics(pool: &PoolStatus) -> Option<[String; 10]> {
    if pool.panics == 0 {
        return None;
    }
    let mut row: [String; 10] = Default::default();
    row[0] = pool.name.clone();
    row[1] = "(panic)".to_owned();
    row[7] = pool.panics.to_string();
    row[9] = "sent to backends that are out, for want of others".to_owned();
    if let Some(last) = pool.last_panic {
        let ago = now().as_secs().saturating_sub(last);
        row[9].push_str(&format!(", the last one {} ago", lasting(ago)));
    }
    Some(row)
}

fn now() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

/// What is not so for every backend.
fn note(backend: &BackendStatus) -> String {
    let mut notes = Vec::new();
    if backend.backup {
        notes.push("backup".to_owned());
    }
    if let Some(trouble) = &backend.trouble {
        let lasts = now().as_secs().saturating_sub(trouble.since);
        notes.push(format!("{} for {}", trouble.why, lasting(lasts)));
    }
    if backend.troubles_lately > 1 {
        notes.push(format!("out {} times within an hour", backend.troubles_lately));
    }
    if backend.ejections > 0 {
        notes.push(format!("ejected {} times in all", backend.ejections));
    }
    if backend.deaths > 0 {
        notes.push(format!("died {} times", backend.deaths));
    }
    if backend.degraded {
        notes.push("keeps dying".to_owned());
    }
    notes.join(", ")
}

/// Seconds in the unit that suits them.
fn lasting(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7199 => format!("{}m", seconds / 60),
        _ => format!("{}h", seconds / 3600),
    }
}

/// A value as JSON calls it.
fn word(value: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

/// One path segment, whatever a name is made of.
fn escaped(name: &str) -> String {
    let mut escaped = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b':') {
            escaped.push(char::from(byte));
        } else {
            write!(escaped, "%{byte:02X}").expect("a string can be written to");
        }
    }
    escaped
}

fn ask<T: DeserializeOwned>(listener: &AdminListener, method: &Method, path: &str) -> Result<T, OperateError> {
    let admin = || listener.address.clone();
    let unreachable = |source| OperateError::Unreachable { admin: admin(), source };
    let answer = exchange(listener, method, path).map_err(unreachable)?;
    let not_admin = || OperateError::NotAdmin { admin: admin() };
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(not_admin)?;
    if head.starts_with("HTTP/1.1 200 ") {
        return serde_json::from_str(body).map_err(|_| not_admin());
    }
    let problem: serde_json::Value = serde_json::from_str(body).map_err(|_| not_admin())?;
    let detail = problem["detail"].as_str().ok_or_else(not_admin)?;
    Err(OperateError::Refused(detail.to_owned()))
}

/// The whole answer, which is short.
fn exchange(listener: &AdminListener, method: &Method, path: &str) -> io::Result<String> {
    let token = listener.token.as_deref();
    let authorization = token.map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n"));
    let request = |host: &dyn Display| {
        format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{authorization}Connection: close\r\n\r\n")
    };
    match &listener.address {
        Endpoint::Inet(admin) => {
            let connection = TcpStream::connect_timeout(admin, PATIENCE)?;
            connection.set_read_timeout(Some(PATIENCE))?;
            answer(connection, &request(admin))
        }
        Endpoint::Unix(path) => {
            let connection = UnixStream::connect(path)?;
            connection.set_read_timeout(Some(PATIENCE))?;
            answer(connection, &request(&"localhost"))
        }
    }
}

fn answer(mut connection: impl Read + Write, request: &str) -> io::Result<String> {
    connection.write_all(request.as_bytes())?;
    let mut answer = String::new();
    connection.take(LONGEST_ANSWER_BYTES).read_to_string(&mut answer)?;
    Ok(answer)
}

const PATIENCE: Duration = Duration::from_secs(5);
const LONGEST_ANSWER_BYTES: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_table_has_a_line_a_backend_and_straight_columns() {
        let backend = serde_json::json!({
            "name": "left", "address": "192.0.2.1:5000", "backup": false, "weight": 3, "standing": "drained",
            "health": "up", "in_flight": 1, "in_flight_bytes": 300, "max_conns": 4, "requests": 12, "failures": 1, "ejections": 2, "deaths": 0,
            "degraded": false,
        });
        let pool = serde_json::json!({
            "name": "blur", "eligible": 0, "degraded": false, "in_flight": 1, "in_flight_bytes": 300, "queued": 2,
            "queue_overflows": 5, "queue_timeouts": 1,
            "panics": 3, "backends": [backend],
            "discovery": [{ "source": "file b.yaml", "backends": 1, "failures": 3, "trouble": "names nobody" }],
        });
        let expected = "\
POOL  BACKEND  ADDRESS         WEIGHT  STANDING  HEALTH  IN FLIGHT  REQUESTS  FAILURES  NOTE
blur  left     192.0.2.1:5000  3       drained   up      1/4        12        1         ejected 2 times in all
blur  (queue)                                            2                              6 turned away
blur  (panic)                                                       3                   sent to backends that are out, for want of others
blur: file b.yaml: its last answer stays: names nobody
";
        assert_eq!(table(&[serde_json::from_value(pool).unwrap()]), expected);
    }

    #[test]
    fn the_note_says_why_a_backend_is_out_and_since_when() {
        let now = now().as_secs();
        let backend = serde_json::json!({
            "name": "left", "address": "192.0.2.1:5000", "backup": false, "weight": 1, "standing": "down",
            "health": "down", "in_flight": 0, "in_flight_bytes": 0, "requests": 12, "failures": 0, "ejections": 0,
            "deaths": 0, "degraded": false, "troubles_lately": 3,
            "trouble": { "cause": "status", "why": "status 302, expected 200", "since": now - 190 },
        });
        let backend = serde_json::from_value(backend).unwrap();
        assert_eq!(
            note(&backend),
            "status 302, expected 200 for 3m, out 3 times within an hour"
        );
    }

    #[test]
    fn what_went_wrong_last_is_told_with_its_reason() {
        let at = now().as_secs() - 190;
        let shown = serde_json::json!({
            "last_reload": { "at": at, "outcome": "failed", "error": "veil.yaml:3:1: unknown key" },
            "configured_at": at - 3600,
            "last_upgrade": { "at": at, "outcome": "under_way" },
        });
        assert_eq!(
            changes(&serde_json::from_value(shown).unwrap()),
            "last reload: 3m ago, failed, all stays as it was: veil.yaml:3:1: unknown key\nupgrade: under way for 3m\n\
             the configuration that is served has held for 63m\n"
        );
        assert_eq!(changes(&LastChanges::default()), "");
    }

    #[test]
    fn names_are_escaped_in_paths() {
        assert_eq!(escaped("10.0.0.1:80"), "10.0.0.1:80");
        assert_eq!(escaped("a/b ü"), "a%2Fb%20%C3%BC");
    }
}
