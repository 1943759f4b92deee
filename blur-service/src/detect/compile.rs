//! From an ONNX graph to a tract model of our own layers: what leads from one map that several look at to the next becomes
//! one chain of steps, for any input size.
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
    kernel::{self, Bilinear, Chain, Depthwise, Link, Matrix, MaxPool, Nearest, Scale, Stem, Step, Transposed},
    layer::Layer,
};

/// How a network wants to see a picture: in which order a pixel's colours, and each of them times `scale` plus `shift`.
#[derive(Clone, Copy)]
pub struct Colours {
    pub order: [usize; 3],
    pub scale: f32,
    pub shift: f32,
}

/// A model from `[H, W, 3] u8`, RGB, sides multiples of 32, to `outputs`, each `[H', blocks, W' + 2, 16] f32` of the named
/// values side by side, computed with the vectors of `level`.
pub fn compile(graph: &GraphProto, colours: Colours, outputs: &[&[&str]], level: Level) -> TractResult<TypedModel> {
    let mut model = TypedModel::default();
    let [height, width] = ["H", "W"].map(|side| model.symbols.sym(side).to_dim());
    let picture = model.add_source("input", u8::fact([height, width, 3.to_dim()]))?;
    let graph = Graph::new(graph, &outputs.concat())?;
    let mut compiler = Compiler {
        graph: &graph,
        colours,
        level,
        picture,
        maps: HashMap::new(),
        model,
    };
    let outputs = outputs
        .iter()
        .map(|names| {
            let draft = compiler.beside(names)?;
            Ok(compiler.wire(names[0], draft)?.outlet)
        })
        .collect::<TractResult<Vec<_>>>()?;
    compiler.model.select_output_outlets(&outputs)?;
    Ok(compiler.model)
}

struct Compiler<'a> {
    graph: &'a Graph<'a>,
    colours: Colours,
    level: Level,
    picture: OutletId,
    /// By the name of the ONNX value.
    maps: HashMap<String, Made>,
    model: TypedModel,
}

/// A map of the new model.
#[derive(Clone, Copy)]
struct Made {
    outlet: OutletId,
    channels: usize,
}

/// A chain that grows.
struct Draft {
    /// What it begins with, then what it adds on its way.
    inputs: TVec<OutletId>,
    stem: Option<Stem>,
    links: Vec<Link>,
    channels: usize,
}

impl<'a> Compiler<'a> {
    fn map(&mut self, name: &str) -> TractResult<Made> {
        if let Some(map) = self.maps.get(name) {
            return Ok(*map);
        }
        let draft = self.draft(name)?;
        let made = self.wire(name, draft)?;
        self.maps.insert(name.to_owned(), made);
        Ok(made)
    }

    fn wire(&mut self, name: &str, draft: Draft) -> TractResult<Made> {
        let channels = draft.channels;
        if draft.stem.is_none() && draft.links.is_empty() {
            return Ok(Made {
                outlet: draft.inputs[0],
                channels,
            });
        }
        let chain = Chain {
            stem: draft.stem,
            links: draft.links,
        };
        let outlet = self.model.wire_node(name, Layer(Arc::new(chain)), &draft.inputs)?[0];
        Ok(Made { outlet, channels })
    }

    /// What `users` nodes look at together: nothing is made of it in between if these are all that do.
    fn begin(&mut self, name: &str, users: usize) -> TractResult<Draft> {
        if self.graph.uses(name) == users && !self.maps.contains_key(name) {
            return self.draft(name);
        }
        let map = self.map(name)?;
        Ok(Draft {
            inputs: tvec!(map.outlet),
            stem: None,
            links: Vec::new(),
            channels: map.channels,
        })
    }

    fn draft(&mut self, name: &str) -> TractResult<Draft> {
        self.unnamed(name).with_context(|| format!("value {name}"))
    }

