//! From an ONNX graph to a tract model of our own layers: channels last, convolutions fused into blocks, any input size.
//!
//! Knows what the detectors are made of (convolutions of 1 × 1 and 3 × 3, ReLU, sums, pooling by two, doubling by two)
//! and refuses the rest: a model it does not understand is an error at start-up, never a wrong box.

use std::{array, collections::HashMap, sync::Arc};

use anyhow::{Context, bail, ensure};
use tract_onnx::{
    pb::{GraphProto, NodeProto},
    prelude::*,
    tract_core::internal::ToDim,
};

use super::{
    graph::{Convolution, Graph, Kind, attribute, first_of},
    kernel::{Bilinear, Block, Dense, Depthwise, Kernel, LANES, MaxPool, Nearest, Pointwise, Transposed},
    layer::Layer,
};

/// A model from one input `[H, W, 3]`, sides multiples of 32, to `outputs`, each `[H', W', channels]`; the channels are
/// rounded up to eights with zeros.
pub fn compile(graph: &GraphProto, outputs: &[&str]) -> TractResult<TypedModel> {
    let mut model = TypedModel::default();
    let [height, width] = ["H", "W"].map(|side| model.symbols.sym(side).to_dim());
    let outlet = model.add_source("input", f32::fact([height, width, 3.to_dim()]))?;
    let graph = Graph::new(graph)?;
    let maps = HashMap::from([(graph.input().to_owned(), Made { outlet, channels: 3 })]);
    let mut compiler = Compiler {
        graph: &graph,
        maps,
        model,
    };
    let outputs = outputs
        .iter()
        .map(|output| Ok(compiler.map(output)?.outlet))
        .collect::<TractResult<Vec<_>>>()?;
    compiler.model.select_output_outlets(&outputs)?;
    Ok(compiler.model)
}

struct Compiler<'a> {
    graph: &'a Graph<'a>,
    /// By the name of the ONNX value.
    maps: HashMap<String, Made>,
    model: TypedModel,
}

/// A map of the new model. `channels` counts those of the old one.
#[derive(Clone, Copy)]
struct Made {
    outlet: OutletId,
    channels: usize,
}

impl<'a> Compiler<'a> {
    fn map(&mut self, name: &str) -> TractResult<Made> {
        if let Some(map) = self.maps.get(name) {
            return Ok(*map);
        }
        let map = self.make(name).with_context(|| format!("value {name}"))?;
        self.maps.insert(name.to_owned(), map);
        Ok(map)
    }

    fn make(&mut self, name: &str) -> TractResult<Made> {
        if let Some(convolution) = self.graph.convolution(name)? {
            return self.convolve(name, convolution, None);
        }
        let node = self.graph.producer(name)?;
        match node.op_type.as_str() {
            "Relu" => self.add(name, self.graph.producer(&node.input[0])?, true),
            "Add" => self.add(name, node, false),
            "MaxPool" => self.pool(name, node),
            "Pad" => self.pad(node),
            other => bail!("{other} is not among the operators that detectors are made of"),
        }
    }

    fn add(&mut self, name: &str, node: &'a NodeProto, relu: bool) -> TractResult<Made> {
        ensure!(node.op_type == "Add", "{} where a sum was expected", node.op_type);
        for [one, other] in [[0, 1], [1, 0]].map(|order| order.map(|index| node.input[index].as_str())) {
            let producer = self.graph.producer(one)?;
            if producer.op_type == "Conv" && self.graph.is_used_once(one) {
                let mut convolution = self.graph.convolution(one)?.context("not a convolution")?;
                convolution.relu = relu;
                return self.convolve(name, convolution, Some(other));
            }
            if producer.op_type == "Resize" && !relu {
                return self.double(name, producer, other);
            }
            if producer.op_type == "Relu"
                && !relu
                && self.graph.producer(&producer.input[0])?.op_type == "BatchNormalization"
            {
                return self.transpose(name, self.graph.producer(&producer.input[0])?, other);
            }
        }
        bail!("a sum of neither a convolution nor a doubled map")
    }

