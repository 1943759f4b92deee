//! Writes into a folder the pictures that make most work for their bytes: of every format the most pixels that are allowed,
//! in about as little coded data as is. See `tests/bench/dearest`.

mod tiles;

use std::{env, error::Error, fs, io::Cursor, path::Path};

use blur_service::codec::{Coded, Header, Output, Picture};
use image::{DynamicImage, GrayImage, ImageFormat, Luma, RgbImage, imageops};
use jpeg_encoder::{ColorType, Encoder};
use libjpeg_turbo_rs::{TransformOptions, transform_jpeg_with_options};
use tiff::encoder::{Compression, DeflateLevel, TiffEncoder, colortype};

type Written = Result<Vec<u8>, Box<dyn Error>>;
/// Writes a picture.
type Write = fn(&GrayImage) -> Written;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(folder), Some(side)) = (arguments.next(), arguments.next()) else {
        return Err("usage: dearest FOLDER SIDE".into());
    };
    let side: u32 = side.parse()?;
    let forms: [(&str, Write); 12] = [
        ("baseline.jpg", |picture| jpeg(picture, 0)),
        // Of more scans this encoder makes some of no frequency, which no reader takes.
        ("progressive.jpg", |picture| jpeg(picture, 32)),
        ("arithmetic.jpg", |picture| arithmetic(picture, false)),
        ("arithmetic-progressive.jpg", |picture| arithmetic(picture, true)),
        ("flat.png", |picture| written(&picture.clone().into(), ImageFormat::Png)),
        ("dots.png", |picture| written(&dots(picture).into(), ImageFormat::Png)),
        ("flat.webp", |picture| written(&rgb(picture).into(), ImageFormat::WebP)),
        ("flat.tif", tiff),
        ("flat.gif", |picture| gif(picture, 1)),
        ("runs.bmp", |picture| Ok(bmp(picture))),
        ("tiles.avif", avif),
        ("frames.gif", |picture| {
            let frame = imageops::crop_imm(picture, 0, 0, picture.width() / 10, picture.height() / 10);
            gif(&frame.to_image(), MOST_FRAMES * 4 / 5)
        }),
    ];
    for (name, write) in forms {
        fs::write(Path::new(&folder).join(name), smallest(side, write)?)?;
    }
    fs::write(Path::new(&folder).join("tiles.heic"), heic(side)?)?;
    Ok(())
}

/// With as few spots in it as make its data enough to be let in.
fn smallest(side: u32, write: Write) -> Written {
    let mut spots = 0;
    loop {
        let file = write(&spotted(side, spots))?;
        let header = Header::read(&file)?;
        if header.check_ratio(Coded::of(&file, header.format).bytes).is_ok() {
            return Ok(file);
        }
        spots = (spots * 2).max(2_000);
    }
}

/// Grey, with spots of any brightness, strewn by a generator of numbers (xorshift, Marsaglia 2003).
fn spotted(side: u32, spots: u32) -> GrayImage {
    let mut picture = GrayImage::from_pixel(side, side, Luma([128]));
    let mut state = 88_172_645_463_325_252u64;
    for _ in 0..spots {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let (x, y) = (state as u32 % side, (state >> 32) as u32 % side);
        picture.put_pixel(x, y, Luma([(state >> 24) as u8]));
    }
    picture
}

/// Of two tones alone, which the detector is shown softly.
fn dots(picture: &GrayImage) -> GrayImage {
    GrayImage::from_fn(picture.width(), picture.height(), |x, y| {
        let is_light = match picture.get_pixel(x, y).0 {
            [128] => x % 2 == 0,
            [level] => level > 128,
        };
        Luma([if is_light { u8::MAX } else { 0 }])
    })
}

fn jpeg(picture: &GrayImage, scans: u8) -> Written {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, 50);
    if scans > 0 {
        encoder.set_progressive_scans(scans);
    }
    let (width, height) = (picture.width() as u16, picture.height() as u16);
    encoder.encode(picture, width, height, ColorType::Luma)?;
    Ok(file)
}

