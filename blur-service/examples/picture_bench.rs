//! What the lossless JPEG path costs: CPU time and peak memory of each step, for pictures of several sizes, and CPU time once
//! more with memory cleared as it is given back, as the service does.
//!
//! `picture_bench` runs every case in a process of its own and prints a table; `picture_bench <case> <file>` is one
//! such process. `tests/bench/picture` builds and runs it.

#![allow(clippy::unwrap_used)]

use std::{alloc::System, env, fs, hint::black_box, path::Path, process::Command};

use blur_service::{
    clearing::{Clearing, clear_from_now_on},
    jpeg::{Jpeg, Limits, Metadata, Scale},
    redact::{Look, Noise, Region, Spot},
};
use image::RgbImage;
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

#[global_allocator]
static ALLOCATOR: Clearing<System> = Clearing(System);

fn main() {
    let arguments: Vec<String> = env::args().collect();
    match &arguments[..] {
        [_, case, file] => print!("{}", measured(case, &fs::read(file).unwrap())),
        [_, case, file, _] => {
            clear_from_now_on();
            print!("{}", measured(case, &fs::read(file).unwrap()));
        }
        _ => table(),
    }
}

const SIZES: [(&str, u32, u32); 4] = [
    ("VGA", 640, 480),
    ("1080p", 1920, 1080),
    ("12 MP", 4000, 3000),
    ("50 MP", 8160, 6120),
];

const CASES: [&str; 10] = [
    "no preview",
    "1/8",
    "1/4",
    "3/8",
    "1/2",
    "5/8",
    "1/1",
    "step by step",
    "load only",
    "decode + encode",
];

fn table() {
    let folder = tempfile::tempdir().unwrap();
    println!("| picture | file | case | CPU | beyond the file, peak | CPU with clearing |");
    println!("|---|---|---|---|---|---|");
    for (name, width, height) in SIZES {
        let path = folder.path().join(format!("{width}x{height}.jpg"));
        write_picture(&path, width, height);
        let bytes = fs::metadata(&path).unwrap().len();
        for case in CASES {
            let plain = run(case, &path, &[]);
            let clearing = run(case, &path, &["clearing"]);
            let (clearing, _) = clearing.split_once(" | ").unwrap();
            println!("| {name} | {} KB | {case} | {plain} | {clearing} |", bytes / 1000);
        }
    }
}

