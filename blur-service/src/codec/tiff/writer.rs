//! Pages on their way out.

use image::DynamicImage;
use tiff::{
    TiffError,
    encoder::{Compression, DeflateLevel, Rational, TiffEncoder, colortype},
    tags::{ExtraSamples, ResolutionUnit, Tag},
};

use super::super::{Density, Header, Picture, Profile, density::Unit, shared::Shared};
use crate::{error::Error, geometry::Size, jpeg::syntax::exif::Tiff};

/// Writes pages one after the other.
pub struct Writer {
    encoder: TiffEncoder<Shared>,
    file: Shared,
}

impl Writer {
    /// # Errors
    /// [`Error::Internal`].
    pub fn start() -> Result<Self, Error> {
        let file = Shared::default();
        let encoder = TiffEncoder::new(file.clone()).map_err(Error::internal)?;
        Ok(Self {
            encoder: encoder.with_compression(Compression::Deflate(DeflateLevel::Fast)),
            file,
        })
    }

    /// # Errors
    /// [`Error::Internal`].
    pub fn add(&mut self, picture: &Picture, header: &Header) -> Result<(), Error> {
        let page = Page {
            size: picture.size(),
            profile: picture.profile,
            density: header.upright_density(),
        };
        match &picture.pixels {
            DynamicImage::ImageLuma8(pixels) => self.put::<colortype::Gray8>(pixels, &page, false),
            DynamicImage::ImageLuma16(pixels) => self.put::<colortype::Gray16>(pixels, &page, false),
            DynamicImage::ImageRgb8(pixels) => self.put::<colortype::RGB8>(pixels, &page, false),
            DynamicImage::ImageRgb16(pixels) => self.put::<colortype::RGB16>(pixels, &page, false),
            DynamicImage::ImageRgba16(pixels) => self.put::<colortype::RGB16>(pixels, &page, true),
            DynamicImage::ImageLumaA16(_) => self.put::<colortype::RGB16>(&picture.pixels.to_rgba16(), &page, true),
            other => self.put::<colortype::RGB8>(&other.to_rgba8(), &page, true),
        }
        .map_err(Error::internal)
    }

    fn put<C: colortype::ColorType>(
        &mut self,
        samples: &[C::Inner],
        page: &Page,
        has_alpha: bool,
    ) -> Result<(), TiffError>
    where
        [C::Inner]: tiff::encoder::TiffValue,
    {
        let mut image = self.encoder.new_image::<C>(page.size.width, page.size.height)?;
        if has_alpha {
            image.extra_samples(&[ExtraSamples::UnassociatedAlpha])?;
        }
        if let Some(Density { unit, across, down }) = page.density {
            image.resolution_unit(match unit {
                Unit::Centimetre => ResolutionUnit::Centimeter,
                _ => ResolutionUnit::Inch,
            });
            image.x_resolution(Rational { n: across, d: 1 });
            image.y_resolution(Rational { n: down, d: 1 });
        }
        if let Some(profile) = page.profile {
            image.encoder().write_tag(Tag::IccProfile, profile.file())?;
        }
        image.write_data(samples)
    }

    /// # Errors
    /// [`Error::ProofFailed`] if there is more in the file than pages.
    pub fn finish(self) -> Result<Vec<u8>, Error> {
        let written = self.file.take();
        match prove(&written) {
            Some(()) => Ok(written),
            None => Err(Error::ProofFailed("image/tiff: more in the file than pages".into())),
        }
    }
}

struct Page {
    size: Size,
    profile: Option<Profile>,
    density: Option<Density>,
}

/// Nothing in any directory but what is needed to decode, a density and our own profile.
pub fn prove(written: &[u8]) -> Option<()> {
    let tiff = Tiff::open(written)?;
    let mut next = tiff.first_directory()?;
    while next != 0 {
        let (entries, following) = tiff.directory(next)?;
        for entry in entries {
            match entry.tag {
                PROFILE => {
                    let (at, length) = (tiff.long(entry.at)? as usize, tiff.long(entry.at - 4)? as usize);
                    Profile::is_ours(written.get(at..at + length)?).then_some(())?;
                }
                tag => KNOWN.contains(&tag).then_some(())?,
            }
        }
        // The writer's directories follow one another.
        let is_further = following == 0 || following as usize > next;
        next = is_further.then_some(following as usize)?;
    }
    Some(())
}

/// Sides, bits, compression, photometry, strips, samples, rows, lengths, density, planes, predictor, extra samples,
/// sample format, profile.
const KNOWN: [u16; 17] = [
    254, 256, 257, 258, 259, 262, 273, 277, 278, 279, 282, 283, 284, 296, 317, 338, 339,
];
const PROFILE: u16 = 34_675;
