//! Everything before the entropy-coded data: tables, frame, scan, and what is known of orientation and colour.

use super::{
    conditioning::Conditioning,
    density::{Density, JFIF_LENGTH},
    exif,
    frame::Frame,
    icc,
    leniency::Leniency,
    marker::{self, Segment, Segments},
    tables::{HuffmanTables, Quantisation, read_quantisation},
};
use crate::{
    geometry::Size,
    jpeg::error::{JpegError, Unsupported},
};

/// What a file may ask for.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub pixels: u64,
    /// Marker segments before the picture.
    pub segments: usize,
    /// Scans of one picture. A progressive one has about ten; hostile ones bring thousands to keep the reader busy.
    pub scans: usize,
    /// Regions to hide.
    pub regions: usize,
}

impl Limits {
    pub const DEFAULT: Self = Self {
        pixels: 100_000_000,
        segments: 2048,
        scans: 100,
        regions: 4096,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A JPEG file whose headers are read; its entropy-coded data is not looked at yet.
pub struct Jpeg<'a> {
    pub(crate) data: &'a [u8],
    pub(crate) limits: Limits,
    pub(crate) frame: Frame,
    pub(crate) quantisation: [Option<Quantisation>; 4],
    pub(crate) huffman: HuffmanTables,
    pub(crate) conditioning: Conditioning,
    pub(crate) restart_interval: u16,
    pub(crate) scan: ScanHeader,
    pub(crate) colour: ColourMarkers,
    /// That of its JFIF segment.
    pub(crate) density: Option<Density>,
    /// Whether the Huffman tables were made for these very blocks, so that they tell of those to be hidden.
    pub(crate) tells_by_tables: bool,
    orientation: u8,
    icc: Vec<icc::Chunk<'a>>,
    leniencies: Vec<Leniency>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScanHeader {
    pub components: Vec<ScanComponent>,
    /// First and last coefficient, and the bits left out.
    pub spectrum: [u8; 3],
    /// Where the entropy-coded data begins.
    pub start: usize,
}

/// One component of a scan: its place in the frame, and its Huffman tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ScanComponent {
    pub component: usize,
    pub dc: usize,
    pub ac: usize,
}

/// What tells a decoder which colours the components are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ColourMarkers {
    pub has_jfif: bool,
    /// Adobe's colour transform: 0 none, 1 YCbCr, 2 YCCK.
    pub adobe: Option<u8>,
    /// Whether 255 is full ink, as the file around the picture says.
    pub has_upright_inks: bool,
}

impl<'a> Jpeg<'a> {
    /// Reads the headers, up to the first scan. Succeeds for every kind of JPEG, also those that cannot be spliced.
    ///
    /// # Errors
    /// [`JpegError::NotJpeg`], [`JpegError::Truncated`], [`JpegError::Corrupt`] or [`JpegError::TooLarge`].
    pub fn parse(data: &'a [u8], limits: &Limits) -> Result<Self, JpegError> {
        if !data.starts_with(&[0xff, marker::START_OF_IMAGE]) {
            return Err(JpegError::NotJpeg);
        }
        let mut headers = Headers::default();
        let mut segments = Segments::new(data, 2);
        for _ in 0..limits.segments {
            let Some(segment) = segments.next()? else {
                return Err(JpegError::Truncated {
                    at: data.len(),
                    what: "the headers",
                });
            };
            headers.has_stray_bytes |= segments.have_passed_over_bytes();
            if segment.marker == marker::START_OF_SCAN {
                return headers.finish(data, limits, &segment, segments.at());
            }
            headers.read(&segment, limits)?;
        }
        Err(JpegError::TooLarge {
            what: "segments",
            found: limits.segments as u64 + 1,
            limit: limits.segments as u64,
        })
    }

    /// In pixels, as stored: before any orientation.
    pub fn size(&self) -> Size {
        self.frame.size
    }

    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// EXIF orientation, 1 to 8; 1 if the file says nothing.
    pub fn orientation(&self) -> u8 {
        self.orientation
    }

    /// What is wrong with the headers and was read all the same.
    pub fn leniencies(&self) -> &[Leniency] {
        &self.leniencies
    }

    /// The colour profile, put together again; nothing if there is none or a part of it is missing.
    pub fn icc(&self) -> Option<Vec<u8>> {
        icc::join(&self.icc)
    }

    /// Horizontal and vertical sampling factors of every component, such as `[(2, 2), (1, 1), (1, 1)]` for 4:2:0.
    pub fn sampling(&self) -> Vec<(u8, u8)> {
        self.frame
            .components
            .iter()
            .map(|component| (component.horizontal, component.vertical))
            .collect()
    }

