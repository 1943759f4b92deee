//! Reading an ONNX graph: who makes a value, who uses it, which numbers are constant, what a convolution is.

use std::collections::HashMap;

use anyhow::{Context, bail, ensure};
use tract_onnx::{
    pb::{GraphProto, NodeProto, TensorProto, tensor_proto::DataType},
    prelude::TractResult,
};

use super::kernel::Scale;

pub struct Graph<'a> {
    constants: HashMap<&'a str, &'a TensorProto>,
    producers: HashMap<&'a str, &'a NodeProto>,
    /// How many of the nodes that lead to an output use a value.
    uses: HashMap<&'a str, usize>,
    input: &'a str,
}

/// A convolution as ONNX has it, with the ReLU that follows.
#[derive(Clone)]
pub struct Convolution<'a> {
    pub input: &'a str,
    pub kind: Kind,
    /// `[outputs, inputs / group, side, side]`.
    weights: Vec<f32>,
    pub bias: Vec<f32>,
    /// Channels each output sees.
    pub inputs: usize,
    pub scale: Scale,
    /// Rows and columns missing before the first window.
    pub before: usize,
    pub relu: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Pointwise,
    /// Three by three, each channel by itself.
    Depthwise,
    /// Three by three over all channels.
    Dense,
}

impl<'a> Graph<'a> {
    /// What of `graph` leads to `outputs`.
    pub fn new(graph: &'a GraphProto, outputs: &[&str]) -> TractResult<Self> {
        let constants: HashMap<_, _> = graph
            .initializer
            .iter()
            .map(|tensor| (tensor.name.as_str(), tensor))
            .collect();
        let mut producers = HashMap::new();
        for node in &graph.node {
            producers.extend(node.output.iter().map(|output| (output.as_str(), node)));
        }
        let uses = uses(&producers, outputs);
        let mut inputs = graph.input.iter().map(|input| input.name.as_str());
        let input = inputs
            .find(|input| !constants.contains_key(input))
            .context("the graph has no input")?;
        Ok(Self {
            constants,
            producers,
            uses,
            input,
        })
    }