    fn unnamed(&mut self, name: &str) -> TractResult<Draft> {
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
    fn beside(&mut self, names: &[&str]) -> TractResult<Draft> {
        if let [name] = names {
            return self.draft(name);
        }
        let convolutions = names
            .iter()
            .map(|name| self.graph.convolution(name)?.context("not a convolution"))
            .collect::<TractResult<Vec<_>>>()?;
        let inputs: Vec<&str> = convolutions.iter().map(|convolution| convolution.input).collect();
        let all = convolutions[1..]
            .iter()
            .try_fold(convolutions[0].clone(), Convolution::beside)?;
        let draft = if all.kind == Kind::Depthwise {
            self.beside(&inputs)?
        } else {
            ensure!(
                inputs.iter().all(|input| *input == inputs[0]),
                "side by side of {inputs:?}"
            );
            self.begin(inputs[0], inputs.len())?
        };
        self.convolved(draft, &all, None)
    }

    fn add(&mut self, node: &'a NodeProto, relu: bool) -> TractResult<Draft> {
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

    fn convolve(&mut self, convolution: &Convolution<'a>, added: Option<&str>) -> TractResult<Draft> {
        if convolution.input == self.graph.input() {
            ensure!(added.is_none(), "a sum with what looks at the picture");
            return self.stem(convolution);
        }
        let draft = self.begin(convolution.input, 1)?;
        self.convolved(draft, convolution, added)
    }

    /// `draft` and then `convolution`, with `added` summed up before its ReLU.
    fn convolved(&mut self, draft: Draft, convolution: &Convolution<'_>, added: Option<&str>) -> TractResult<Draft> {
        let seen = if convolution.kind == Kind::Depthwise {
            convolution.bias.len()
        } else {
            convolution.inputs
        };
        ensure!(draft.channels == seen, "{} channels for {seen}", draft.channels);
        let Convolution { scale, before, .. } = *convolution;
        if convolution.kind == Kind::Depthwise {
            ensure!(added.is_none(), "a sum with a depthwise convolution");
            let weight = |channel, tap| convolution.weight(channel, 0, tap);
            let step = Depthwise::new(self.level, scale, before, weight, &convolution.bias, convolution.relu);
            return Ok(draft.then(step));
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
        let Some(added) = added else {
            return Ok(draft.then(step));
        };
        let added = self.map(added)?;
        ensure!(added.channels <= step.channels(), "more channels added than there are");
        Ok(draft.then_adding(step, added))
    }

    fn stem(&self, convolution: &Convolution<'_>) -> TractResult<Draft> {
        ensure!(
            convolution.kind == Kind::Dense && convolution.inputs == 3 && convolution.scale == Scale::Half,
            "a picture is looked at by three times three pixels, two pixels apart"
        );
        let Colours { order, scale, shift } = self.colours;
        let weight = |output: usize, seen: usize| {
            let place = order.iter().position(|colour| *colour == seen % 3).unwrap_or(seen % 3);
            convolution.weight(output, place, seen / 3)
        };
        let matrix = Matrix::new(self.level, 27, weight, &convolution.bias, convolution.relu);
        Ok(Draft {
            inputs: tvec!(self.picture),
            channels: matrix.outputs(),
            stem: Some(Stem {
                scale,
                shift,
                before: convolution.before,
                matrix,
            }),
            links: Vec::new(),
        })
    }

    fn pool(&mut self, node: &NodeProto) -> TractResult<Draft> {
        ensure!(
            first_of(node, "kernel_shape") == Some(2) && first_of(node, "strides") == Some(2),
            "pooling not by two"
        );
        let draft = self.begin(&node.input[0], 1)?;
        let (level, channels) = (self.level, draft.channels);
        Ok(draft.then(MaxPool { level, channels }))
    }

    /// Channels of zeros, there only for a sum, need not exist.
    fn pad(&mut self, node: &NodeProto) -> TractResult<Draft> {
        let pads = self.graph.integers(&node.input[1])?;
        ensure!(
            pads.iter().enumerate().all(|(place, pad)| place == 5 || *pad == 0),
            "padding {pads:?}, not of channels"
        );
        self.begin(&node.input[0], 1)
    }

    fn double(&mut self, resize: &NodeProto, other: &str) -> TractResult<Draft> {
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
        let (small, large) = (self.begin(&resize.input[0], 1)?, self.map(other)?);
        let (level, channels) = (self.level, large.channels);
        ensure!(
            small.channels == channels,
            "a sum of {} and {channels} channels",
            small.channels
        );
        Ok(if nearest {
            small.then_adding(Nearest { level, channels }, large)
        } else {
            small.then_adding(Bilinear { level, channels }, large)
        })
    }

    fn transpose(&mut self, norm: &NodeProto, other: &str) -> TractResult<Draft> {
        let transposed = self.graph.producer(&norm.input[0])?;
        ensure!(
            transposed.op_type == "ConvTranspose" && transposed.input.len() == 2,
            "{}",
            transposed.op_type
        );
        ensure!(first_of(transposed, "kernel_shape") == Some(2) && first_of(transposed, "strides") == Some(2));
        let (small, large) = (self.begin(&transposed.input[0], 1)?, self.map(other)?);
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
        let shift: Vec<f32> = (0..outputs)
            .map(|output| bias[output] - mean[output] * factor(output))
            .collect();
        let corners = array::from_fn(|corner| {
            let weight = |output, input| weights[(input * outputs + output) * 4 + corner] * factor(output);
            Matrix::new(self.level, inputs, weight, &shift, true)
        });
        Ok(small.then_adding(Transposed { inputs, corners }, large))
    }
}

impl Draft {
    fn then(mut self, step: impl Step + 'static) -> Self {
        self.channels = step.channels();
        self.links.push(Link {
            step: Box::new(step),
            added: None,
        });
        self
    }

    fn then_adding(mut self, step: impl Step + 'static, added: Made) -> Self {
        self.channels = step.channels();
        self.links.push(Link {
            step: Box::new(step),
            added: Some(self.inputs.len() - 1),
        });
        self.inputs.push(added.outlet);
        self
    }
}

/// The window's cells one after the other, each of all inputs.
fn matrix(level: Level, convolution: &Convolution<'_>) -> Matrix {
    let inputs = convolution.inputs;
    let weight = |output, seen| convolution.weight(output, seen % inputs, seen / inputs);
    let seen = convolution.side() * convolution.side() * inputs;
    Matrix::new(level, seen, weight, &convolution.bias, convolution.relu)
}