    /// The quantisation steps of a component, in zigzag order, for samples of 8 bits: one of 12 bits is a sixteenth of
    /// what the file says. Ones if the file has no such table.
    pub(crate) fn steps(&self, component: usize) -> [f32; 64] {
        self.quantisation_of(component).map_or([1.0; 64], |table| {
            table.steps.map(|step| f32::from(step) * self.frame.least_difference())
        })
    }

    /// The same in whole numbers; nothing if the file has no such table.
    pub(crate) fn steps_in_8_bits(&self, component: usize) -> Option<[u32; 64]> {
        let table = self.quantisation_of(component)?;
        // What is refused later may tell any precision.
        let more = u32::from(self.frame.precision.saturating_sub(8));
        Some(table.steps.map(|step| u32::from(step).checked_shr(more).unwrap_or(0)))
    }

    fn quantisation_of(&self, component: usize) -> Option<&Quantisation> {
        let component = self.frame.components.get(component)?;
        self.quantisation[usize::from(component.quantisation)].as_ref()
    }

    /// These headers with another frame and scan, without restart markers.
    pub(crate) fn with_scan(&self, frame: Frame, scan: ScanHeader) -> Self {
        Self {
            data: self.data,
            limits: self.limits,
            frame,
            quantisation: self.quantisation.clone(),
            huffman: HuffmanTables::default(),
            conditioning: Conditioning::default(),
            restart_interval: 0,
            scan,
            colour: self.colour,
            density: self.density,
            tells_by_tables: self.tells_by_tables,
            orientation: self.orientation,
            icc: self.icc.clone(),
            leniencies: self.leniencies.clone(),
        }
    }

    /// Of a file that [`Jpeg::in_one_scan`] wrote, whose tables count every block: where anything is hidden, the tables
    /// are made anew for what is shown, and the whole scan is coded with them.
    pub fn with_fresh_tables(self) -> Self {
        Self {
            tells_by_tables: true,
            ..self
        }
    }

    /// How many blocks a scan of all components has.
    pub fn block_count(&self) -> u64 {
        let of_a_unit = (0..self.frame.components.len()).map(|component| self.frame.factors(component));
        self.frame.units().pixels() * of_a_unit.map(|(across, down)| u64::from(across * down)).sum::<u64>()
    }

    /// Whether the splice handles this file, as far as its headers tell.
    ///
    /// # Errors
    /// Why not.
    pub fn supported(&self) -> Result<(), Unsupported> {
        self.frame.supported()?;
        if self.scan.components.len() != self.frame.components.len() {
            return Err(Unsupported::MultipleScans);
        }
        if self.scan.spectrum != [0, 63, 0] {
            return Err(Unsupported::SpectralSelection);
        }
        Ok(())
    }
}

#[derive(Default)]
struct Headers<'a> {
    frame: Option<Frame>,
    quantisation: [Option<Quantisation>; 4],
    huffman: HuffmanTables,
    conditioning: Conditioning,
    restart_interval: u16,
    colour: ColourMarkers,
    density: Option<Density>,
    /// What EXIF says; JFIF counts for more.
    exif_density: Option<Density>,
    orientation: Option<u8>,
    icc: Vec<icc::Chunk<'a>>,
    has_stray_bytes: bool,
    has_broken_table: bool,
}

impl<'a> Headers<'a> {
    fn read(&mut self, segment: &Segment<'a>, limits: &Limits) -> Result<(), JpegError> {
        let corrupt = |what| JpegError::Corrupt { at: segment.at, what };
        match segment.marker {
            marker::START_OF_IMAGE | marker::END_OF_IMAGE => Err(corrupt("a second picture, or none")),
            marker::HUFFMAN_TABLES => {
                let are_sound = self.huffman.read(segment.body);
                self.has_broken_table |= !are_sound.ok_or(corrupt("a Huffman table is not as long as it says"))?;
                Ok(())
            }
            marker::CONDITIONING => self
                .conditioning
                .read(segment.body)
                .ok_or(corrupt("the conditioning of arithmetic codes cannot be")),
            marker::QUANTISATION_TABLES => {
                read_quantisation(segment.body, &mut self.quantisation).ok_or(corrupt("a quantisation table cannot be"))
            }
            marker::RESTART_INTERVAL => {
                let interval: [u8; 2] = segment
                    .body
                    .try_into()
                    .or(Err(corrupt("the restart interval is not a number")))?;
                self.restart_interval = u16::from_be_bytes(interval);
                Ok(())
            }
            marker::HIERARCHICAL => Err(Unsupported::Hierarchical.into()),
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => self.read_frame(segment, limits),
            _ => {
                self.read_application(segment);
                Ok(())
            }
        }
    }

