//! What the frame header says: how the picture is coded, how large it is, how its components are sampled.

use crate::{
    geometry::Size,
    jpeg::error::{JpegError, Unsupported},
};

/// How the coefficients are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    Baseline,
    ExtendedHuffman,
    Progressive,
    Arithmetic,
    ArithmeticProgressive,
    Lossless,
    Hierarchical,
}

impl Process {
    pub fn is_progressive(self) -> bool {
        matches!(self, Self::Progressive | Self::ArithmeticProgressive)
    }

    pub fn is_arithmetic(self) -> bool {
        matches!(self, Self::Arithmetic | Self::ArithmeticProgressive)
    }
}

/// One component of the picture, such as its luminance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Component {
    pub id: u8,
    /// Sampling factors, 1 to 4.
    pub horizontal: u8,
    pub vertical: u8,
    /// Which quantisation table, 0 to 3.
    pub quantisation: u8,
}

/// The frame header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub process: Process,
    /// Bits a sample.
    pub precision: u8,
    /// As stored, before any orientation.
    pub size: Size,
    pub components: Vec<Component>,
}

impl Frame {
    /// Reads the body of the start-of-frame segment with this marker, which lies at `at`.
    pub fn parse(marker: u8, body: &[u8], at: usize) -> Result<Self, JpegError> {
        let corrupt = |what| JpegError::Corrupt { at, what };
        let [precision, height1, height0, width1, width0, count, rest @ ..] = body else {
            return Err(corrupt("the frame header is too short"));
        };
        if rest.len() != usize::from(*count) * 3 || *count == 0 {
            return Err(corrupt("the frame header is not as long as its components"));
        }
        let size = Size {
            width: u32::from(u16::from_be_bytes([*width1, *width0])),
            height: u32::from(u16::from_be_bytes([*height1, *height0])),
        };
        let components: Vec<Component> = rest.chunks_exact(3).map(component).collect();
        let is_sound =
            |c: &Component| (1..=4).contains(&c.horizontal) && (1..=4).contains(&c.vertical) && c.quantisation < 4;
        if size.width == 0 || !components.iter().all(is_sound) {
            return Err(corrupt(
                "the frame header has a width, sampling or table number that cannot be",
            ));
        }
        Ok(Self {
            process: process(marker),
            precision: *precision,
            size,
            components,
        })
    }

    /// Whether the splice handles it.
    pub fn supported(&self) -> Result<(), Unsupported> {
        match self.process {
            Process::Baseline | Process::ExtendedHuffman => {}
            Process::Progressive => return Err(Unsupported::Progressive),
            Process::Arithmetic | Process::ArithmeticProgressive => return Err(Unsupported::Arithmetic),
            Process::Lossless => return Err(Unsupported::Lossless),
            Process::Hierarchical => return Err(Unsupported::Hierarchical),
        }
        match (self.precision, self.process) {
            (8, _) | (12, Process::ExtendedHuffman) => {}
            (precision, _) => return Err(Unsupported::Precision(precision)),
        }
        match self.components.len() {
            1 | 3 | 4 if self.size.height == 0 => Err(Unsupported::LateHeight),
            1 | 3 | 4 => Ok(()),
            count => Err(Unsupported::Components(count as u8)),
        }
    }

    pub fn has_repeated_names(&self) -> bool {
        let repeats =
            |(n, component): (usize, &Component)| self.components[..n].iter().any(|other| other.id == component.id);
        self.components.iter().enumerate().any(repeats)
    }

    /// What a component is called in a file that is written: as it was, unless others had the same name.
    pub fn written_name(&self, component: usize) -> u8 {
        match self.components.get(component) {
            Some(component) if !self.has_repeated_names() => component.id,
            _ => component as u8 + 1,
        }
    }

    /// The smallest difference between two samples, were they stretched to 0 to 255.
    pub fn least_difference(&self) -> f32 {
        2f32.powi(8 - i32::from(self.precision))
    }

    /// The sampling factors that count. A lone component is coded block by block, whatever its own factors are (A.2.2).
    pub fn factors(&self, component: usize) -> (u32, u32) {
        match self.components.get(component) {
            Some(component) if self.components.len() > 1 => {
                (u32::from(component.horizontal), u32::from(component.vertical))
            }
            _ => (1, 1),
        }
    }

    /// The largest sampling factors of any component.
    pub fn most_factors(&self) -> (u32, u32) {
        let all = (0..self.components.len()).map(|component| self.factors(component));
        all.fold((1, 1), |most, factors| (most.0.max(factors.0), most.1.max(factors.1)))
    }

    /// Pixels of the smallest unit that is coded as a whole: 8 × 8 to 32 × 32.
    pub fn unit(&self) -> Size {
        let (horizontal, vertical) = self.most_factors();
        Size {
            width: 8 * horizontal,
            height: 8 * vertical,
        }
    }

    /// How many units lie beside and below each other.
    pub fn units(&self) -> Size {
        let unit = self.unit();
        Size {
            width: self.size.width.div_ceil(unit.width),
            height: self.size.height.div_ceil(unit.height),
        }
    }

    /// Samples of a component, without what fills its last blocks up.
    pub fn samples(&self, component: usize) -> Size {
        let ((horizontal, vertical), most) = (self.factors(component), self.most_factors());
        Size {
            width: (self.size.width * horizontal).div_ceil(most.0),
            height: (self.size.height * vertical).div_ceil(most.1),
        }
    }
}

fn component(entry: &[u8]) -> Component {
    Component {
        id: entry[0],
        horizontal: entry[1] >> 4,
        vertical: entry[1] & 15,
        quantisation: entry[2],
    }
}

fn process(marker: u8) -> Process {
    match marker {
        0xc0 => Process::Baseline,
        0xc1 => Process::ExtendedHuffman,
        0xc2 => Process::Progressive,
        0xc9 => Process::Arithmetic,
        0xca => Process::ArithmeticProgressive,
        0xc3 | 0xcb => Process::Lossless,
        _ => Process::Hierarchical,
    }
}
