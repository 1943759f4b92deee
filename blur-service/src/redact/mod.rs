//! Makes a region unrecognisable. Whatever is shown inside it is a function of its [`Cells`] alone.

mod canvas;
mod cells;
mod gaussian;
mod mosaic;
mod noise;
mod place;
mod region;
mod rim;
mod separable;
mod smooth;
mod solid;

use std::fmt;

use clap::ValueEnum;
use serde::Serialize;

use crate::geometry::Size;

pub use canvas::{Canvas, Sample, Steps};
pub use cells::{Cells, Means, Tone};
pub use noise::{Noise, NoiseKey};
pub use place::{Area, Blocks, Place};
pub use region::{MARGINS, Region, Spot, regions};

/// A look for hidden faces. It sees the cells of one channel, and what all see beside them, and never a pixel.
pub trait Effect: Sync {
    /// Fills `patch`, row by row, from `cells`.
    fn paint(&self, cells: &Cells, extent: Extent, patch: &mut [u8]);
}

/// How large a patch is, in samples.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    pub size: Size,
    /// Width and height of a block in it.
    pub block: (f32, f32),
}

/// The looks there are. All of them hide equally much, but for `solid`, which shows nothing at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Look {
    Smooth,
    Mosaic,
    Gaussian,
    Solid,
}

/// Where in a hidden region a soft look shows its cells; the rest of it is what stands around. The region itself stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// All over, fading towards the sides
    #[default]
    Box,
    /// In a feathered ellipse that touches the sides
    Ellipse,
}

impl Look {
    pub fn effect(self) -> &'static dyn Effect {
        self.shaped(Shape::default())
    }

    /// In this shape, if it is a look that has one.
    pub fn shaped(self, shape: Shape) -> &'static dyn Effect {
        match (self, shape) {
            (Self::Smooth, Shape::Box) => &smooth::Smooth(Shape::Box),
            (Self::Smooth, Shape::Ellipse) => &smooth::Smooth(Shape::Ellipse),
            (Self::Gaussian, Shape::Box) => &gaussian::Gaussian(Shape::Box),
            (Self::Gaussian, Shape::Ellipse) => &gaussian::Gaussian(Shape::Ellipse),
            (Self::Mosaic, _) => &mosaic::Mosaic,
            (Self::Solid, _) => &solid::Solid,
        }
    }

    /// Whether choosing `self` where `other` is set shows more of a face.
    pub fn is_weaker_than(self, other: Self) -> bool {
        other == Self::Solid && self != Self::Solid
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Box => "box",
            Self::Ellipse => "ellipse",
        })
    }
}

impl fmt::Display for Look {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Smooth => "smooth",
            Self::Mosaic => "mosaic",
            Self::Gaussian => "gaussian",
            Self::Solid => "solid",
        })
    }
}
