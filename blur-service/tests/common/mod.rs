//! The real program on a free port, and a client small enough to send it anything.

#![allow(clippy::unwrap_used, dead_code)]

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

pub struct Server {
    pub child: Child,
    pub address: String,
}

pub struct Answer {
    pub status: u16,
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

/// Whether HEIC can be tried here; says so where it cannot. Its decoder is built by itself (`tests/run`, "the decoder of HEIC").
pub fn has_heic() -> bool {
    let beside = PathBuf::from(env!("CARGO_BIN_EXE_blur-service")).with_file_name("veil-heic");
    let is_there = std::env::var_os("BLUR_HEIC_DECODER").is_some() || beside.is_file();
    if !is_there {
        let _ = writeln!(std::io::stderr(), "\nskipped: HEIC: its decoder is not built");
    }
    is_there
}

impl Server {
    /// Starts with these flags and waits until the models are warm.
    pub fn start(flags: &[&str]) -> Self {
        let server = Self::start_cold(flags);
        server.wait_until("healthy", |server| {
            server.send("GET", "/health", &[], b"").status == 200
        });
        server
    }

    /// Starts with these flags and waits until it listens.
    pub fn start_cold(flags: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_blur-service"))
            .args(["--listen", "127.0.0.1:0", "--die-with-parent"])
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line.trim().strip_prefix("listening on http://").unwrap().to_owned();
        Self { child, address }
    }

    pub fn wait_until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let begin = Instant::now();
        while !holds(self) {
            assert!(begin.elapsed() < PATIENCE, "not {what} after {PATIENCE:?}");
            std::thread::yield_now();
        }
    }

    pub fn blur(&self, query: &str, picture: &[u8]) -> Answer {
        self.send("POST", &format!("/v1/blur{query}"), &[], picture)
    }

    pub fn report(&self, query: &str, picture: &[u8]) -> Value {
        let answer = self.send("POST", &format!("/v1/blur/report{query}"), &[], picture);
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        answer.json()
    }

    pub fn detect(&self, query: &str, picture: &[u8]) -> Value {
        let answer = self.send("POST", &format!("/v1/detect{query}"), &[], picture);
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        answer.json()
    }

    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut stream = self.connect();
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: veil\r\nConnection: close\r\nContent-Length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
        // A service that refuses by the head may close before the body is through.
        let _ = stream.write_all(body);
        Answer::read(&mut stream)
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Resident memory in bytes.
    pub fn memory(&self) -> u64 {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap();
        statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
    }

    pub fn signal(&self, name: &str) {
        assert!(
            Command::new("kill")
                .args([name, &self.child.id().to_string()])
                .status()
                .unwrap()
                .success()
        );
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Answer {
    pub fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let split = bytes
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .expect("an answer with a head");
        let head = String::from_utf8(bytes[..split].to_vec()).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(n, v)| (n.to_lowercase(), v.to_owned()))
            .collect();
        Self {
            status,
            headers,
            body: bytes[split + 4..].to_vec(),
        }
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The stable code of a problem document.
    pub fn code(&self) -> String {
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        assert_eq!(problem["request_id"].as_str().unwrap(), self.headers["x-request-id"]);
        problem["code"].as_str().unwrap().to_owned()
    }
}

/// The NASA portrait: one face, 512 × 512 pixels.
pub fn portrait() -> image::RgbImage {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/pictures/astronaut.png");
    image::open(path).unwrap().to_rgb8()
}

/// Each orientation of EXIF, and the picture as a file with it stores it.
pub fn orientations(upright: &image::RgbImage) -> [(u8, image::RgbImage); 8] {
    use image::imageops::{flip_horizontal, flip_vertical, rotate90, rotate180, rotate270};
    [
        (1, upright.clone()),
        (2, flip_horizontal(upright)),
        (3, rotate180(upright)),
        (4, flip_vertical(upright)),
        (5, flip_horizontal(&rotate90(upright))),
        (6, rotate270(upright)),
        (7, flip_horizontal(&rotate270(upright))),
        (8, rotate90(upright)),
    ]
}

pub fn jpeg(pixels: &image::RgbImage) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut file, 90);
    encoder.set_sampling_factor(jpeg_encoder::SamplingFactor::F_2_2);
    encoder
        .encode(
            pixels,
            pixels.width() as u16,
            pixels.height() as u16,
            jpeg_encoder::ColorType::Rgb,
        )
        .unwrap();
    file
}

pub fn encoded(pixels: &image::DynamicImage, format: image::ImageFormat) -> Vec<u8> {
    let mut file = std::io::Cursor::new(Vec::new());
    pixels.write_to(&mut file, format).unwrap();
    file.into_inner()
}

/// A JPEG segment with its marker and length.
pub fn segment(marker: u8, data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u16 + 2).to_be_bytes();
    [&[0xff, marker], length.as_slice(), data].concat()
}

/// A little-endian EXIF block with an orientation and nothing else.
pub fn exif(orientation: u8) -> Vec<u8> {
    let mut tiff = b"Exif\0\0II\x2a\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    tiff.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    tiff
}

pub fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

pub const PATIENCE: Duration = Duration::from_secs(60);
