//! How large a picture is meant to be printed: the only thing kept of a JFIF segment.

/// Pixels along a unit of length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Density {
    pub unit: Unit,
    pub across: u16,
    pub down: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Inch,
    Centimetre,
}

impl Density {
    /// Of a JFIF segment's body; nothing if it gives none.
    pub fn read(body: &[u8]) -> Option<Self> {
        let [b'J', b'F', b'I', b'F', 0, _, _, unit, x1, x0, y1, y0, ..] = *body else {
            return None;
        };
        let unit = match unit {
            1 => Unit::Inch,
            2 => Unit::Centimetre,
            _ => return None,
        };
        let (across, down) = (u16::from_be_bytes([x1, x0]), u16::from_be_bytes([y1, y0]));
        (across > 0 && down > 0).then_some(Self { unit, across, down })
    }
}

/// The body of a JFIF 1.01 segment with this density and without a thumbnail.
pub fn jfif(density: Option<Density>) -> [u8; JFIF_LENGTH] {
    let (unit, across, down) = match density {
        None => (0, 1, 1),
        Some(density) => (density.unit as u8 + 1, density.across, density.down),
    };
    let ([x1, x0], [y1, y0]) = (across.to_be_bytes(), down.to_be_bytes());
    [b'J', b'F', b'I', b'F', 0, 1, 1, unit, x1, x0, y1, y0, 0, 0]
}

/// Name, version, density and the sides of a thumbnail.
pub const JFIF_LENGTH: usize = 14;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_density_is_read_as_it_is_written() {
        for unit in [Unit::Inch, Unit::Centimetre] {
            let density = Some(Density {
                unit,
                across: 300,
                down: 299,
            });
            assert_eq!(Density::read(&jfif(density)), density);
        }
        assert_eq!(Density::read(&jfif(None)), None);
        assert_eq!(Density::read(b"JFIF\0\x01\x01\x01\0\0\0\x48\0\0"), None);
    }
}
