//! Any bytes as an animation or a file of several pages: every part that can be read can be written, in every format that
//! has such parts, and is read again with the same time and as many parts.

use blur_service::codec::{
    Delay, Format, Frame, FramesPlan, FramesWriter, Header, Output, Pages, Parts, Picture, TiffWriter, Wanted, frames,
};

const MOST_PIXELS: u64 = 1 << 14;
const MOST_PARTS: u32 = 8;

pub fn check(data: &[u8]) {
    let Ok(header) = Header::read(data) else { return };
    if header.check_pixels(MOST_PIXELS).is_err() || header.check_parts(MOST_PARTS, MOST_PIXELS * 4).is_err() {
        return;
    }
    match header.parts {
        Parts::One => {}
        Parts::Frames(_) => check_frames(data, &header),
        Parts::Pages { .. } => check_pages(data),
    }
}

fn check_frames(data: &[u8], header: &Header) {
    let Ok(shown) = all_frames(data, header) else { return };
    for wanted in [Wanted::Keep, Wanted::Png, Wanted::WebP] {
        let output = Output::of(header, wanted, None).expect("a small animation has a format");
        let written = write(output, header, &shown);
        let again = Header::read(&written).expect("what is written can be read");
        // One frame alone is a still.
        let back = all_frames(&written, &again);
        assert_eq!(again.parts.count() as usize, shown.len());
        if again.parts == Parts::One {
            continue;
        }
        let back = back.expect("what is written can be read to its end");
        let is_exact = !matches!(output, Output::WebP { quality: Some(_) } | Output::Gif);
        for ((before, after), index) in shown.iter().zip(&back).zip(0..) {
            assert!(!is_exact || alike(before, after), "{output:?}: frame {index}");
        }
    }
}

/// The same pixels, but for the colour of clear ones.
fn alike(before: &Frame, after: &Frame) -> bool {
    let mut pairs = before.pixels.pixels().zip(after.pixels.pixels());
    pairs.all(|(one, other)| one == other || one[3] == 0 && other[3] == 0)
}

fn all_frames(data: &[u8], header: &Header) -> Result<Vec<Frame>, blur_service::error::Error> {
    if header.parts == Parts::One {
        return Ok(Vec::new());
    }
    let mut reader = frames(data, header)?;
    let mut shown = Vec::new();
    while let Some(frame) = reader.next()? {
        assert_eq!(frame.pixels.dimensions(), (header.size.width, header.size.height));
        shown.push(frame);
    }
    reader.space()?;
    Ok(shown)
}

fn write(output: Output, header: &Header, shown: &[Frame]) -> Vec<u8> {
    let plan = FramesPlan {
        size: header.size,
        frames: shown.len() as u32,
        plays: 0,
        profile: None,
    };
    let mut writer = FramesWriter::start(output, &plan).expect("every animation can be written");
    for frame in shown {
        let Delay { ticks, per_second } = frame.delay;
        writer
            .add(Frame {
                pixels: frame.pixels.clone(),
                delay: Delay { ticks, per_second },
            })
            .expect("every frame can be written");
    }
    writer.finish().expect("what is written is proven")
}

fn check_pages(data: &[u8]) {
    let Ok(read) = all_pages(data) else { return };
    let mut writer = TiffWriter::start().expect("a file can be begun");
    for (header, picture) in &read {
        writer.add(picture, header).expect("every page can be written");
    }
    let written = writer.finish().expect("what is written is proven");
    let again = Header::read(&written).expect("what is written can be read");
    assert_eq!((again.format, again.parts.count() as usize), (Format::Tiff, read.len()));
    let back = all_pages(&written).expect("what is written can be read to its end");
    for ((_, before), (_, after)) in read.iter().zip(&back) {
        assert_eq!(before.size(), after.size());
    }
}

fn all_pages(data: &[u8]) -> Result<Vec<(Header, Picture)>, blur_service::error::Error> {
    let mut pages = Pages::open(data)?;
    let mut read = Vec::new();
    while let Some(page) = pages.next_page()? {
        read.push(page);
    }
    Ok(read)
}
