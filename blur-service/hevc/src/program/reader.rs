//! Decodes what comes over the socket that is its standard input and output.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::AsFd,
};

use hevc_still::{Head, READY, Sampling};
use libheif_rs::{ColorSpace, HeifContext, HeifError, Image, LibHeif, Plane};

use crate::walls;

pub fn read() -> io::Result<()> {
    let mut asked = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut told = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    // It looks for coders as plug-ins while there are paths.
    let libheif = LibHeif::new();
    let mut memory = [0; 8];
    asked.read_exact(&mut memory)?;
    walls::raise(u64::from_le_bytes(memory))?;
    told.write_all(&[READY])?;
    while let Some((sampling, file)) = next(&mut asked)? {
        let image = decoded(&libheif, &file).map_err(io::Error::other)?;
        tell(&image, sampling, &mut told)?;
    }
    Ok(())
}

/// Nothing once the other side has closed its end.
fn next(asked: &mut File) -> io::Result<Option<(Sampling, Vec<u8>)>> {
    let mut head = [0; 5];
    match asked.read_exact(&mut head) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let [l0, l1, l2, l3, sampling] = head;
    let sampling = Sampling::read(sampling).ok_or_else(unlike)?;
    let mut file = vec![0; u32::from_le_bytes([l0, l1, l2, l3]) as usize];
    asked.read_exact(&mut file)?;
    Ok(Some((sampling, file)))
}

/// In the planes that it is coded in.
fn decoded(libheif: &LibHeif, file: &[u8]) -> Result<Image, HeifError> {
    let mut context = HeifContext::read_from_bytes(file)?;
    context.set_max_decoding_threads(0);
    // Without options, which this version of the crate frees before they are used.
    libheif.decode(&context.primary_image_handle()?, ColorSpace::Undefined, None)
}

fn tell(image: &Image, sampling: Sampling, told: &mut File) -> io::Result<()> {
    let all = image.planes();
    // The second ones are how libheif 1.15 names them, the colours as large as the brightness, each sample several times.
    let bright = all.y.or(all.g).ok_or_else(unlike)?;
    let colours = [all.cb.or(all.b), all.cr.or(all.r)].into_iter().flatten();
    let head = Head {
        width: bright.width,
        height: bright.height,
        bits: bright.bits_per_pixel,
        sampling,
    };
    told.write_all(&head.written())?;
    let sizes = head.planes();
    let planes: Vec<_> = [bright].into_iter().chain(colours).collect();
    if planes.len() < sizes.len() {
        return Err(unlike());
    }
    for (plane, size) in planes.iter().zip(sizes) {
        told.write_all(&samples(plane, size, &head).ok_or_else(unlike)?)?;
    }
    Ok(())
}

/// As many of a plane's samples as there are: all, or every other one across or down. Nothing if that is not the plane.
fn samples(plane: &Plane<&[u8]>, size: (u32, u32), head: &Head) -> Option<Vec<u8>> {
    let there = (plane.width, plane.height);
    if plane.bits_per_pixel != head.bits || there != size && there != (head.width, head.height) {
        return None;
    }
    let (across, down) = (step(there.0, size.0), step(there.1, size.1));
    let bytes = head.sample_bytes();
    let mut samples = Vec::with_capacity(size.0 as usize * size.1 as usize * bytes);
    for row in plane.data.chunks(plane.stride).step_by(down).take(size.1 as usize) {
        let row = row.get(..plane.width as usize * bytes)?;
        match across {
            1 => samples.extend_from_slice(row),
            _ => row
                .chunks(bytes)
                .step_by(across)
                .for_each(|sample| samples.extend_from_slice(sample)),
        }
    }
    Some(samples)
}

fn step(there: u32, wanted: u32) -> usize {
    if there == wanted { 1 } else { 2 }
}

fn unlike() -> io::Error {
    io::Error::other("not the planes of a picture")
}