fn arithmetic(picture: &GrayImage, progressive: bool) -> Written {
    let options = TransformOptions {
        arithmetic: true,
        progressive,
        ..Default::default()
    };
    Ok(transform_jpeg_with_options(&jpeg(picture, 0)?, &options)?)
}

fn tiff(picture: &GrayImage) -> Written {
    let mut file = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut file)?.with_compression(Compression::Deflate(DeflateLevel::Best));
    encoder.write_image::<colortype::Gray8>(picture.width(), picture.height(), picture)?;
    Ok(file.into_inner())
}

/// Every frame is the same; each is decoded, searched and written.
fn gif(picture: &GrayImage, frames: u16) -> Written {
    let greys: Vec<u8> = (0..=u8::MAX).flat_map(|level| [level; 3]).collect();
    let (width, height) = (picture.width() as u16, picture.height() as u16);
    let mut encoder = gif::Encoder::new(Vec::new(), width, height, &greys)?;
    for _ in 0..frames {
        let mut frame = gif::Frame::from_indexed_pixels(width, height, picture.as_raw().as_slice(), None);
        frame.delay = 4;
        encoder.write_frame(&frame)?;
    }
    Ok(encoder.into_inner()?)
}

/// Runs of at most 255 pixels of a palette of greys.
fn bmp(picture: &GrayImage) -> Vec<u8> {
    let mut runs = Vec::new();
    for row in picture.as_raw().chunks_exact(picture.width() as usize).rev() {
        for same in row.chunk_by(|one, other| one == other) {
            same.chunks(255).for_each(|run| runs.extend([run.len() as u8, run[0]]));
        }
        runs.extend([0, 0]);
    }
    runs.extend([0, 1]);
    let palette = (0..=u8::MAX).flat_map(|level| [level, level, level, 0]);
    let numbers = |numbers: &[u32]| {
        numbers
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let start = 14 + 40 + 4 * 256;
    let mut file = b"BM".to_vec();
    file.extend(numbers(&[
        start + runs.len() as u32,
        0,
        start,
        40,
        picture.width(),
        picture.height(),
    ]));
    file.extend([1, 0, 8, 0]);
    file.extend(numbers(&[1, runs.len() as u32, 2835, 2835, 256, 0]));
    file.extend(palette);
    file.extend(runs);
    file
}

/// Of equal tiles, as large as is let in by the usual limit of memory, which is lower than that of pixels.
fn avif(picture: &GrayImage) -> Written {
    let side = picture.width().min(MOST_SIDE_OF_AVIF) / u32::from(TILES_ACROSS);
    let pixels = rgb(&imageops::crop_imm(picture, 0, 0, side, side).to_image()).into();
    let tile = Picture { pixels, profile: None };
    let header = Header::read(&written(&tile.pixels, ImageFormat::Png)?)?;
    let tile = Output::Avif { quality: 80 }.encode(&tile, &header)?;
    tiles::repeated(&tile, TILES_ACROSS).ok_or_else(|| "the tile cannot be read".into())
}

/// Of a still of 192 × 192 pixels that libheif's own encoder made; which nobody reads here, so that its ratio is not looked at.
fn heic(side: u32) -> Written {
    let tile = include_bytes!("../../tests/formats/files/420.heic");
    let across = side.min(MOST_SIDE_OF_AVIF) / 192;
    tiles::repeated(tile, across as u8).ok_or_else(|| "the tile cannot be read".into())
}

fn rgb(picture: &GrayImage) -> RgbImage {
    DynamicImage::from(picture.clone()).into_rgb8()
}

fn written(picture: &DynamicImage, format: ImageFormat) -> Written {
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, format)?;
    Ok(file.into_inner())
}

const TILES_ACROSS: u8 = 10;
/// 45 B a pixel, and three quarters of 2 GiB; of HEIC as of AVIF.
const MOST_SIDE_OF_AVIF: u32 = 5_900;
/// As many as the service lets in.
const MOST_FRAMES: u16 = 500;
