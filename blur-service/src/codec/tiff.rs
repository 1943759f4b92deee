//! TIFF of one page or more, by the `tiff` crate: baseline, LZW, Deflate, PackBits, fax codes of group 4 and JPEG inside, strips and
//! tiles, grey, colour, palettes and inks, 1 to 16 bits. Several pages are written as a TIFF again, under Deflate, since no
//! other format has pages; one page in another format. Reduced pictures and masks are left behind.

use std::{borrow::Cow, io::Cursor};

use image::{DynamicImage, GrayAlphaImage, GrayImage, ImageBuffer, RgbImage, RgbaImage, metadata::Orientation};
use tiff::{
    ColorType, TiffError,
    decoder::{Decoder, DecodingResult, Limits, ifd::Value},
    encoder::{Compression, DeflateLevel, Rational, TiffEncoder, colortype},
    tags::{CompressionMethod, ExtraSamples, ResolutionUnit, SampleFormat, Tag},
};

use super::{
    Density, Format, Header, Parts, Picture, Profile, Space, broken, colour, density::Unit, guarded, shared::Shared,
};
use crate::{
    error::Error,
    geometry::Size,
    jpeg::{
        Channels,
        syntax::{exif::Tiff, marker::Segments},
    },
};

/// Walks all pages.
pub(super) fn read_header(file: &[u8]) -> Result<Header, Error> {
    let mut pages = Pages::open(file)?;
    let (mut count, mut pixels, mut work_bytes) = (0, 0u64, 0);
    let mut first = None;
    while let Some(header) = pages.next_header()? {
        count += 1;
        if count > MOST_PAGES {
            return Err(Error::TooMany {
                what: "pages",
                found: count.into(),
                limit: MOST_PAGES.into(),
            });
        }
        pixels = pixels.saturating_add(header.size.pixels());
        work_bytes = header.work_bytes.max(work_bytes);
        first.get_or_insert(header);
    }
    let first = first.ok_or_else(|| broken("it has no page"))?;
    if count == 1 {
        return Ok(first);
    }
    Ok(Header {
        parts: Parts::Pages { count, pixels },
        // The page that is worked on, and all that is written.
        work_bytes: work_bytes.saturating_add(pixels.saturating_mul(WRITTEN_BYTES)),
        ..first
    })
}

/// The first page.
pub(super) fn decode(file: &[u8]) -> Result<Picture, Error> {
    let page = Pages::open(file)?
        .next_page()?
        .ok_or_else(|| broken("it has no page"))?;
    Ok(page.1)
}

/// The pages of a file, but for those that are another one made smaller, or its mask.
pub struct Pages<'a> {
    decoder: Decoder<Cursor<Cow<'a, [u8]>>>,
    /// Of each directory, whether its samples are places in a palette.
    palettes: Vec<bool>,
    at: usize,
    is_begun: bool,
}

impl<'a> Pages<'a> {
    /// # Errors
    /// [`Error::BrokenPicture`], [`Error::UnsupportedFormat`].
    pub fn open(file: &'a [u8]) -> Result<Self, Error> {
        let (file, palettes) = without_palettes(file);
        let limits = Limits::unlimited();
        let decoder = Decoder::new(Cursor::new(file)).map_err(unreadable)?.with_limits(limits);
        Ok(Self {
            decoder,
            palettes,
            at: 0,
            is_begun: false,
        })
    }

    /// The next page, as stored: the orientation is the header's.
    ///
    /// # Errors
    /// [`Error::BrokenPicture`], [`Error::UnsupportedFormat`].
    pub fn next_page(&mut self) -> Result<Option<(Header, Picture)>, Error> {
        let Some(header) = self.next_header()? else {
            return Ok(None);
        };
        let picture = guarded(|| self.picture(&header))?;
        Ok(Some((header, picture)))
    }

    fn next_header(&mut self) -> Result<Option<Header>, Error> {
        loop {
            if self.is_begun {
                if !self.decoder.more_images() {
                    return Ok(None);
                }
                self.decoder.next_image().map_err(unreadable)?;
                self.at += 1;
            }
            self.is_begun = true;
            let kind: Option<u32> = self.tag(Tag::NewSubfileType);
            if kind.unwrap_or(0) & (REDUCED | MASK) == 0 {
                return self.header().map(Some);
            }
        }
    }

