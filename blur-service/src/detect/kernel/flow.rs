//! A whole network, made row by row: of each map only as many rows are ever held as the steps that look at it still want,
//! so that most of what is computed never leaves the nearer caches, however large the picture.

use std::ops::Range;

use super::{
    Aligned, Picture, Rows, Shape, Stem,
    step::{RowsMut, Step},
};

/// Steps from a picture to some maps. Map 0 is the stem's, map `n` that of node `n - 1`.
#[derive(Debug)]
pub struct Flow {
    stem: Stem,
    nodes: Vec<Node>,
    outputs: Vec<usize>,
    /// By map.
    users: Vec<Vec<User>>,
}

#[derive(Debug)]
pub struct Node {
    pub step: Box<dyn Step>,
    /// The maps that it looks at, and adds: earlier ones.
    pub input: usize,
    pub added: Option<usize>,
}

/// Who looks at a map.
#[derive(Clone, Copy, Debug)]
struct User {
    map: usize,
    adds: bool,
}

/// The rows of a map that are held.
struct Ring<'a> {
    shape: Shape,
    values: &'a mut [f32],
}

/// Of each map, the row that is made next.
struct Progress<'a> {
    flow: &'a Flow,
    shapes: &'a [Shape],
    next: Vec<usize>,
}

impl Flow {
    /// `outputs` are maps that nothing looks at.
    pub fn new(stem: Stem, nodes: Vec<Node>, outputs: Vec<usize>) -> Self {
        let mut users = vec![Vec::new(); nodes.len() + 1];
        for (node, map) in nodes.iter().zip(1..) {
            users[node.input].push(User { map, adds: false });
            if let Some(added) = node.added {
                users[added].push(User { map, adds: true });
            }
        }
        Self {
            stem,
            nodes,
            outputs,
            users,
        }
    }

    /// The shapes of the outputs for a canvas of this height and width.
    pub fn output_shapes(&self, canvas: [usize; 2]) -> Vec<Shape> {
        let shapes = self.shapes(canvas);
        self.outputs.iter().map(|output| shapes[*output]).collect()
    }

    /// Fills `outputs`, which hold zeros and are of [`output_shapes`](Self::output_shapes).
    pub fn run(&self, picture: Picture<'_>, outputs: Vec<&mut [f32]>) {
        let shapes = self.shapes(picture.canvas);
        let mut room = self.room(&shapes);
        let mut rings = rings(&shapes, &mut room);
        for (output, values) in self.outputs.iter().zip(outputs) {
            rings[*output].values = values;
        }
        let longest = shapes.iter().map(|shape| shape.row()).max().unwrap_or(0);
        let outside = Aligned::zeros(longest);
        let mut colours = self.stem.room(picture);
        self.progress(&shapes).finish(&mut |map, rows, _| {
            let Ring { shape, ref mut values } = rings[map];
            let values = std::mem::take(values);
            let made = RowsMut {
                shape,
                held: values.len() / shape.row(),
                values: &mut *values,
            };
            match map.checked_sub(1).map(|node| &self.nodes[node]) {
                Some(node) => {
                    let (input, added) = (rings[node.input].rows(), node.added.map(|added| rings[added].rows()));
                    let outside = &outside[..input.shape.row()];
                    node.step.make_all(rows, input, added, outside, made);
                }
                None => made
                    .each(rows)
                    .for_each(|(y, made)| self.stem.make(y, picture, &mut colours, made)),
            }
            rings[map].values = values;
        });
    }

    /// For the rows of each map that are held, but for the outputs. Each by itself: large blocks of memory cost more to get
    /// than to use.
    fn room(&self, shapes: &[Shape]) -> Vec<Aligned> {
        let mut held = self.held(shapes);
        self.outputs.iter().for_each(|output| held[*output] = 0);
        let room = shapes.iter().zip(held);
        room.map(|(shape, held)| Aligned::zeros(shape.row() * held)).collect()
    }