    /// The name of the graph's one input.
    pub fn input(&self) -> &'a str {
        self.input
    }

    pub fn producer(&self, name: &str) -> TractResult<&'a NodeProto> {
        self.producers
            .get(name)
            .copied()
            .with_context(|| format!("nothing makes the value {name}"))
    }

    pub fn is_used_once(&self, name: &str) -> bool {
        self.uses.get(name) == Some(&1)
    }

    /// The values of a constant of numbers.
    pub fn floats(&self, name: &str) -> TractResult<Vec<f32>> {
        let tensor = self.constant(name, DataType::Float)?;
        let raw = tensor
            .raw_data
            .as_chunks()
            .0
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes));
        Ok(if tensor.float_data.is_empty() {
            raw.collect()
        } else {
            tensor.float_data.clone()
        })
    }

    /// The values of a constant of whole numbers.
    pub fn integers(&self, name: &str) -> TractResult<Vec<i64>> {
        let tensor = self.constant(name, DataType::Int64)?;
        let raw = tensor
            .raw_data
            .as_chunks()
            .0
            .iter()
            .map(|bytes| i64::from_le_bytes(*bytes));
        Ok(if tensor.int64_data.is_empty() {
            raw.collect()
        } else {
            tensor.int64_data.clone()
        })
    }

    /// The convolution whose result is `name`, its own or its ReLU's.
    pub fn convolution(&self, name: &str) -> TractResult<Option<Convolution<'a>>> {
        let Some(node) = self.producers.get(name) else {
            return Ok(None);
        };
        match node.op_type.as_str() {
            "Conv" => self
                .read_convolution(node)
                .with_context(|| format!("convolution {name}"))
                .map(Some),
            "Relu" if self.is_used_once(&node.input[0]) => {
                let inner = self.convolution(&node.input[0])?.filter(|inner| !inner.relu);
                Ok(inner.map(|inner| Convolution { relu: true, ..inner }))
            }
            _ => Ok(None),
        }
    }

    fn read_convolution(&self, node: &'a NodeProto) -> TractResult<Convolution<'a>> {
        let weights = &node.input[1];
        let dims: Vec<usize> = self
            .constant(weights, DataType::Float)?
            .dims
            .iter()
            .map(|dim| *dim as usize)
            .collect();
        let group = attribute(node, "group").map_or(1, |attribute| attribute.i as usize);
        let kind = match dims[..] {
            [_, _, 1, 1] if group == 1 => Kind::Pointwise,
            [outputs, 1, 3, 3] if group == outputs => Kind::Depthwise,
            [_, _, 3, 3] if group == 1 => Kind::Dense,
            _ => bail!("weights of shape {dims:?} in {group} groups"),
        };
        let stride = first_of(node, "strides").unwrap_or(1);
        let before = first_of(node, "pads").unwrap_or(0);
        ensure!(
            first_of(node, "dilations").unwrap_or(1) == 1 && before < 2,
            "dilation or padding out of the ordinary"
        );
        ensure!(
            kind != Kind::Pointwise || (stride == 1 && before == 0),
            "a pointwise convolution with stride or padding"
        );
        Ok(Convolution {
            input: &node.input[0],
            kind,
            weights: self.floats(weights)?,
            bias: node
                .input
                .get(2)
                .map_or_else(|| Ok(vec![0.0; dims[0]]), |bias| self.floats(bias))?,
            inputs: dims[1],
            scale: Scale::of_stride(stride).context("a stride other than one or two")?,
            before,
            relu: false,
        })
    }

    fn constant(&self, name: &str, kind: DataType) -> TractResult<&'a TensorProto> {
        let constant = self
            .constants
            .get(name)
            .with_context(|| format!("{name} is not a constant"))?;
        ensure!(constant.data_type == kind as i32, "{name} is not of type {kind:?}");
        Ok(constant)
    }
}

/// How often each value is used by what leads to `outputs`, these themselves once each.
fn uses<'a>(producers: &HashMap<&'a str, &'a NodeProto>, outputs: &[&str]) -> HashMap<&'a str, usize> {
    let mut uses: HashMap<&str, usize> = HashMap::new();
    let known = |name: &&str| producers.get_key_value(*name).map(|(name, _)| *name);
    let mut left: Vec<&'a str> = outputs.iter().filter_map(known).collect();
    while let Some(name) = left.pop() {
        let count = uses.entry(name).or_default();
        *count += 1;
        if let (1, Some(node)) = (*count, producers.get(name)) {
            left.extend(node.input.iter().map(String::as_str));
        }
    }
    uses
}

impl Convolution<'_> {
    /// One that makes what `self` and `other` make, side by side.
    pub fn beside(mut self, other: &Self) -> TractResult<Self> {
        let shape = |one: &Self| (one.kind, one.inputs, one.scale, one.before, one.relu);
        ensure!(shape(&self) == shape(other), "convolutions of two kinds side by side");
        self.weights.extend(&other.weights);
        self.bias.extend(&other.bias);
        Ok(self)
    }

    /// The weight of one of the window's cells, counted row by row.
    pub fn weight(&self, output: usize, input: usize, tap: usize) -> f32 {
        let taps = self.side() * self.side();
        self.weights[(output * self.inputs + input) * taps + tap]
    }

    /// Of the window, in pixels.
    pub fn side(&self) -> usize {
        if self.kind == Kind::Pointwise { 1 } else { 3 }
    }
}

/// The first of an attribute's whole numbers; a detector's are the same for both axes.
pub fn first_of(node: &NodeProto, name: &str) -> Option<usize> {
    attribute(node, name)?.ints.first().map(|value| *value as usize)
}

pub fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a tract_onnx::pb::AttributeProto> {
    node.attribute.iter().find(|attribute| attribute.name == name)
}