    fn header(&mut self) -> Result<Header, Error> {
        let (width, height) = self.decoder.dimensions().map_err(unreadable)?;
        let size = Size { width, height };
        let bits: Option<u16> = self.tag(Tag::BitsPerSample);
        let samples: u64 = self.tag(Tag::SamplesPerPixel).unwrap_or(1u16).into();
        let bytes = samples * u64::from(bits.unwrap_or(1).div_ceil(8));
        let orientation: Option<u8> = self.tag(Tag::Orientation);
        Ok(Header {
            orientation: orientation
                .and_then(Orientation::from_exif)
                .unwrap_or(Orientation::NoTransforms),
            density: self.density(),
            // Samples as decoded, their strip, pixels, their turned copy or the file that is written, three views.
            ..Header::new(Format::Tiff, size, size.pixels().saturating_mul(2 * bytes + 8 + 8 + 9))
        })
    }

    fn tag<T: TryFrom<u64>>(&mut self, tag: Tag) -> Option<T> {
        let values = self.decoder.find_tag(tag).ok()??.into_u64_vec().ok()?;
        values.first().and_then(|value| T::try_from(*value).ok())
    }

    fn density(&mut self) -> Option<Density> {
        let unit = match self.tag(Tag::ResolutionUnit).unwrap_or(2u16) {
            2 => Unit::Inch,
            3 => Unit::Centimetre,
            _ => return None,
        };
        let mut number = |tag| match self.decoder.find_tag(tag).ok()?? {
            Value::Rational(number, parts) if parts > 0 => Some((f64::from(number) / f64::from(parts)).round() as u32),
            _ => None,
        };
        let (across, down) = (number(Tag::XResolution)?, number(Tag::YResolution)?);
        (across > 0 && down > 0).then_some(Density { unit, across, down })
    }

    fn picture(&mut self, header: &Header) -> Result<Picture, Error> {
        let format: Option<u16> = self.tag(Tag::SampleFormat);
        if format.is_some_and(|format| format != SampleFormat::Uint.to_u16()) {
            return Err(Error::UnsupportedFormat(
                "TIFF with samples that are no whole numbers is not supported: send 8 or 16 bits a sample",
            ));
        }
        let colour = self.decoder.colortype().map_err(unreadable)?;
        let mut samples = DecodingResult::U8(Vec::new());
        let budget = usize::try_from(header.work_bytes).unwrap_or(usize::MAX);
        let layout = self.decoder.image_buffer_layout().map_err(unreadable)?;
        if layout.complete_len > budget {
            return Err(broken("its picture would take more memory than its head says"));
        }
        self.check_coded_sizes()?;
        self.decoder.read_image_to_buffer(&mut samples).map_err(unreadable)?;
        let icc = self.decoder.find_tag(Tag::IccProfile).ok().flatten();
        let icc = icc.and_then(|value| value.into_u8_vec().ok()).unwrap_or_default();
        let raster = Raster {
            size: header.size,
            planes: layout.planes,
            alpha: self.tag(Tag::ExtraSamples).and_then(ExtraSamples::from_u16),
        };
        match samples {
            DecodingResult::U8(samples) if self.palettes.get(self.at) == Some(&true) => {
                let palette = self.decoder.get_tag_u16_vec(Tag::ColorMap).map_err(unreadable)?;
                Picture::new(
                    raster.in_palette(&samples, colour, &palette)?,
                    Space::of(&icc, Channels::Rgb)?,
                )
            }
            DecodingResult::U8(samples) => raster.of_bytes(samples, colour, &icc),
            DecodingResult::U16(samples) => raster.of_words(samples, colour, &icc),
            _ => Err(UNUSUAL),
        }
    }
}

impl Pages<'_> {
    /// JPEGs inside a page that are larger than the place they have would be decoded all the same.
    fn check_coded_sizes(&mut self) -> Result<(), Error> {
        if self.tag(Tag::Compression) != Some(CompressionMethod::ModernJPEG.to_u16()) {
            return Ok(());
        }
        let (width, height) = self.decoder.chunk_dimensions();
        let room = Size { width, height }.pixels() + SLACK;
        let mut places = |strips, tiles| {
            let values = self.decoder.find_tag(strips).ok().flatten();
            let values = values.or_else(|| self.decoder.find_tag(tiles).ok().flatten());
            values.and_then(|values| values.into_u64_vec().ok()).unwrap_or_default()
        };
        let starts = places(Tag::StripOffsets, Tag::TileOffsets);
        let lengths = places(Tag::StripByteCounts, Tag::TileByteCounts);
        let file = self.decoder.inner().get_ref();
        for (start, length) in starts.into_iter().zip(lengths) {
            let coded = file.get(start as usize..).unwrap_or_default();
            let coded = &coded[..coded.len().min(length as usize)];
            if largest_frame(coded) > room {
                return Err(broken("a JPEG inside it is larger than its place"));
            }
        }
        Ok(())
    }
}

