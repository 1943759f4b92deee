//! What these networks are made of: perhaps a pointwise convolution, perhaps a depthwise one, perhaps a pointwise one, and
//! perhaps a sum with an earlier map. Row by row: only three rows of what lies between are ever held.

use super::{Depthwise, Kernel, Map, Pointwise, Scale, Shape, map::window, pointwise::Residual};

/// Takes the map, and a second one if something is to be added before the last activation.
#[derive(Clone, Debug)]
pub struct Block {
    pub expand: Option<Pointwise>,
    pub depthwise: Option<Depthwise>,
    pub project: Option<Pointwise>,
}

impl Kernel for Block {
    fn name(&self) -> &'static str {
        "Block"
    }

    fn channels(&self) -> usize {
        let depthwise = self.depthwise.as_ref().map_or(0, Depthwise::channels);
        self.project.as_ref().map_or(depthwise, Pointwise::outputs)
    }

    fn scale(&self) -> Scale {
        self.depthwise.as_ref().map_or(Scale::Same, Depthwise::scale)
    }

    fn run(&self, inputs: &[Map<'_>], out: &mut [f32]) {
        let added = inputs.get(1);
        let Some(depthwise) = &self.depthwise else {
            let residual = added.map(|map| Residual {
                pixels: map.values,
                channels: map.shape.channels,
            });
            if let Some(project) = &self.project {
                project.run(inputs[0].values, residual, out);
            }
            return;
        };
        let mut rows = Rows::new(inputs[0], self.expand.as_ref(), depthwise.channels());
        let width = self.scale().apply(inputs[0].shape.width);
        let mut between = vec![0.0; width * depthwise.channels()];
        for (y, out) in out.chunks_exact_mut(width * self.channels()).enumerate() {
            let rows = rows.under(depthwise.first_row(y));
            let Some(project) = &self.project else {
                depthwise.run(rows, out);
                continue;
            };
            depthwise.run(rows, &mut between);
            let residual = added.map(|map| Residual {
                pixels: map.row(y),
                channels: map.shape.channels,
            });
            project.run(&between, residual, out);
        }
    }
}

/// The rows the depthwise convolution sees: those of the map, or of its expansion, made as they are needed.
struct Rows<'a> {
    map: Map<'a>,
    expand: Option<&'a Pointwise>,
    /// Row `y` of the expansion is in place `y % 3`.
    expanded: Vec<f32>,
    next: usize,
    outside: Vec<f32>,
}

impl<'a> Rows<'a> {
    fn new(map: Map<'a>, expand: Option<&'a Pointwise>, channels: usize) -> Self {
        let row = Shape { channels, ..map.shape }.row();
        let expanded = if expand.is_some() {
            vec![0.0; 3 * row]
        } else {
            Vec::new()
        };
        Self {
            map,
            expand,
            expanded,
            next: 0,
            outside: vec![0.0; row],
        }
    }

    /// The three rows from `first` on; later calls ask for later rows only.
    fn under(&mut self, first: isize) -> [&[f32]; 3] {
        let (height, row) = (self.map.shape.height, self.outside.len());
        let Some(expand) = self.expand else {
            return window(first, height, &self.outside, |y| self.map.row(y));
        };
        self.next = self.next.max(usize::try_from(first).unwrap_or(0));
        while self.next < height && (self.next as isize) < first + 3 {
            expand.run(
                self.map.row(self.next),
                None,
                &mut self.expanded[self.next % 3 * row..][..row],
            );
            self.next += 1;
        }
        window(first, height, &self.outside, |y| &self.expanded[y % 3 * row..][..row])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fused_is_the_same_as_one_after_the_other() {
        let shape = Shape {
            height: 7,
            width: 6,
            channels: 8,
        };
        let values: Vec<f32> = (0..7 * 6 * 8).map(|i| (i * 7 % 23) as f32 - 9.0).collect();
        let weight = |a: usize, b: usize| ((a * 3 + b * 5) % 7) as f32 - 3.0;
        let expand = Pointwise::new(8, weight, vec![1.0; 16], true);
        for scale in [Scale::Same, Scale::Half] {
            let depthwise = Depthwise::new(scale, 1, weight, vec![0.0; 16], true);
            let project = Pointwise::new(16, weight, vec![0.0; 8], false);
            let fused = Block {
                expand: Some(expand.clone()),
                depthwise: Some(depthwise.clone()),
                project: Some(project.clone()),
            };
            let parts = Block {
                expand: None,
                depthwise: Some(depthwise),
                project: Some(project),
            };
            let mut expanded = vec![0.0; 7 * 6 * 16];
            expand.run(&values, None, &mut expanded);
            let size = scale.apply(7) * scale.apply(6) * 8;
            let (mut once, mut twice) = (vec![0.0; size], vec![0.0; size]);
            fused.run(&[Map::new(shape, &values)], &mut once);
            parts.run(&[Map::new(Shape { channels: 16, ..shape }, &expanded)], &mut twice);
            assert_eq!(once, twice);
        }
    }
}
