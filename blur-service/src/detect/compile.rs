//! From an ONNX graph to a tract model of one operator of ours: a flow of steps, for any input size.
//!
//! Knows what the detectors are made of (convolutions of 1 × 1 and 3 × 3, ReLU, sums, pooling by two, doubling by two) and
//! refuses the rest: a model it does not understand is an error at start-up, never a wrong box.

use std::{array, collections::HashMap, sync::Arc};

use anyhow::{Context, bail, ensure};
use fearless_simd::Level;
use tract_onnx::{
    pb::{GraphProto, NodeProto},
    prelude::*,
    tract_core::internal::ToDim,
};

use super::{
    graph::{Convolution, Graph, Kind, attribute, first_of},
    kernel::{self, Bilinear, Depthwise, Flow, Matrix, MaxPool, Nearest, Node, Scale, Stem, Step, Transposed},
    layer::Layer,
};

/// How a network wants to see a picture: in which order a pixel's colours, and each of them times `scale` plus `shift`.
#[derive(Clone, Copy)]
pub struct Colours {
    pub order: [usize; 3],
    pub scale: f32,
    pub shift: f32,
}

/// A model from `[H, W, 3] u8`, RGB, to `outputs`, each `[H', blocks, W' + 2, 16] f32` of the named values side by side,
/// computed with the vectors of `level`.
pub fn compile(graph: &GraphProto, colours: Colours, outputs: &[&[&str]], level: Level) -> TractResult<TypedModel> {
    let flow = flow(graph, colours, outputs, level)?;
    let mut model = TypedModel::default();
    let [height, width] = ["H", "W"].map(|side| model.symbols.sym(side).to_dim());
    let picture = model.add_source("input", u8::fact([height, width, 3.to_dim()]))?;
    let outlets = model.wire_node("network", Layer(Arc::new(flow)), &[picture])?;
    model.select_output_outlets(&outlets)?;
    Ok(model)
}

fn flow(graph: &GraphProto, colours: Colours, outputs: &[&[&str]], level: Level) -> TractResult<Flow> {
    let graph = Graph::new(graph, &outputs.concat())?;
    let mut compiler = Compiler {
        graph: &graph,
        colours,
        level,
        maps: HashMap::new(),
        stem: None,
        nodes: Vec::new(),
    };
    let outputs = outputs.iter().map(|names| compiler.beside(names));
    let outputs = outputs.collect::<TractResult<Vec<_>>>()?;
    let stem = compiler.stem.context("nothing looks at the picture")?;
    Ok(Flow::new(stem, compiler.nodes, outputs))
}

struct Compiler<'a> {
    graph: &'a Graph<'a>,
    colours: Colours,
    level: Level,
    /// By the name of the ONNX value: which map of the flow.
    maps: HashMap<String, usize>,
    stem: Option<Stem>,
    nodes: Vec<Node>,
}

impl<'a> Compiler<'a> {
    fn map(&mut self, name: &str) -> TractResult<usize> {
        if let Some(map) = self.maps.get(name) {
            return Ok(*map);
        }
        let map = self.unnamed(name).with_context(|| format!("value {name}"))?;
        self.maps.insert(name.to_owned(), map);
        Ok(map)
    }

    fn unnamed(&mut self, name: &str) -> TractResult<usize> {
        if let Some(convolution) = self.graph.convolution(name)? {
            return self.convolve(&convolution, None);
        }
        let node = self.graph.producer(name)?;
        match node.op_type.as_str() {
            "Relu" => self.add(self.graph.producer(&node.input[0])?, true),
            "Add" => self.add(node, false),
            "MaxPool" => self.pool(node),
            "Pad" => self.pad(node),
            other => bail!("{other} is not among the operators that detectors are made of"),
        }
    }

    /// Several values of the same kind, made side by side.
    fn beside(&mut self, names: &[&str]) -> TractResult<usize> {
        if let [name] = names {
            return self.map(name);
        }
        let convolutions = names
            .iter()
            .map(|name| self.graph.convolution(name)?.context("not a convolution"))
            .collect::<TractResult<Vec<_>>>()?;
        let inputs: Vec<&str> = convolutions.iter().map(|convolution| convolution.input).collect();
        let all = convolutions[1..]
            .iter()
            .try_fold(convolutions[0].clone(), Convolution::beside)?;
        let input = if all.kind == Kind::Depthwise {
            self.beside(&inputs)?
        } else {
            ensure!(
                inputs.iter().all(|input| *input == inputs[0]),
                "side by side of {inputs:?}"
            );
            self.map(inputs[0])?
        };
        self.convolved(input, &all, None)
    }

    fn add(&mut self, node: &'a NodeProto, relu: bool) -> TractResult<usize> {
        ensure!(node.op_type == "Add", "{} where a sum was expected", node.op_type);
        for [one, other] in [[0, 1], [1, 0]].map(|order| order.map(|index| node.input[index].as_str())) {
            let producer = self.graph.producer(one)?;
            if producer.op_type == "Conv" && self.graph.is_used_once(one) {
                let mut convolution = self.graph.convolution(one)?.context("not a convolution")?;
                convolution.relu = relu;
                return self.convolve(&convolution, Some(other));
            }
            if producer.op_type == "Resize" && !relu {
                return self.double(producer, other);
            }
            if producer.op_type == "Relu"
                && !relu
                && self.graph.producer(&producer.input[0])?.op_type == "BatchNormalization"
            {
                return self.transpose(self.graph.producer(&producer.input[0])?, other);
            }
        }
        bail!("a sum of neither a convolution nor a doubled map")
    }