/// The pixels of the largest frame that any segment of a JPEG announces.
fn largest_frame(jpeg: &[u8]) -> u64 {
    let mut segments = Segments::new(jpeg, 2);
    let mut largest = 0;
    while let Ok(Some(segment)) = segments.next() {
        let is_frame = matches!(segment.marker, 0xc0..=0xcf if ![0xc4, 0xc8, 0xcc].contains(&segment.marker));
        if let (true, &[_, h1, h0, w1, w0, ..]) = (is_frame, segment.body) {
            let side = |high, low| u64::from(u16::from_be_bytes([high, low]));
            largest = largest.max(side(h1, h0) * side(w1, w0));
        }
    }
    largest
}

/// How the samples of a page lie.
struct Raster {
    size: Size,
    planes: usize,
    /// What the first sample is that is no colour.
    alpha: Option<ExtraSamples>,
}

impl Raster {
    fn of_bytes(&self, samples: Vec<u8>, colour: ColorType, icc: &[u8]) -> Result<Picture, Error> {
        let (width, height) = (self.size.width, self.size.height);
        let channels = match colour {
            ColorType::Gray(8) => Channels::Grey,
            ColorType::Gray(bits @ (1 | 2 | 4)) => {
                let most = u8::MAX >> (8 - bits);
                let levels = self.unpacked(&samples, bits).map(|level| level * (u8::MAX / most));
                let pixels = GrayImage::from_raw(width, height, levels.collect());
                return Picture::new(pixels.ok_or_else(short)?.into(), Space::of(icc, Channels::Grey)?);
            }
            ColorType::Multiband {
                bit_depth: 8,
                num_samples: 2,
            } => Channels::Grey,
            ColorType::RGB(8) | ColorType::RGBA(8) | ColorType::YCbCr(8) => Channels::Rgb,
            ColorType::CMYK(8) | ColorType::CMYKA(8) => Channels::Inks,
            _ => return Err(UNUSUAL),
        };
        let is_bright = matches!(colour, ColorType::YCbCr(_));
        let mut pixels = self.in_pixels(samples, channels)?;
        if is_bright && let DynamicImage::ImageRgb8(pixels) = &mut pixels {
            pixels.pixels_mut().for_each(|pixel| pixel.0 = red_green_blue(pixel.0));
        }
        self.meant(pixels, channels, icc)
    }

