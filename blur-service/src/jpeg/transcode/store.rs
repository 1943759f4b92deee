//! The coefficients of every block of a picture, which scan after scan completes.

use crate::jpeg::{entropy::coding::Coefficients, syntax::frame::Frame};

pub struct Store {
    planes: Vec<Plane>,
}

/// The blocks of one component, row by row, those included that only fill up the last units.
struct Plane {
    width: usize,
    blocks: Vec<Coefficients>,
}

impl Store {
    pub fn new(frame: &Frame) -> Self {
        let units = frame.units();
        let plane = |component: usize| {
            let (horizontal, vertical) = frame.factors(component);
            let width = (units.width * horizontal) as usize;
            Plane {
                width,
                blocks: vec![[0; 64]; width * (units.height * vertical) as usize],
            }
        };
        Self {
            planes: (0..frame.components.len()).map(plane).collect(),
        }
    }

    pub fn block(&self, component: usize, x: u32, y: u32) -> &Coefficients {
        let plane = &self.planes[component];
        &plane.blocks[y as usize * plane.width + x as usize]
    }

    pub fn block_mut(&mut self, component: usize, x: u32, y: u32) -> &mut Coefficients {
        let plane = &mut self.planes[component];
        &mut plane.blocks[y as usize * plane.width + x as usize]
    }
}