    /// How many rows of each map there are between the newest and the oldest that is still looked at, at most.
    fn held(&self, shapes: &[Shape]) -> Vec<usize> {
        let mut held = vec![1; shapes.len()];
        self.progress(shapes).finish(&mut |map, rows, next| {
            let users = self.users[map]
                .iter()
                .filter(|user| next[user.map] < shapes[user.map].height);
            let wanted = users.map(|user| self.oldest(*user, next[user.map]));
            let oldest = wanted.min().unwrap_or(rows.start).min(rows.start);
            held[map] = held[map].max(rows.end - oldest);
        });
        held
    }

    /// The first row that a user looks at which comes to row `next`.
    fn oldest(&self, user: User, next: usize) -> usize {
        if user.adds {
            return next;
        }
        let (first, _) = self.nodes[user.map - 1].step.window(next);
        usize::try_from(first).unwrap_or(0)
    }

    fn progress<'a>(&'a self, shapes: &'a [Shape]) -> Progress<'a> {
        Progress {
            flow: self,
            shapes,
            next: vec![0; shapes.len()],
        }
    }

    fn shapes(&self, canvas: [usize; 2]) -> Vec<Shape> {
        let mut shapes = vec![self.stem.shape(canvas)];
        for node in &self.nodes {
            let (input, scale) = (shapes[node.input], node.step.scale());
            shapes.push(Shape {
                height: scale.apply(input.height),
                width: scale.apply(input.width),
                channels: node.step.channels(),
            });
        }
        shapes
    }
}

/// Told a map, which of its rows come next, and the progress of all maps.
type Make<'a> = dyn FnMut(usize, Range<usize>, &[usize]) + 'a;

impl Progress<'_> {
    /// Has all rows of the outputs made, abreast of each other, and before each row those that it looks at.
    fn finish(&mut self, make: &mut Make<'_>) {
        let height = |map: usize| self.shapes[map].height;
        let paces: Vec<_> = self.flow.outputs.iter().map(|map| (*map, height(*map))).collect();
        let rounds = paces.iter().map(|(_, height)| *height).min().unwrap_or(0);
        for round in 1..=rounds {
            for (map, height) in &paces {
                self.up_to(*map, (height * round).div_ceil(rounds), make);
            }
        }
    }

    fn up_to(&mut self, map: usize, end: usize, make: &mut Make<'_>) {
        let Shape { height, width, .. } = self.shapes[map];
        let end = end.next_multiple_of(self.at_once(map)).min(height);
        while self.next[map] < end {
            let first = self.next[map];
            let mut rows = first..first + 1;
            if let Some(node) = map.checked_sub(1).map(|node| &self.flow.nodes[node]) {
                rows.end = (first + node.step.rows_at_once(width)).min(height);
                let (first, count) = node.step.window(rows.end - 1);
                self.up_to(node.input, first.saturating_add_unsigned(count).unsigned_abs(), make);
                if let Some(added) = node.added {
                    self.up_to(added, rows.end, make);
                }
            }
            make(map, rows.clone(), &self.next);
            self.next[map] = rows.end;
        }
    }

    /// How many rows of a map are best made before others come.
    fn at_once(&self, map: usize) -> usize {
        if self.flow.users[map].len() == 1 {
            1
        } else {
            MANY_PIXELS.div_ceil(self.shapes[map].width)
        }
    }
}

/// How many pixels of a map that several look at, or nobody, are made at once: while they are, the weights of the steps that
/// lead there from the last such map stay at hand. With more of them more rows of a large picture are held than are near.
const MANY_PIXELS: usize = 64;

fn rings<'a>(shapes: &[Shape], room: &'a mut [Aligned]) -> Vec<Ring<'a>> {
    let rings = shapes.iter().zip(room);
    rings.map(|(shape, values)| Ring { shape: *shape, values }).collect()
}