    fn of_words(&self, samples: Vec<u16>, colour: ColorType, icc: &[u8]) -> Result<Picture, Error> {
        let channels = match colour {
            ColorType::Gray(16)
            | ColorType::Multiband {
                bit_depth: 16,
                num_samples: 2,
            } => Channels::Grey,
            ColorType::RGB(16) | ColorType::RGBA(16) => Channels::Rgb,
            ColorType::CMYK(16) | ColorType::CMYKA(16) => {
                let bytes = samples.into_iter().map(|sample| (sample >> 8) as u8).collect();
                let pixels = self.in_pixels(bytes, Channels::Inks)?;
                return self.meant(pixels, Channels::Inks, icc);
            }
            _ => return Err(UNUSUAL),
        };
        let (count, has_alpha, samples) = self.chunky(samples, channels)?;
        let Size { width, height } = self.size;
        let mut pixels = match (count, has_alpha) {
            (1, false) => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLuma16),
            (1, true) => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLumaA16),
            (_, false) => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgb16),
            (_, true) => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgba16),
        }
        .ok_or_else(short)?;
        if self.is_multiplied() {
            match &mut pixels {
                DynamicImage::ImageLumaA16(pixels) => divided(pixels, 2, u16::MAX.into()),
                DynamicImage::ImageRgba16(pixels) => divided(pixels, 4, u16::MAX.into()),
                _ => {}
            }
        }
        Picture::new(pixels, Space::of(icc, channels)?)
    }

    fn in_pixels(&self, samples: Vec<u8>, channels: Channels) -> Result<DynamicImage, Error> {
        let (count, has_alpha, samples) = self.chunky(samples, channels)?;
        let Size { width, height } = self.size;
        let mut pixels = match (count, has_alpha) {
            (1, false) => GrayImage::from_raw(width, height, samples).map(DynamicImage::from),
            (1, true) => GrayAlphaImage::from_raw(width, height, samples).map(DynamicImage::from),
            (3, false) => RgbImage::from_raw(width, height, samples).map(DynamicImage::from),
            (3, true) => RgbaImage::from_raw(width, height, samples).map(DynamicImage::from),
            // Their alpha, if there is one, was left out.
            _ => RgbImage::from_raw(
                width,
                height,
                samples.as_chunks::<4>().0.iter().flat_map(printed).collect(),
            )
            .map(DynamicImage::from),
        }
        .ok_or_else(short)?;
        if self.is_multiplied() {
            match &mut pixels {
                DynamicImage::ImageLumaA8(pixels) => divided(pixels, 2, u8::MAX.into()),
                DynamicImage::ImageRgba8(pixels) => divided(pixels, 4, u8::MAX.into()),
                _ => {}
            }
        }
        Ok(pixels)
    }

    fn meant(&self, mut pixels: DynamicImage, channels: Channels, icc: &[u8]) -> Result<Picture, Error> {
        let space = Space::of(icc, channels)?;
        match (&space, &mut pixels) {
            (Space::Other(profile), DynamicImage::ImageRgb8(inks)) if channels == Channels::Inks => {
                colour::print(inks, profile)?;
                Picture::new(pixels, Space::Plain)
            }
            _ => Picture::new(pixels, space),
        }
    }

    /// How many colours a pixel has, whether an alpha follows them, and just those samples, pixel by pixel.
    fn chunky<S: Copy>(&self, samples: Vec<S>, channels: Channels) -> Result<(usize, bool, Vec<S>), Error> {
        let pixels = usize::try_from(self.size.pixels()).map_err(Error::internal)?;
        let there = samples.len() / pixels.max(1);
        let colours = match channels {
            Channels::Grey => 1,
            Channels::Rgb => 3,
            Channels::Inks => 4,
        };
        let is_alpha = matches!(
            self.alpha,
            Some(ExtraSamples::AssociatedAlpha | ExtraSamples::UnassociatedAlpha)
        );
        let has_alpha = there > colours && is_alpha && channels != Channels::Inks;
        let wanted = colours + usize::from(has_alpha);
        if there < wanted {
            return Err(short());
        }
        let samples = match self.planes {
            1 if there == wanted => samples,
            1 => samples
                .chunks_exact(there)
                .flat_map(|pixel| &pixel[..wanted])
                .copied()
                .collect(),
            _ => (0..pixels * wanted)
                .map(|index| samples[index % wanted * pixels + index / wanted])
                .collect(),
        };
        Ok((colours, has_alpha, samples))
    }

    fn is_multiplied(&self) -> bool {
        matches!(self.alpha, Some(ExtraSamples::AssociatedAlpha))
    }

    /// Levels of less than 8 bits, whose rows begin at whole bytes.
    fn unpacked<'s>(&self, samples: &'s [u8], bits: u8) -> impl Iterator<Item = u8> + use<'s> {
        let width = self.size.width as usize;
        let in_a_byte = usize::from(8 / bits);
        let mask = u8::MAX >> (8 - bits);
        samples
            .chunks_exact(width.div_ceil(in_a_byte).max(1))
            .flat_map(move |row| {
                (0..width).map(move |x| {
                    let shift = 8 - bits * (x % in_a_byte + 1) as u8;
                    row[x / in_a_byte] >> shift & mask
                })
            })
    }

    /// A palette has all its reds first, then its greens and blues, of 16 bits each.
    fn in_palette(&self, samples: &[u8], colour: ColorType, palette: &[u16]) -> Result<DynamicImage, Error> {
        let bits = match colour {
            ColorType::Gray(bits @ (1 | 2 | 4 | 8)) => bits,
            _ => return Err(UNUSUAL),
        };
        let count = palette.len() / 3;
        let level = |index: usize| palette.get(index).map_or(0, |level| (level >> 8) as u8);
        let colour = |place: u8| [0, 1, 2].map(|plane| level(plane * count + usize::from(place).min(count)));
        let pixels = self.unpacked(samples, bits).flat_map(colour).collect();
        RgbImage::from_raw(self.size.width, self.size.height, pixels)
            .map(DynamicImage::from)
            .ok_or_else(short)
    }
}

/// What viewers show of four inks without a profile.
fn printed([cyan, magenta, yellow, black]: &[u8; 4]) -> [u8; 3] {
    let paper = u16::from(u8::MAX - black);
    [cyan, magenta, yellow].map(|ink| ((u16::from(u8::MAX - ink) * paper + 127) / 255) as u8)
}

