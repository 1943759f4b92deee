//! A network in tract: read once, then one optimised plan for each input size, shared by all threads.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use image::RgbImage;
use tract_onnx::prelude::*;

use super::DetectError;
use crate::geometry::Size;

type Plan = Arc<TypedRunnableModel>;

pub struct Net {
    name: &'static str,
    model: InferenceModel,
    /// The latest used last. Held while a plan is made, so that threads in need of the same one make it once.
    plans: Mutex<Vec<(Size, Plan)>>,
}

impl Net {
    /// Reads an ONNX model with one input and keeps `outputs` of it, in that order.
    pub fn load(name: &'static str, onnx: &[u8], outputs: &[&str]) -> Result<Self, DetectError> {
        let read = || -> TractResult<InferenceModel> {
            // The shapes a file declares for its outputs are of one input size (CenterFace); the real ones follow from the input.
            let onnx_reader = tract_onnx::onnx()
                .with_ignore_output_shapes(true)
                .with_ignore_value_info(true);
            let mut model = onnx_reader.model_for_read(&mut &onnx[..])?;
            model.select_outputs_by_name(outputs)?;
            model.into_compact()
        };
        let model = read().map_err(|source| DetectError::Model { model: name, source })?;
        Ok(Self {
            name,
            model,
            plans: Mutex::default(),
        })
    }

    /// Makes the plan for one size of input, unless there is one.
    pub fn warm(&self, size: Size) -> Result<(), DetectError> {
        self.plan(size).map(drop).map_err(|source| self.failed(source))
    }

    /// Runs on `[1, 3, height, width] f32` and returns the outputs in the order of `load`.
    pub fn run(&self, input: Tensor) -> Result<TVec<TValue>, DetectError> {
        let infer = || -> TractResult<TVec<TValue>> {
            let &[_, _, height, width] = input.shape() else {
                anyhow::bail!("input shape {:?}", input.shape())
            };
            let plan = self.plan(Size::new(width as u32, height as u32))?;
            plan.run(tvec!(input.into_tvalue()))
        };
        infer().map_err(|source| self.failed(source))
    }

    pub fn failed(&self, source: TractError) -> DetectError {
        DetectError::Model {
            model: self.name,
            source,
        }
    }

    fn plan(&self, size: Size) -> TractResult<Plan> {
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        let (size, plan) = match plans.iter().position(|(made_for, _)| *made_for == size) {
            Some(place) => plans.remove(place),
            None => (
                size,
                self.optimised(size)
                    .with_context(|| format!("for an input of {size:?}"))?,
            ),
        };
        if plans.len() == MOST_PLANS {
            plans.remove(0);
        }
        plans.push((size, plan.clone()));
        Ok(plan)
    }

    fn optimised(&self, size: Size) -> TractResult<Plan> {
        let shape = [1, 3, size.height as usize, size.width as usize];
        self.model
            .clone()
            .with_input_fact(0, f32::fact(shape).into())?
            .into_optimized()?
            .into_runnable()
    }
}

/// `[1, 3, canvas.height, canvas.width] f32`, RGB: `pixels` in the upper left corner, each value times `scale` plus
/// `shift`, and black around them.
pub fn planes(pixels: &RgbImage, canvas: Size, scale: f32, shift: f32) -> Tensor {
    let (width, height) = (canvas.width as usize, canvas.height as usize);
    let mut values = vec![shift; 3 * width * height];
    for (channel, plane) in values.chunks_exact_mut(width * height).enumerate() {
        for (row, pixels) in plane.chunks_exact_mut(width).zip(pixels.rows()) {
            for (value, pixel) in row.iter_mut().zip(pixels) {
                *value = f32::from(pixel.0[channel]) * scale + shift;
            }
        }
    }
    tract_ndarray::Array4::from_shape_vec((1, 3, height, width), values)
        .expect("three planes of width times height values")
        .into()
}

/// 13 to 30 MB each.
const MOST_PLANS: usize = 8;
