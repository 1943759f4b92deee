//! A network in tract: compiled once, for inputs of any size, and shared by all threads.

use std::sync::Arc;

use anyhow::{Context, ensure};
use image::RgbImage;
use tract_onnx::prelude::*;

use super::{DetectError, compile::compile};
use crate::geometry::Size;

pub struct Net {
    name: &'static str,
    plan: Arc<TypedRunnableModel>,
}

/// What a network says: for each cell of a grid some numbers, and zeros that fill them up to eights.
pub struct Grid {
    columns: usize,
    numbers: usize,
    values: Vec<f32>,
}

impl Net {
    /// Reads an ONNX model with one input and keeps `outputs` of it, in that order.
    pub fn load(name: &'static str, onnx: &[u8], outputs: &[&str]) -> Result<Self, DetectError> {
        let read = || -> TractResult<Arc<TypedRunnableModel>> {
            let file = tract_onnx::onnx().proto_model_for_read(&mut &onnx[..])?;
            compile(file.graph.as_ref().context("no graph")?, outputs)?.into_runnable()
        };
        let plan = read().map_err(|source| DetectError::Model { model: name, source })?;
        Ok(Self { name, plan })
    }

    /// Runs on `[height, width, 3] f32`, sides multiples of 32.
    pub fn run(&self, input: Tensor) -> Result<Vec<Grid>, DetectError> {
        let outputs = self.plan.run(tvec!(input.into_tvalue()));
        let grids = outputs.and_then(|outputs| outputs.into_iter().map(Grid::new).collect());
        grids.map_err(|source| DetectError::Model {
            model: self.name,
            source,
        })
    }
}

impl Grid {
    fn new(output: TValue) -> TractResult<Self> {
        ensure!(output.rank() == 3, "an output of shape {:?}", output.shape());
        let (columns, numbers) = (output.shape()[1], output.shape()[2]);
        let values = output
            .into_tensor()
            .into_plain_array::<f32>()?
            .into_raw_vec_and_offset()
            .0;
        Ok(Self {
            columns,
            numbers,
            values,
        })
    }

    pub fn cell(&self, row: usize, column: usize) -> &[f32] {
        &self.values[(row * self.columns + column) * self.numbers..][..self.numbers]
    }

    /// Row, column and numbers of each cell.
    pub fn cells(&self) -> impl Iterator<Item = (usize, usize, &[f32])> {
        let cells = self.values.chunks_exact(self.numbers).enumerate();
        cells.map(|(index, cell)| (index / self.columns, index % self.columns, cell))
    }
}

/// The least input that holds what is shown.
pub fn canvas(shown: Size) -> Size {
    Size::new(shown.width.next_multiple_of(32), shown.height.next_multiple_of(32))
}

/// In which order a network wants a pixel's colours.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Rgb,
    Bgr,
}

/// `[canvas.height, canvas.width, 3] f32`: `pixels` in the upper left corner, each value times `scale` plus `shift`, and
/// black around them.
pub fn input(pixels: &RgbImage, canvas: Size, order: Order, scale: f32, shift: f32) -> Tensor {
    let (width, height) = (canvas.width as usize, canvas.height as usize);
    let mut values = vec![shift; height * width * 3];
    let shown = pixels.as_raw().chunks_exact(pixels.width() as usize * 3);
    for (row, shown) in values.chunks_exact_mut(width * 3).zip(shown) {
        for (value, shown) in row.iter_mut().zip(shown) {
            *value = f32::from(*shown) * scale + shift;
        }
        if order == Order::Bgr {
            row.chunks_exact_mut(3).for_each(|pixel| pixel.swap(0, 2));
        }
    }
    let values = tract_ndarray::Array3::from_shape_vec((height, width, 3), values);
    values.expect("three values for each pixel of the canvas").into()
}

pub fn probability(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

pub fn logit(probability: f32) -> f32 {
    (probability / (1.0 - probability)).ln()
}
