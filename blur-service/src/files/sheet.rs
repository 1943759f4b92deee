//! A contact sheet: a page with every picture, small, and the boxes of its faces drawn, for whoever wants to see what would
//! be hidden. One file that a browser shows; it holds what the pictures hold and goes nowhere.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    path::Path,
};

use anyhow::Context;
use base64::{Engine, engine::general_purpose::STANDARD};
use image::{Rgb, RgbImage, imageops};

use super::outcome::{Outcome, Scored, What};
use crate::{
    codec::{Header, Parts},
    error::Error,
    geometry::Size,
};

pub struct Sheet {
    page: BufWriter<File>,
}

/// A small picture, as a JPEG.
pub struct Thumbnail {
    file: Vec<u8>,
    size: Size,
}

impl Sheet {
    /// # Errors
    /// The system's; a file that exists unless `overwrite`.
    pub fn create(path: &Path, overwrite: bool) -> anyhow::Result<Self> {
        let open = || -> io::Result<File> {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let mut options = OpenOptions::new();
            options
                .write(true)
                .truncate(true)
                .create(overwrite)
                .create_new(!overwrite);
            options.open(path)
        };
        let file = open().with_context(|| format!("cannot write the contact sheet {}", path.display()))?;
        let mut page = BufWriter::new(file);
        page.write_all(HEAD.as_bytes())?;
        Ok(Self { page })
    }

    /// # Errors
    /// The system's.
    pub fn add(&mut self, outcome: &Outcome, small: &Thumbnail) -> io::Result<()> {
        let faces = match &outcome.what {
            What::Seen { faces } => faces.len(),
            _ => 0,
        };
        let name = escaped(&outcome.path.to_string());
        let Thumbnail { file, size } = small;
        let data = STANDARD.encode(file);
        writeln!(
            self.page,
            "<figure><img src=\"data:image/jpeg;base64,{data}\" width=\"{}\" height=\"{}\" alt=\"\">\
             <figcaption>{name}<br>{faces} faces</figcaption></figure>",
            size.width, size.height
        )
    }

    /// # Errors
    /// The system's.
    pub fn finish(mut self) -> io::Result<()> {
        self.page.flush()
    }
}

impl Thumbnail {
    /// Of a single picture; files of several frames or pages have none.
    ///
    /// # Errors
    /// Those of decoding.
    pub fn of(file: &[u8], faces: &[Scored]) -> Result<Option<Self>, Error> {
        let header = Header::read(file)?;
        if header.parts != Parts::One {
            return Ok(None);
        }
        let whole = header.format.decode(file, &header, &|| true)?.pixels;
        let size = Size::new(whole.width(), whole.height()).scaled_to(SIDE_PX.min(whole.width().max(whole.height())));
        let mut small = imageops::thumbnail(&whole.into_rgb8(), size.width, size.height);
        let scale = size.width as f32 / header.upright_size().width as f32;
        for face in faces {
            frame(&mut small, face, scale);
        }
        let mut written = Vec::new();
        let encoder = jpeg_encoder::Encoder::new(&mut written, QUALITY);
        let colours = jpeg_encoder::ColorType::Rgb;
        encoder
            .encode(&small, size.width as u16, size.height as u16, colours)
            .map_err(Error::internal)?;
        Ok(Some(Self { file: written, size }))
    }
}

/// Draws the edges of a box.
fn frame(picture: &mut RgbImage, face: &Scored, scale: f32) {
    let rect = face.rect.scaled(scale, scale);
    let (right, bottom) = (picture.width() - 1, picture.height() - 1);
    let at = |position: f32, last: u32| (position.max(0.0) as u32).min(last);
    let (left, top) = (at(rect.x, right), at(rect.y, bottom));
    let (right, bottom) = (at(rect.right(), right), at(rect.bottom(), bottom));
    for x in left..=right {
        picture.put_pixel(x, top, LINE);
        picture.put_pixel(x, bottom, LINE);
    }
    for y in top..=bottom {
        picture.put_pixel(left, y, LINE);
        picture.put_pixel(right, y, LINE);
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

const SIDE_PX: u32 = 320;
const QUALITY: u8 = 80;
const LINE: Rgb<u8> = Rgb([255, 0, 80]);
const HEAD: &str = "<!doctype html><meta charset=\"utf-8\"><title>Contact sheet</title><style>\
body{display:flex;flex-wrap:wrap;gap:1em;font:14px sans-serif}figure{margin:0;max-width:320px;overflow-wrap:anywhere}\
</style>\n";