    fn convolve(&mut self, convolution: &Convolution<'a>, added: Option<&str>) -> TractResult<usize> {
        if convolution.input == self.graph.input() {
            ensure!(added.is_none(), "a sum with what looks at the picture");
            return self.stem(convolution);
        }
        let input = self.map(convolution.input)?;
        self.convolved(input, convolution, added)
    }

    /// `convolution` of a map, with `added` summed up before its ReLU.
    fn convolved(&mut self, input: usize, convolution: &Convolution<'_>, added: Option<&str>) -> TractResult<usize> {
        let seen = if convolution.kind == Kind::Depthwise {
            convolution.bias.len()
        } else {
            convolution.inputs
        };
        let channels = self.channels(input);
        ensure!(channels == seen, "{channels} channels for {seen}");
        let Convolution { scale, before, .. } = *convolution;
        if convolution.kind == Kind::Depthwise {
            ensure!(added.is_none(), "a sum with a depthwise convolution");
            let weight = |channel, tap| convolution.weight(channel, 0, tap);
            let step = Depthwise::new(self.level, scale, before, weight, &convolution.bias, convolution.relu);
            return Ok(self.then(step, input, None));
        }
        let side = convolution.side();
        ensure!(
            scale == Scale::Same && before == side / 2,
            "a stride or padding that only depthwise convolutions may have"
        );
        let step = kernel::Convolution {
            side,
            inputs: convolution.inputs,
            matrix: matrix(self.level, convolution),
        };
        let added = added.map(|added| self.map(added)).transpose()?;
        ensure!(
            added.is_none_or(|added| self.channels(added) <= step.channels()),
            "more channels added than there are"
        );
        Ok(self.then(step, input, added))
    }

    /// Map 0.
    fn stem(&mut self, convolution: &Convolution<'_>) -> TractResult<usize> {
        ensure!(
            convolution.kind == Kind::Dense && convolution.inputs == 3 && convolution.scale == Scale::Half,
            "a picture is looked at by three times three pixels, two pixels apart"
        );
        ensure!(self.stem.is_none(), "two that look at the picture");
        let Colours { order, scale, shift } = self.colours;
        let weight = |output: usize, seen: usize| {
            let place = order.iter().position(|colour| *colour == seen % 3).unwrap_or(seen % 3);
            convolution.weight(output, place, seen / 3)
        };
        self.stem = Some(Stem {
            scale,
            shift,
            before: convolution.before,
            matrix: Matrix::new(self.level, 27, weight, &convolution.bias, convolution.relu),
        });
        Ok(0)
    }

    fn pool(&mut self, node: &NodeProto) -> TractResult<usize> {
        ensure!(
            first_of(node, "kernel_shape") == Some(2) && first_of(node, "strides") == Some(2),
            "pooling not by two"
        );
        let input = self.map(&node.input[0])?;
        let (level, channels) = (self.level, self.channels(input));
        Ok(self.then(MaxPool { level, channels }, input, None))
    }

    /// Channels of zeros, there only for a sum, need not exist.
    fn pad(&mut self, node: &NodeProto) -> TractResult<usize> {
        let pads = self.graph.integers(&node.input[1])?;
        ensure!(
            pads.iter().enumerate().all(|(place, pad)| place == 5 || *pad == 0),
            "padding {pads:?}, not of channels"
        );
        self.map(&node.input[0])
    }

    fn double(&mut self, resize: &NodeProto, other: &str) -> TractResult<usize> {
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
        let (level, few, channels) = (self.level, self.channels(small), self.channels(large));
        ensure!(few == channels, "a sum of {few} and {channels} channels");
        Ok(if nearest {
            self.then(Nearest { level, channels }, small, Some(large))
        } else {
            self.then(Bilinear { level, channels }, small, Some(large))
        })
    }

    fn transpose(&mut self, norm: &NodeProto, other: &str) -> TractResult<usize> {
        let transposed = self.graph.producer(&norm.input[0])?;
        ensure!(
            transposed.op_type == "ConvTranspose" && transposed.input.len() == 2,
            "{}",
            transposed.op_type
        );
        ensure!(first_of(transposed, "kernel_shape") == Some(2) && first_of(transposed, "strides") == Some(2));
        let (small, large) = (self.map(&transposed.input[0])?, self.map(other)?);
        let weights = self.graph.floats(&transposed.input[1])?;
        let (inputs, outputs) = (self.channels(small), self.channels(large));
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
        let shift: Vec<f32> = (0..outputs)
            .map(|output| bias[output] - mean[output] * factor(output))
            .collect();
        let corners = array::from_fn(|corner| {
            let weight = |output, input| weights[(input * outputs + output) * 4 + corner] * factor(output);
            Matrix::new(self.level, inputs, weight, &shift, true)
        });
        Ok(self.then(Transposed { inputs, corners }, small, Some(large)))
    }

    fn then(&mut self, step: impl Step + 'static, input: usize, added: Option<usize>) -> usize {
        let step = Box::new(step);
        self.nodes.push(Node { step, input, added });
        self.nodes.len()
    }

    fn channels(&self, map: usize) -> usize {
        let stem = self.stem.as_ref().map_or(0, |stem| stem.matrix.outputs());
        map.checked_sub(1).map_or(stem, |node| self.nodes[node].step.channels())
    }
}

/// The window's cells one after the other, each of all inputs.
fn matrix(level: Level, convolution: &Convolution<'_>) -> Matrix {
    let inputs = convolution.inputs;
    let weight = |output, seen| convolution.weight(output, seen % inputs, seen / inputs);
    let seen = convolution.side() * convolution.side() * inputs;
    Matrix::new(level, seen, weight, &convolution.bias, convolution.relu)
}