/// Brightness and two colour differences (ITU-T T.871, 7).
fn red_green_blue([y, blue, red]: [u8; 3]) -> [u8; 3] {
    let (y, blue, red) = (f32::from(y), f32::from(blue) - 128.0, f32::from(red) - 128.0);
    [
        y + 1.402 * red,
        y - 0.344_136 * blue - 0.714_136 * red,
        y + 1.772 * blue,
    ]
    .map(|level| level.round().clamp(0.0, 255.0) as u8)
}

/// Takes the alpha out of colours that were multiplied with it.
fn divided<S: Copy + Into<u32> + TryFrom<u32>>(samples: &mut [S], channels: usize, most: u32) {
    for pixel in samples.chunks_exact_mut(channels) {
        let alpha: u32 = pixel[channels - 1].into();
        for sample in &mut pixel[..channels - 1] {
            let level: u32 = (*sample).into();
            let level = (level * most + alpha / 2).checked_div(alpha).unwrap_or(0).min(most);
            *sample = S::try_from(level).unwrap_or(*sample);
        }
    }
}

/// The file with its palettes' pictures said to be grey, since the decoder knows no palettes; and which ones they are.
fn without_palettes(file: &[u8]) -> (Cow<'_, [u8]>, Vec<bool>) {
    let places = photometry(file).unwrap_or_default();
    let is_palette = |place: &Option<(usize, u16)>| place.is_some_and(|(_, kind)| kind == PALETTE);
    let palettes: Vec<bool> = places.iter().map(is_palette).collect();
    if !palettes.contains(&true) {
        return (Cow::Borrowed(file), palettes);
    }
    let mut changed = file.to_vec();
    let grey = if file.starts_with(b"MM") {
        GREY.to_be_bytes()
    } else {
        GREY.to_le_bytes()
    };
    for (at, _) in places.into_iter().filter(is_palette).flatten() {
        changed[at..at + 2].copy_from_slice(&grey);
    }
    (Cow::Owned(changed), palettes)
}

/// Of each directory, where it says what its samples mean, and what. Nothing for the kind of more than 4 GB.
fn photometry(file: &[u8]) -> Option<Vec<Option<(usize, u16)>>> {
    let tiff = Tiff::open(file).filter(|tiff| tiff.short(2) == Some(42))?;
    let mut places = Vec::new();
    let mut next = tiff.first_directory()?;
    while next != 0 && places.len() <= MOST_PAGES as usize * 2 {
        let Some((entries, following)) = tiff.directory(next) else {
            break;
        };
        let entry = entries
            .into_iter()
            .find(|entry| entry.tag == PHOTOMETRY && entry.kind == 3);
        places.push(entry.and_then(|entry| Some((entry.at, tiff.short(entry.at)?))));
        next = following as usize;
    }
    Some(places)
}

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
pub(super) fn prove(written: &[u8]) -> Option<()> {
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

/// What the decoder has against a file, in a sentence.
fn unreadable(error: TiffError) -> Error {
    match error {
        TiffError::IoError(_) => broken("the file ends before its picture does, or its coded data is damaged"),
        TiffError::UnsupportedError(_) => UNUSUAL,
        TiffError::LimitsExceeded => broken("its picture would take more memory than its head says"),
        TiffError::FormatError(_) | TiffError::IntSizeError | TiffError::UsageError(_) => {
            broken("its directories or its coded data are damaged")
        }
    }
}

fn short() -> Error {
    broken("it has fewer samples than pixels")
}

const UNUSUAL: Error = Error::UnsupportedFormat(
    "TIFF of this kind is not supported: send grey, colour, palette or CMYK of 1 to 16 bits under a usual compression",
);
/// Of a JPEG's padding in a strip.
const SLACK: u64 = 1 << 20;
const MOST_PAGES: u32 = 10_000;
/// A page is another one made smaller, or the mask of one.
const REDUCED: u32 = 0b001;
const MASK: u32 = 0b100;
const PHOTOMETRY: u16 = 0x0106;
const PALETTE: u16 = 3;
const GREY: u16 = 1;
/// Of a pixel of a written page, at most.
const WRITTEN_BYTES: u64 = 8;
/// Sides, bits, compression, photometry, strips, samples, rows, lengths, density, planes, predictor, extra samples,
/// sample format, profile.
const KNOWN: [u16; 17] = [
    254, 256, 257, 258, 259, 262, 273, 277, 278, 279, 282, 283, 284, 296, 317, 338, 339,
];
const PROFILE: u16 = 34_675;