    fn read_frame(&mut self, segment: &Segment, limits: &Limits) -> Result<(), JpegError> {
        if self.frame.is_some() {
            return Err(JpegError::Corrupt {
                at: segment.at,
                what: "a second frame",
            });
        }
        let frame = Frame::parse(segment.marker, segment.body, segment.at)?;
        let found = frame.size.pixels();
        if found > limits.pixels {
            return Err(JpegError::TooLarge {
                what: "pixels",
                found,
                limit: limits.pixels,
            });
        }
        self.frame = Some(frame);
        Ok(())
    }

    fn read_application(&mut self, segment: &Segment<'a>) {
        match (segment.marker, segment.body) {
            // Shorter ones say nothing to libjpeg.
            (marker::APP0, body) if body.starts_with(b"JFIF\0") && body.len() >= JFIF_LENGTH => {
                self.colour.has_jfif = true;
                self.density = self.density.or(Density::read(body));
            }
            (marker::APP1, body) if body.starts_with(exif::PREFIX) => {
                let tiff = &body[exif::PREFIX.len()..];
                // The first one counts, also where it says nothing.
                self.orientation = self.orientation.or(Some(exif::orientation(tiff).unwrap_or(1)));
                self.exif_density = self.exif_density.or(exif::density(tiff));
            }
            (marker::APP2, body) => self.icc.extend(icc::Chunk::parse(body)),
            (marker::APP14, [b'A', b'd', b'o', b'b', b'e', _, _, _, _, _, _, transform, ..]) => {
                self.colour.adobe = Some(*transform);
            }
            _ => {}
        }
    }

    fn finish(
        mut self,
        data: &'a [u8],
        limits: &Limits,
        segment: &Segment,
        start: usize,
    ) -> Result<Jpeg<'a>, JpegError> {
        let corrupt = |what| JpegError::Corrupt { at: segment.at, what };
        let frame = self.frame.take().ok_or(corrupt("a scan comes without a frame"))?;
        let scan = ScanHeader::parse(segment.body, &frame, start).ok_or(corrupt("the scan header cannot be"))?;
        let leniencies = self.make_do(&frame, &scan);
        Ok(Jpeg {
            data,
            limits: *limits,
            // For 12 bits there are no usual tables (K.3 is for 8): they are made for each picture.
            tells_by_tables: frame.precision > 8,
            frame,
            quantisation: self.quantisation,
            huffman: self.huffman,
            conditioning: self.conditioning,
            restart_interval: self.restart_interval,
            scan,
            colour: self.colour,
            density: self.density.or(self.exif_density),
            orientation: self.orientation.unwrap_or(1),
            icc: self.icc,
            leniencies,
        })
    }

    /// Tells what is wrong, and puts in what is missing.
    fn make_do(&mut self, frame: &Frame, scan: &ScanHeader) -> Vec<Leniency> {
        let used = |number| {
            let uses = |of: fn(&ScanComponent) -> usize| scan.components.iter().any(|part| of(part) == number);
            let [first, last, _] = scan.spectrum;
            (first == 0 && uses(|part| part.dc), last > 0 && uses(|part| part.ac))
        };
        // In place of a broken table nobody knows which one was meant.
        let is_without_tables = !self.has_broken_table
            && frame.precision == 8
            && !frame.process.is_arithmetic()
            && self.huffman.fill_up(used);
        let found = [
            (is_without_tables, Leniency::StandardHuffmanTables),
            (self.has_broken_table, Leniency::BrokenHuffmanTable),
            (frame.has_repeated_names(), Leniency::RepeatedComponentNames),
            (self.has_stray_bytes, Leniency::StrayBytes),
        ];
        found
            .into_iter()
            .filter_map(|(is_so, leniency)| is_so.then_some(leniency))
            .collect()
    }
}

impl ScanHeader {
    /// Reads the body of a start-of-scan segment, behind which the coded data begins at `start`.
    pub fn parse(body: &[u8], frame: &Frame, start: usize) -> Option<Self> {
        let (count, rest) = body.split_first()?;
        let (entries, spectrum) = rest.split_last_chunk::<3>()?;
        if entries.len() != usize::from(*count) * 2 || !(1..=4).contains(count) {
            return None;
        }
        let mut components: Vec<ScanComponent> = Vec::with_capacity(4);
        for entry in entries.chunks_exact(2) {
            // Of several with this name, the first one that is not in the scan yet, as libjpeg has it.
            let is_taken = |place: usize| components.iter().any(|other| other.component == place);
            let mut named = frame
                .components
                .iter()
                .enumerate()
                .filter(|(_, component)| component.id == entry[0]);
            let (component, _) = named.find(|(place, _)| !is_taken(*place))?;
            let (dc, ac) = (usize::from(entry[1] >> 4), usize::from(entry[1] & 15));
            if dc > 3 || ac > 3 {
                return None;
            }
            components.push(ScanComponent { component, dc, ac });
        }
        Some(Self {
            components,
            spectrum: *spectrum,
            start,
        })
    }
}