    /// One layer for `last` and what leads only to it, with `added` summed up before its ReLU.
    fn convolve(&mut self, name: &str, last: Convolution<'a>, added: Option<&str>) -> TractResult<Made> {
        let outputs = last.bias.len();
        if last.kind == Kind::Dense {
            ensure!(added.is_none(), "a sum with a dense convolution");
            let map = self.map(last.input)?;
            ensure!(
                map.channels == last.inputs,
                "{} channels for {}",
                map.channels,
                last.inputs
            );
            let matrix = dense(&last, stored(map.channels));
            return self.wire(
                name,
                Dense {
                    scale: last.scale,
                    before: last.before,
                    matrix,
                },
                &[map],
                outputs,
            );
        }
        let (depthwise, project) = if last.kind == Kind::Depthwise {
            ensure!(added.is_none(), "a sum with a depthwise convolution");
            (Some(last), None)
        } else {
            (self.leading_only_to(last.input, Kind::Depthwise)?, Some(last))
        };
        let expand = match &depthwise {
            Some(depthwise) => self.leading_only_to(depthwise.input, Kind::Pointwise)?,
            None => None,
        };
        // One that follows a depthwise convolution belongs to the block of that.
        let expand = match expand {
            Some(expand) if self.leading_only_to(expand.input, Kind::Depthwise)?.is_some() => None,
            expand => expand,
        };
        let first = [&expand, &depthwise, &project].into_iter().flatten().next();
        let first = first.context("a block of nothing")?;
        let map = self.map(first.input)?;
        let seen = if first.kind == Kind::Depthwise {
            first.bias.len()
        } else {
            first.inputs
        };
        ensure!(map.channels == seen, "{} channels for {seen}", map.channels);
        let mut inputs = vec![map];
        if let Some(added) = added {
            inputs.push(self.map(added)?);
            ensure!(inputs[1].channels <= outputs, "more channels added than there are");
        }
        let block = Block {
            expand: expand.as_ref().map(pointwise),
            depthwise: depthwise.as_ref().map(channelwise),
            project: project.as_ref().map(pointwise),
        };
        self.wire(name, block, &inputs, outputs)
    }

