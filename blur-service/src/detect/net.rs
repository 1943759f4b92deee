//! A network in tract: compiled once, for inputs of any size, and shared by all threads.

use std::sync::Arc;

use anyhow::{Context, bail};
use fearless_simd::Level;
use image::RgbImage;
use tract_onnx::prelude::*;

pub use super::compile::Colours;
use super::{
    DetectError,
    compile::compile,
    kernel::{LANES, Shape},
};

pub struct Net {
    name: &'static str,
    plan: Arc<TypedRunnableModel>,
}

/// What a network says: for each cell of a grid up to sixteen numbers.
pub struct Grid {
    shape: Shape,
    values: TValue,
}

impl Net {
    /// Reads an ONNX model with one input and keeps `outputs` of it, in that order, the values of each side by side.
    pub fn load(
        name: &'static str,
        onnx: &[u8],
        colours: Colours,
        outputs: &[&[&str]],
        level: Level,
    ) -> Result<Self, DetectError> {
        let read = || -> TractResult<Arc<TypedRunnableModel>> {
            let file = tract_onnx::onnx().proto_model_for_read(&mut &onnx[..])?;
            let graph = file.graph.as_ref().context("no graph")?;
            compile(graph, colours, outputs, level)?.into_runnable()
        };
        let plan = read().map_err(|source| DetectError::Model { model: name, source })?;
        Ok(Self { name, plan })
    }

    /// Runs on what is shown, in the upper left corner of the least black canvas whose sides are multiples of 32.
    pub fn run(&self, shown: &RgbImage) -> Result<Vec<Grid>, DetectError> {
        let run = || -> TractResult<Vec<Grid>> {
            let dimensions = [shown.height() as usize, shown.width() as usize, 3];
            let input = Tensor::from_shape(&dimensions, shown.as_raw())?;
            let outputs = self.plan.run(tvec!(input.into_tvalue()))?;
            outputs.into_iter().map(Grid::new).collect()
        };
        run().map_err(|source| DetectError::Model {
            model: self.name,
            source,
        })
    }
}

impl Grid {
    fn new(output: TValue) -> TractResult<Self> {
        let &[height, 1, pitch, LANES] = output.shape() else {
            bail!("an output of shape {:?}", output.shape())
        };
        let shape = Shape {
            height,
            width: pitch.saturating_sub(2),
            channels: LANES,
        };
        numbers(&output)?;
        Ok(Self { shape, values: output })
    }

    pub fn cell(&self, row: usize, column: usize) -> &[f32] {
        &self.values()[row * self.shape.row() + self.shape.place(column, 0)..][..LANES]
    }

    /// Row, column and numbers of each cell.
    pub fn cells(&self) -> impl Iterator<Item = (usize, usize, &[f32])> {
        let rows = self.values().chunks_exact(self.shape.row()).enumerate();
        rows.flat_map(|(row, cells)| {
            let inside = cells.chunks_exact(LANES).skip(1).take(self.shape.width);
            inside.enumerate().map(move |(column, cell)| (row, column, cell))
        })
    }

    fn values(&self) -> &[f32] {
        numbers(&self.values).expect("it was read before")
    }
}

fn numbers(output: &TValue) -> TractResult<&[f32]> {
    output.try_as_plain_ram()?.as_slice::<f32>()
}

pub fn probability(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

pub fn logit(probability: f32) -> f32 {
    (probability / (1.0 - probability)).ln()
}
