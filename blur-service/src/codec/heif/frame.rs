//! What decoders give of an item, whichever they are.

use std::ops::Deref;

use super::numbers::Numbers;
use crate::{
    codec::{Items, header::broken},
    error::Error,
    geometry::Size,
};

/// Decodes one coded picture after the other.
pub trait Coder {
    /// An item's picture, which is as large as `told`, or damaged. `go_on` is asked now and then where that may take long.
    fn frame(&mut self, items: &Items, item: u32, told: Size, go_on: &dyn Fn() -> bool) -> Result<Frame, Error>;
}

/// A decoded picture: brightness, and two differences of colour where there are some.
pub struct Frame {
    pub size: Size,
    /// Of a sample. Those of more than eight take two bytes, in the machine's order.
    pub bits: usize,
    /// Whether the colours have half as many columns, and rows.
    pub is_halved: (bool, bool),
    /// As the coded data say.
    pub numbers: Numbers,
    pub planes: Vec<Samples>,
}

/// A plane, a row every `stride` bytes.
pub struct Samples {
    pub data: Box<dyn Deref<Target = [u8]>>,
    pub stride: usize,
}

pub fn unclear() -> Error {
    broken("its boxes do not tell where its picture is")
}

pub fn damaged() -> Error {
    broken("its coded data is damaged, or breaks off")
}

pub const UNUSUAL: Error =
    Error::UnsupportedFormat("HEIC or AVIF of this kind is not supported: send it as JPEG, PNG or WebP");