    fn leading_only_to(&self, name: &str, kind: Kind) -> TractResult<Option<Convolution<'a>>> {
        let convolution = if self.graph.is_used_once(name) {
            self.graph.convolution(name)?
        } else {
            None
        };
        Ok(convolution.filter(|convolution| convolution.kind == kind))
    }

    fn pool(&mut self, name: &str, node: &NodeProto) -> TractResult<Made> {
        ensure!(
            first_of(node, "kernel_shape") == Some(2) && first_of(node, "strides") == Some(2),
            "pooling not by two"
        );
        let map = self.map(&node.input[0])?;
        self.wire(
            name,
            MaxPool {
                channels: stored(map.channels),
            },
            &[map],
            map.channels,
        )
    }

    /// Channels of zeros, there only for a sum, need not exist.
    fn pad(&mut self, node: &NodeProto) -> TractResult<Made> {
        let pads = self.graph.integers(&node.input[1])?;
        ensure!(
            pads.iter().enumerate().all(|(place, pad)| place == 5 || *pad == 0),
            "padding {pads:?}, not of channels"
        );
        self.map(&node.input[0])
    }

    fn double(&mut self, name: &str, resize: &NodeProto, other: &str) -> TractResult<Made> {
        let is = |name, value: &[u8]| attribute(resize, name).is_some_and(|attribute| attribute.s == value);
        let bilinear = is("mode", b"linear") && is("coordinate_transformation_mode", b"half_pixel");
        let nearest = is("mode", b"nearest")
            && is("coordinate_transformation_mode", b"asymmetric")
            && is("nearest_mode", b"floor");
        ensure!(bilinear || nearest, "resized in another way");
        ensure!(
            self.graph.floats(&resize.input[2])? == [1.0, 1.0, 2.0, 2.0],
            "resized not by two"
        );
        let (small, large) = (self.map(&resize.input[0])?, self.map(other)?);
        ensure!(
            small.channels == large.channels,
            "a sum of {} and {} channels",
            small.channels,
            large.channels
        );
        let channels = stored(large.channels);
        let inputs = [small, large];
        if nearest {
            self.wire(name, Nearest { channels }, &inputs, large.channels)
        } else {
            self.wire(name, Bilinear { channels }, &inputs, large.channels)
        }
    }

    fn transpose(&mut self, name: &str, norm: &NodeProto, other: &str) -> TractResult<Made> {
        let transposed = self.graph.producer(&norm.input[0])?;
        ensure!(
            transposed.op_type == "ConvTranspose" && transposed.input.len() == 2,
            "{}",
            transposed.op_type
        );
        ensure!(first_of(transposed, "kernel_shape") == Some(2) && first_of(transposed, "strides") == Some(2));
        let (small, large) = (self.map(&transposed.input[0])?, self.map(other)?);
        let weights = self.graph.floats(&transposed.input[1])?;
        let (inputs, outputs) = (small.channels, large.channels);
        ensure!(
            weights.len() == inputs * outputs * 4,
            "a transposed convolution not of two by two"
        );
        let epsilon = attribute(norm, "epsilon").map_or(1e-5, |attribute| attribute.f);
        let norm = norm.input[1..]
            .iter()
            .map(|name| self.graph.floats(name))
            .collect::<TractResult<Vec<_>>>()?;
        let [gain, bias, mean, variance] = &norm[..] else {
            bail!("a normalisation of {} inputs", norm.len())
        };
        let factor = |output: usize| gain[output] / (variance[output] + epsilon).sqrt();
        let mut shift: Vec<f32> = (0..outputs)
            .map(|output| bias[output] - mean[output] * factor(output))
            .collect();
        shift.resize(stored(outputs), 0.0);
        let corners = array::from_fn(|corner| {
            let weight = |output: usize, input: usize| {
                let there = output < outputs && input < inputs;
                if there {
                    weights[(input * outputs + output) * 4 + corner] * factor(output)
                } else {
                    0.0
                }
            };
            Pointwise::new(stored(inputs), weight, shift.clone(), true)
        });
        self.wire(name, Transposed { corners }, &[small, large], outputs)
    }

    fn wire(
        &mut self,
        name: &str,
        kernel: impl Kernel + 'static,
        inputs: &[Made],
        channels: usize,
    ) -> TractResult<Made> {
        let inputs: TVec<OutletId> = inputs.iter().map(|input| input.outlet).collect();
        let outlet = self.model.wire_node(name, Layer(Arc::new(kernel)), &inputs)?[0];
        Ok(Made { outlet, channels })
    }
}

fn pointwise(convolution: &Convolution<'_>) -> Pointwise {
    let weight = |output, input| convolution.weight(output, input, 0);
    Pointwise::new(stored(convolution.inputs), weight, bias(convolution), convolution.relu)
}

fn channelwise(convolution: &Convolution<'_>) -> Depthwise {
    let weight = |channel, tap| convolution.weight(channel, 0, tap);
    Depthwise::new(
        convolution.scale,
        convolution.before,
        weight,
        bias(convolution),
        convolution.relu,
    )
}

/// The window's cells one after the other, each of `channels` inputs.
fn dense(convolution: &Convolution<'_>, channels: usize) -> Pointwise {
    let weight = |output, input| convolution.weight(output, input % channels, input / channels);
    Pointwise::new(9 * channels, weight, bias(convolution), convolution.relu)
}

fn bias(convolution: &Convolution<'_>) -> Vec<f32> {
    let mut bias = convolution.bias.clone();
    bias.resize(stored(bias.len()), 0.0);
    bias
}

/// Channels a map has in the new model: whole vectors, but for the picture's three.
fn stored(channels: usize) -> usize {
    if channels == 3 {
        3
    } else {
        channels.next_multiple_of(LANES)
    }
}