fn run(case: &str, file: &Path, flags: &[&str]) -> String {
    let mut command = Command::new(env::current_exe().unwrap());
    let output = command.arg(case).arg(file).args(flags).output().unwrap();
    assert!(
        output.status.success(),
        "{case}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The portrait, side by side with itself until the picture is full, so that it is as detailed as a photo.
fn write_picture(path: &Path, width: u32, height: u32) {
    let portrait = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/pictures/astronaut.png");
    let portrait = image::open(portrait).unwrap().into_rgb8();
    let picture = RgbImage::from_fn(width, height, |x, y| {
        *portrait.get_pixel(x % portrait.width(), y % portrait.height())
    });
    let mut encoder = Encoder::new_file(path, 90).unwrap();
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder
        .encode(&picture, width as u16, height as u16, ColorType::Rgb)
        .unwrap();
}

/// CPU time of one run and the peak of memory.
fn measured(case: &str, file: &[u8]) -> String {
    reset_peak();
    let before = memory("VmRSS");
    work(case, file);
    let peak = memory("VmHWM").saturating_sub(before);
    let least = cpu_time(&|| work(case, file));
    let detail = if case == "step by step" {
        steps(file)
    } else {
        String::new()
    };
    format!("{least:.2} ms{detail} | {:.1} MB", peak as f64 / 1000.0)
}

fn work(case: &str, file: &[u8]) {
    match case {
        "load only" => drop(black_box(Jpeg::parse(file, &Limits::default()).unwrap().icc())),
        "decode + encode" => decode_and_encode(file),
        "1/8" => whole(file, Some(Scale::Eighth)),
        "1/4" => whole(file, Some(Scale::Quarter)),
        "3/8" => whole(file, Some(Scale::ThreeEighths)),
        "1/2" => whole(file, Some(Scale::Half)),
        "5/8" => whole(file, Some(Scale::FiveEighths)),
        "1/1" => whole(file, Some(Scale::Full)),
        _ => whole(file, None),
    }
}

/// All of the path: parse, scan, hide eight faces that cover a tenth of the picture, prove.
fn whole(file: &[u8], scale: Option<Scale>) {
    let jpeg = Jpeg::parse(file, &Limits::default()).unwrap();
    let mut scan = jpeg.scan(scale, &|| true).unwrap();
    // As in the service, the view has gone when the file is written.
    drop(black_box(scan.preview.take()));
    let (effect, metadata) = (Look::Smooth.effect(), Metadata::default());
    let regions = faces(&jpeg);
    black_box(
        scan.redact(&jpeg, &regions, effect, &Noise::repeatable(1), &metadata, &|| true)
            .unwrap(),
    );
}

fn steps(file: &[u8]) -> String {
    let jpeg = Jpeg::parse(file, &Limits::default()).unwrap();
    let scan = jpeg.scan(None, &|| true).unwrap();
    let (effect, metadata, go_on) = (Look::Smooth.effect(), Metadata::default(), || true);
    let spots: Vec<Spot> = faces(&jpeg).into_iter().map(Spot::from).collect();
    let noise = Noise::repeatable(1);
    let plan = scan.plan(&jpeg, &spots, &noise, &go_on).unwrap();
    let output = scan.write(&jpeg, &plan, effect, &metadata, &go_on).unwrap();
    let scanned = cpu_time(&|| drop(black_box(jpeg.scan(None, &go_on).unwrap())));
    let planned = cpu_time(&|| drop(black_box(scan.plan(&jpeg, &spots, &noise, &go_on).unwrap())));
    let written = cpu_time(&|| drop(black_box(scan.write(&jpeg, &plan, effect, &metadata, &go_on).unwrap())));
    let proven = cpu_time(&|| scan.prove(&jpeg, &plan, effect, &metadata, &output, &go_on).unwrap());
    format!(" = scan {scanned:.2} + cells {planned:.2} + write {written:.2} + proof {proven:.2}")
}

fn faces(jpeg: &Jpeg) -> Vec<Region> {
    let size = jpeg.size();
    let (width, height) = (size.width / 10, size.height / 8);
    (0..8)
        .map(|n| Region {
            x: (n % 4) * size.width / 4,
            y: (n / 4) * size.height / 2,
            width,
            height,
        })
        .collect()
}

#[cfg(feature = "bench-image")]
fn decode_and_encode(file: &[u8]) {
    let picture = image::load_from_memory_with_format(file, image::ImageFormat::Jpeg).unwrap();
    let mut output = std::io::Cursor::new(Vec::new());
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut output, 90)
        .encode_image(&picture)
        .unwrap();
    black_box(output);
}

#[cfg(not(feature = "bench-image"))]
fn decode_and_encode(file: &[u8]) {
    let mut decoder = zune_jpeg::JpegDecoder::new(zune_core::bytestream::ZCursor::new(file));
    let pixels = decoder.decode().unwrap();
    let (width, height) = decoder.dimensions().unwrap();
    let mut output = Vec::new();
    let mut encoder = Encoder::new(&mut output, 90);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder
        .encode(&pixels, width as u16, height as u16, ColorType::Rgb)
        .unwrap();
    black_box(output);
}

/// Milliseconds of one run on a processor: the least of several rounds, each long enough for the kernel's clock.
fn cpu_time(work: &dyn Fn()) -> f64 {
    let spent = || -> f64 {
        let statistics = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        statistics.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e6
    };
    let round = || {
        let before = spent();
        let runs = (1..).find(|_| {
            work();
            spent() - before > 60.0
        });
        (spent() - before) / f64::from(runs.unwrap())
    };
    (0..5).map(|_| round()).reduce(f64::min).unwrap()
}

/// A line of the process's status, in KB.
fn memory(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Makes the peak start anew (proc(5), `clear_refs`).
fn reset_peak() {
    fs::write("/proc/self/clear_refs", "5").unwrap();
}
