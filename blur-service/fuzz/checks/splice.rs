//! Any bytes as a JPEG file, brought into one Huffman scan if it is of another kind, and spliced with regions that its
//! last bytes choose. What passes is proven, readable, and stays the same bytes when nothing more is hidden.

use blur_service::{
    jpeg::{Jpeg, JpegError, Limits, Metadata, Scale},
    redact::{Look, Noise, Region},
};

pub fn check(data: &[u8]) {
    let Some((file, &[x, y, width, height, choice])) = data.split_last_chunk() else {
        return;
    };
    let scale = [None, Some(Scale::Eighth), Some(Scale::Quarter), Some(Scale::Half)][usize::from(choice & 3)];
    let look = [Look::Smooth, Look::Mosaic, Look::Gaussian, Look::Solid][usize::from(choice >> 2 & 3)];
    let [x, y, width, height] = [x, y, width, height].map(u32::from);
    let regions = [
        Region { x, y, width, height },
        Region {
            x: y,
            y: x,
            width: height,
            height: width,
        },
    ];
    match spliced(file, scale, look, &regions[..usize::from(choice >> 4) % 3]) {
        Ok(output) => assert!(
            spliced(&output, None, look, &[]).is_ok_and(|again| again == output),
            "the output is not a file that is spliced to itself"
        ),
        Err(JpegError::Unproven(what)) => panic!("{what}"),
        Err(_) => {}
    }
}

fn spliced(file: &[u8], scale: Option<Scale>, look: Look, regions: &[Region]) -> Result<Vec<u8>, JpegError> {
    let limits = Limits {
        pixels: 1 << 18,
        ..Limits::default()
    };
    let jpeg = Jpeg::parse(file, &limits)?;
    let whole;
    let jpeg = match jpeg.supported() {
        Err(kind) if kind.may_be_recoded() => {
            whole = jpeg.in_one_scan(&|| true)?;
            Jpeg::parse(&whole, &limits)?.with_fresh_tables()
        }
        _ => jpeg,
    };
    let _ = (jpeg.icc(), jpeg.orientation());
    let scan = jpeg.scan(scale, &|| true)?;
    let noise = Noise::repeatable(1);
    scan.redact(&jpeg, regions, look.effect(), &noise, &Metadata::default(), &|| true)
}
