//! A backend that tells what came to it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A request as it came to the backend.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pub method: String,
    pub target: Vec<u8>,
    pub fields: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// A backend that remembers the last request, and answers as its path says.
pub struct Witness {
    pub address: SocketAddr,
    last: Arc<Mutex<Option<Seen>>>,
}

impl Witness {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let last = Arc::<Mutex<Option<Seen>>>::default();
        let seen = Arc::clone(&last);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let seen = Arc::clone(&seen);
                // An error is the other side's going away.
                thread::spawn(move || serve(&stream, &seen));
            }
        });
        Self { address, last }
    }

    /// What came of a request, if anything did.
    pub fn sees<T>(&self, request: impl FnOnce() -> T) -> Option<Seen> {
        *self.last.lock().unwrap() = None;
        request();
        self.last.lock().unwrap().take()
    }
}

fn serve(mut stream: &TcpStream, seen: &Mutex<Option<Seen>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut lines = Vec::new();
        loop {
            let mut line = Vec::new();
            if reader.read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            match line.trim_ascii_end() {
                b"" => break,
                line => lines.push(line.to_vec()),
            }
        }
        let mut parts = lines[0].split(|byte| *byte == b' ');
        let method = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
        let target = parts.next().unwrap_or_default().to_vec();
        let mut fields = BTreeMap::<String, String>::new();
        for line in &lines[1..] {
            let line = String::from_utf8_lossy(line).into_owned();
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            let values = fields.entry(name.to_ascii_lowercase()).or_default();
            *values = [values.as_str(), value.trim()].join("|");
        }
        let mut fields: BTreeMap<_, _> = fields
            .into_iter()
            .map(|(name, value)| (name, value.trim_start_matches('|').to_owned()))
            .collect();
        let upgrade = fields.get("upgrade").cloned();
        let body = body(&mut reader, &fields)?;
        fields.retain(|name, _| !OWN.contains(&name.as_str()) && !HOP_BY_HOP.contains(&name.as_str()));
        // Nginx sends a body whose length it knows as such, and so does Veil; who has none says so or not.
        if body.is_empty() {
            fields.remove("content-length");
        }
        let path = String::from_utf8_lossy(&target).into_owned();
        *seen.lock().unwrap() = Some(Seen {
            method,
            target,
            fields,
            body,
        });
        match (path.as_str(), upgrade) {
            ("/echo", Some(protocol)) => {
                stream.write_all(
                    format!("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n")
                        .as_bytes(),
                )?;
                let mut said = [0; 4];
                reader.read_exact(&mut said)?;
                stream.write_all(&said)?;
                return Ok(());
            }
            ("/chunked", _) => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")?
            }
            ("/hinted", _) => stream.write_all(
                b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            )?,
            ("/old", _) => {
                stream.write_all(b"HTTP/1.0 200 OK\r\nKeep-Alive: timeout=5\r\n\r\nhello")?;
                return stream.shutdown(std::net::Shutdown::Both);
            }
            _ => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?,
        }
    }
}

fn body(reader: &mut impl BufRead, fields: &BTreeMap<String, String>) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if fields.contains_key("transfer-encoding") {
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let size = u64::from_str_radix(line.trim(), 16).map_err(std::io::Error::other)?;
            reader.take(size).read_to_end(&mut body)?;
            reader.read_line(&mut String::new())?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
    let length = fields.get("content-length").and_then(|length| length.parse().ok());
    reader.take(length.unwrap_or(0)).read_to_end(&mut body)?;
    Ok(body)
}

/// Fields that are each proxy's own.
const OWN: &[&str] = &["connection", "x-request-id", "veil-deadline-ms"];
/// Nginx passes these on, or tells them, by its defaults. RFC 9110, 7.6.1 calls them hop by hop.
const HOP_BY_HOP: &[&str] = &["keep-alive", "te", "trailer", "proxy-connection"];
