//! tract's extension point: a chain of steps as an operator of a typed model.

use std::sync::Arc;

use tract_onnx::tract_core::internal::*;

use super::kernel::{Chain, LANES, LINE, Map, Picture, Scale, Shape, Source};

/// Takes the picture, `[height, width, 3] u8`, or maps, `[height, blocks, width + 2, 16] f32`, and makes one map; all of any
/// height and width.
#[derive(Clone, Debug)]
pub struct Layer(pub Arc<Chain>);

impl PartialEq for Layer {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Layer {}

impl Op for Layer {
    fn name(&self) -> StaticName {
        "Chain".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Layer {
    op_out_of_plan!();

    fn eval(&self, _ctx: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let beside = inputs[1..]
            .iter()
            .map(|input| map(input))
            .collect::<TractResult<TVec<_>>>()?;
        let source = if self.0.stem.is_some() {
            Source::Picture(picture(&inputs[0])?)
        } else {
            Source::Map(map(&inputs[0])?)
        };
        let shape = self.0.shape(source);
        let dims = [shape.height, shape.blocks(), shape.pitch(), LANES];
        let mut out = Tensor::zero_aligned::<f32>(&dims, LINE)?;
        self.0
            .run(source, &beside, out.try_as_plain_ram_mut()?.as_slice_mut::<f32>()?);
        Ok(tvec!(out.into_tvalue()))
    }
}

impl TypedOp for Layer {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let shape = &inputs[0].shape;
        let (mut height, mut width) = if self.0.stem.is_some() {
            (shape[0].divceil(2), shape[1].divceil(2))
        } else {
            (shape[0].clone(), shape[2].clone() - 2)
        };
        for link in &self.0.links {
            (height, width) = match link.step.scale() {
                Scale::Same => (height, width),
                Scale::Half => (height.divceil(2), width.divceil(2)),
                Scale::Double => (height * 2, width * 2),
            };
        }
        let blocks = self.0.channels().div_ceil(LANES);
        Ok(tvec!(f32::fact([height, blocks.to_dim(), width + 2, LANES.to_dim()])))
    }

    as_op!();
}

fn picture(tensor: &Tensor) -> TractResult<Picture<'_>> {
    let &[height, width, 3] = tensor.shape() else {
        bail!("a picture of shape {:?}", tensor.shape())
    };
    Ok(Picture {
        height,
        width,
        bytes: tensor.try_as_plain_ram()?.as_slice::<u8>()?,
    })
}

fn map(tensor: &Tensor) -> TractResult<Map<'_>> {
    let &[height, blocks, pitch, LANES] = tensor.shape() else {
        bail!("a map of shape {:?}", tensor.shape())
    };
    let shape = Shape {
        height,
        width: pitch.saturating_sub(2),
        channels: blocks * LANES,
    };
    Ok(Map::new(shape, tensor.try_as_plain_ram()?.as_slice::<f32>()?))
}
