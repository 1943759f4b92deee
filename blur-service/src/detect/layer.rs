//! tract's extension point: a kernel as an operator of a typed model.

use std::sync::Arc;

use tract_onnx::tract_core::internal::*;

use super::kernel::{Kernel, Map, Shape};

/// Inputs and output are `[height, width, channels] f32`, of any height and width.
#[derive(Clone, Debug)]
pub struct Layer(pub Arc<dyn Kernel>);

impl PartialEq for Layer {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Layer {}

impl Op for Layer {
    fn name(&self) -> StaticName {
        self.0.name().into()
    }

    op_as_typed_op!();
}

impl EvalOp for Layer {
    op_out_of_plan!();

    fn eval(&self, _ctx: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let maps = inputs
            .iter()
            .map(|input| map(input))
            .collect::<TractResult<TVec<_>>>()?;
        let Shape { height, width, .. } = maps[0].shape;
        let scale = self.0.scale();
        let mut out = Tensor::zero::<f32>(&[scale.apply(height), scale.apply(width), self.0.channels()])?;
        self.0.run(&maps, out.try_as_plain_ram_mut()?.as_slice_mut::<f32>()?);
        Ok(tvec!(out.into_tvalue()))
    }
}

impl TypedOp for Layer {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let scale = self.0.scale();
        let side = |axis: usize| match &inputs[0].shape[axis] {
            side if scale.apply(2) > 2 => side.clone() * 2,
            side if scale.apply(2) < 2 => side.divceil(2),
            side => side.clone(),
        };
        Ok(tvec!(f32::fact([side(0), side(1), self.0.channels().to_dim()])))
    }

    as_op!();
}

fn map(tensor: &Tensor) -> TractResult<Map<'_>> {
    let &[height, width, channels] = tensor.shape() else {
        bail!("a map of shape {:?}", tensor.shape())
    };
    Ok(Map::new(
        Shape {
            height,
            width,
            channels,
        },
        tensor.try_as_plain_ram()?.as_slice::<f32>()?,
    ))
}