impl Ring<'_> {
    fn rows(&self) -> Rows<'_> {
        Rows {
            shape: self.shape,
            values: self.values,
            held: self.values.len() / self.shape.row(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Bilinear, Convolution, Depthwise, Matrix, MaxPool, Scale,
            testing::{Plain, levels, run_stem, run_step},
        },
        *,
    };

    #[test]
    fn a_flow_makes_what_its_steps_make_one_after_the_other_whatever_the_vectors() {
        let bytes: Vec<u8> = (0..64 * 52 * 3).map(|at| (at * 7 % 251) as u8).collect();
        let picture = Picture {
            width: 52,
            bytes: &bytes,
            canvas: [64, 64],
        };
        let mut all = Vec::new();
        for level in levels() {
            let flow = flow(level);
            let mut maps = vec![run_stem(&flow.stem, picture)];
            for node in &flow.nodes {
                let added = node.added.map(|added| &maps[added]);
                let made = run_step(&*node.step, &maps[node.input], added);
                maps.push(made);
            }
            let expected: Vec<Plain> = flow.outputs.iter().map(|output| maps[*output].clone()).collect();
            let shapes = flow.output_shapes(picture.canvas);
            let mut outputs: Vec<_> = shapes
                .iter()
                .map(|shape| Aligned::zeros(shape.height * shape.row()))
                .collect();
            flow.run(picture, outputs.iter_mut().map(|output| &mut **output).collect());
            let made: Vec<Plain> = shapes
                .into_iter()
                .zip(&outputs)
                .map(|(shape, out)| Plain::read(shape, out))
                .collect();
            assert_eq!(made, expected);
            all.push(made);
        }
        // Without fused multiplication each product is rounded, too.
        let numbers = |made: &[Plain]| made.iter().flat_map(|map| map.values.clone()).collect::<Vec<_>>();
        let first = numbers(&all[0]);
        let largest = first.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
        for one in all {
            let off = numbers(&one).into_iter().zip(&first).map(|(a, b)| (a - b).abs());
            assert!(off.fold(0.0, f32::max) <= largest * 1e-5);
        }
    }

    #[test]
    fn few_rows_of_a_large_picture_are_held() {
        let flow = flow(fearless_simd::Level::baseline());
        let shapes = flow.shapes([4096, 1024]);
        let held = flow.held(&shapes);
        for map in (0..shapes.len()).filter(|map| !flow.outputs.contains(map)) {
            assert!(held[map] < 200, "{} of map {map}", held[map]);
        }
    }

    /// Two outputs, of maps that several look at; steps that look at one, two and three rows, and make fewer and more, some
    /// of them several at once.
    fn flow(level: fearless_simd::Level) -> Flow {
        let weight = |output: usize, seen: usize| ((output * 7 + seen * 5) % 11) as f32 * 0.37 - 1.3;
        let convolution = |side: usize, inputs, outputs: usize, relu| -> Box<dyn Step> {
            Box::new(Convolution {
                side,
                inputs,
                matrix: Matrix::new(level, side * side * inputs, weight, &vec![0.1; outputs], relu),
            })
        };
        let depthwise = |scale, channels: usize| -> Box<dyn Step> {
            Box::new(Depthwise::new(level, scale, 1, weight, &vec![0.3; channels], true))
        };
        let stem = Stem {
            scale: 1.0 / 128.0,
            shift: -1.0,
            before: 1,
            matrix: Matrix::new(level, 27, weight, &[0.2; 8], true),
        };
        let nodes = [
            (convolution(1, 8, 40, true), 0, None),
            (depthwise(Scale::Same, 40), 1, None),
            (convolution(3, 40, 56, false), 2, None),
            (convolution(1, 56, 24, true), 3, Some(0)),
            (depthwise(Scale::Half, 24), 4, None),
            (convolution(3, 24, 24, false), 5, None),
            (Box::new(MaxPool { level, channels: 24 }), 6, None),
            (convolution(3, 24, 88, false), 7, None),
            (convolution(3, 88, 24, false), 8, None),
            (Box::new(Bilinear { level, channels: 24 }), 9, Some(5)),
            (convolution(1, 24, 24, true), 10, None),
            (Box::new(Bilinear { level, channels: 24 }), 11, Some(4)),
            (convolution(1, 24, 8, false), 9, None),
        ];
        let nodes = nodes.map(|(step, input, added)| Node { step, input, added });
        Flow::new(stem, nodes.into(), vec![12, 13])
    }
}
