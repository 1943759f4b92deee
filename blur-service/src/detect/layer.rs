//! tract's extension point: a network as an operator of a typed model.

use std::sync::Arc;

use tract_onnx::tract_core::internal::*;

use super::kernel::{Flow, LANES, LINE, Picture};

/// Takes the picture, `[height, width, 3] u8`, of any height and width, and makes the network's outputs, each
/// `[height', 1, width' + 2, 16] f32`, for the least canvas whose sides are multiples of [`MULTIPLE`] that holds the picture.
#[derive(Clone, Debug)]
pub struct Layer(pub Arc<Flow>);

impl PartialEq for Layer {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Layer {}

impl Op for Layer {
    fn name(&self) -> StaticName {
        "Flow".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Layer {
    op_out_of_plan!();

    fn eval(&self, _ctx: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let picture = picture(&inputs[0])?;
        let shapes = self.0.output_shapes(picture.canvas);
        let outputs = shapes.iter().map(|shape| {
            let dims = [shape.height, shape.blocks(), shape.pitch(), LANES];
            Tensor::zero_aligned::<f32>(&dims, LINE)
        });
        let mut outputs = outputs.collect::<TractResult<TVec<_>>>()?;
        let views = outputs.iter_mut().map(Tensor::try_as_plain_ram_mut);
        let mut views = views.collect::<TractResult<Vec<_>>>()?;
        let values = views.iter_mut().map(|view| view.as_slice_mut::<f32>());
        self.0.run(picture, values.collect::<TractResult<_>>()?);
        Ok(outputs.into_iter().map(IntoTValue::into_tvalue).collect())
    }
}

impl TypedOp for Layer {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let [height, width] = [0, 1].map(|axis| inputs[0].shape[axis].clone().divceil(MULTIPLE));
        // What so many pixels become follows from the least canvas.
        let least = self.0.output_shapes([MULTIPLE; 2]).into_iter();
        let facts = least.map(|of| {
            let (height, width) = (height.clone() * of.height, width.clone() * of.width + 2);
            f32::fact([height, of.blocks().to_dim(), width, LANES.to_dim()])
        });
        Ok(facts.collect())
    }

    as_op!();
}

fn picture(tensor: &Tensor) -> TractResult<Picture<'_>> {
    let &[height, width, 3] = tensor.shape() else {
        bail!("a picture of shape {:?}", tensor.shape())
    };
    Ok(Picture {
        width,
        bytes: tensor.try_as_plain_ram()?.as_slice::<u8>()?,
        canvas: [height, width].map(|side| side.next_multiple_of(MULTIPLE)),
    })
}

/// Five times a network halves what it sees.
const MULTIPLE: usize = 32;
