//! Steps one after the other, made row by row: of what lies between two of them only as many rows are ever held as the
//! next one looks at.

use std::ops::Range;

use super::{
    Aligned, Map, Picture, Rows, Shape, Stem,
    step::{Made, RowsMut, Step},
};

/// From one map, or the picture, to one map.
#[derive(Debug)]
pub struct Chain {
    /// What looks at the picture, if that is what comes in.
    pub stem: Option<Stem>,
    pub links: Vec<Link>,
}

#[derive(Debug)]
pub struct Link {
    pub step: Box<dyn Step>,
    /// Which of the maps beside the first the step adds.
    pub added: Option<usize>,
}

/// What a chain begins with.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    Picture(Picture<'a>),
    Map(Map<'a>),
}

/// A step at work.
struct Stage<'a> {
    step: &'a dyn Step,
    added: Option<Map<'a>>,
    shape: Shape,
    /// Rows that are held; the newest is row `next - 1`.
    rows: &'a mut [f32],
    held: usize,
    next: usize,
}

/// Where the first step's rows come from.
enum Begin<'a> {
    Map(Map<'a>),
    Stem {
        stem: &'a Stem,
        picture: Picture<'a>,
        room: Aligned,
        shape: Shape,
        rows: &'a mut [f32],
        held: usize,
        next: usize,
    },
}

impl Chain {
    /// Channels of what is made.
    pub fn channels(&self) -> usize {
        let stem = self.stem.as_ref().map(|stem| stem.matrix.outputs());
        let last = self.links.last().map(|link| link.step.channels());
        last.or(stem).unwrap_or(0)
    }

    /// The shape of what is made.
    pub fn shape(&self, source: Source<'_>) -> Shape {
        self.shapes(source).pop().expect("a chain begins with a map or a stem")
    }

    /// Fills `out`, which holds zeros and is of [`shape`](Self::shape). `beside` are the maps that steps add.
    pub fn run(&self, source: Source<'_>, beside: &[Map<'_>], out: &mut [f32]) {
        let shapes = self.shapes(source);
        let held = self.held(&shapes);
        let longest = shapes.iter().map(|shape| shape.row()).max().unwrap_or(0);
        let between = shapes.iter().zip(&held).map(|(shape, held)| shape.row() * held);
        // The first shape is that of a map which is there already, unless there is a stem.
        let skipped = usize::from(matches!(source, Source::Map(_)));
        let mut room = Aligned::zeros(longest + between.skip(skipped).sum::<usize>());
        let (outside, mut room) = room.split_at_mut(longest);
        let mut out = Some(out);
        let mut take = |shape: Shape, held: Option<&usize>| match held {
            Some(held) => {
                let (rows, rest) = std::mem::take(&mut room).split_at_mut(shape.row() * held);
                room = rest;
                (rows, *held)
            }
            None => (out.take().unwrap_or_default(), shape.height),
        };
        let mut begin = match (source, &self.stem) {
            (Source::Picture(picture), Some(stem)) => {
                let (rows, held) = take(shapes[0], held.first());
                Begin::Stem {
                    stem,
                    picture,
                    room: stem.room(picture),
                    shape: shapes[0],
                    rows,
                    held,
                    next: 0,
                }
            }
            (Source::Map(map), _) => Begin::Map(map),
            (Source::Picture(_), None) => return,
        };
        let mut stages: Vec<Stage<'_>> = Vec::with_capacity(self.links.len());
        for (index, (link, shape)) in self.links.iter().zip(&shapes[1..]).enumerate() {
            let (rows, held) = take(*shape, held.get(index + 1));
            stages.push(Stage {
                step: &*link.step,
                added: link.added.map(|added| beside[added]),
                shape: *shape,
                rows,
                held,
                next: 0,
            });
        }
        let height = shapes.last().map_or(0, |shape| shape.height);
        fill(&mut begin, &mut stages, outside, height as isize);
    }

    /// How many rows of what each link takes are held: those that it looks at to make as many as it makes at once, and those
    /// that are made at once with the last of them.
    fn held(&self, shapes: &[Shape]) -> Vec<usize> {
        let at_once = |index: usize| match self.links.get(index) {
            Some(link) => link.step.rows_at_once(shapes[index + 1].width),
            None => 1,
        };
        let looked_at = |index: usize| {
            let step = &self.links[index].step;
            let (last, count) = step.window(at_once(index) - 1);
            (last - step.window(0).0) as usize + count
        };
        (0..self.links.len())
            .map(|index| looked_at(index) + if index > 0 { at_once(index - 1) - 1 } else { 0 })
            .collect()
    }

    /// Of what the links take and make, in order.
    fn shapes(&self, source: Source<'_>) -> Vec<Shape> {
        let first = match (source, &self.stem) {
            (Source::Picture(picture), Some(stem)) => stem.shape(picture),
            (Source::Picture(Picture { height, width, .. }), None) => Shape {
                height,
                width,
                channels: 3,
            },
            (Source::Map(map), _) => map.shape,
        };
        let mut shapes = vec![first];
        for link in &self.links {
            let last = shapes[shapes.len() - 1];
            let scale = link.step.scale();
            shapes.push(Shape {
                height: scale.apply(last.height),
                width: scale.apply(last.width),
                channels: link.step.channels(),
            });
        }
        shapes
    }
}

/// Makes rows of the last stage up to `end`.
fn fill(begin: &mut Begin<'_>, stages: &mut [Stage<'_>], outside: &[f32], end: isize) {
    let Some((last, before)) = stages.split_last_mut() else {
        return begin.fill(end);
    };
    while last.next < last.shape.height && (last.next as isize) < end {
        let (first, count) = last.step.window(last.coming().end - 1);
        fill(begin, before, outside, first + count as isize);
        let input = before.last().map_or_else(|| begin.rows(), |stage| stage.rows());
        last.make(input, outside);
    }
}

impl Stage<'_> {
    fn rows(&self) -> Rows<'_> {
        Rows {
            shape: self.shape,
            values: self.rows,
            held: self.held,
        }
    }

    /// The rows that are made next.
    fn coming(&self) -> Range<usize> {
        let at_once = self.step.rows_at_once(self.shape.width);
        self.next..(self.next + at_once).min(self.shape.height)
    }

    fn make(&mut self, input: Rows<'_>, outside: &[f32]) {
        let coming = self.coming();
        let made = RowsMut {
            shape: self.shape,
            values: &mut *self.rows,
            held: self.held,
        };
        let (added, outside) = (self.added.map(Map::rows), &outside[..input.shape.row()]);
        self.step.make_all(coming.clone(), input, added, outside, made);
        self.next = coming.end;
    }
}

impl Begin<'_> {
    fn rows(&self) -> Rows<'_> {
        match self {
            Begin::Map(map) => map.rows(),
            Begin::Stem { shape, rows, held, .. } => Rows {
                shape: *shape,
                values: rows,
                held: *held,
            },
        }
    }

    fn fill(&mut self, end: isize) {
        let Begin::Stem {
            stem,
            picture,
            room,
            shape,
            rows,
            held,
            next,
        } = self
        else {
            return;
        };
        while *next < shape.height && (*next as isize) < end {
            let row = shape.row();
            let made = Made {
                shape: *shape,
                row: &mut rows[*next % *held * row..][..row],
            };
            stem.make(*next, *picture, room, made);
            *next += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Bilinear, Convolution, Depthwise, Matrix, MaxPool, Scale,
            testing::{Plain, levels, run_chain},
        },
        *,
    };

    #[test]
    fn a_chain_makes_what_its_steps_make_one_after_the_other_whatever_the_vectors() {
        let input = Plain::any(10, 12, 8);
        let added = Plain::any(10, 12, 24);
        let mut all = Vec::new();
        for level in levels() {
            let whole = run_chain(&chain(links(level)), &input, Some(&added));
            let mut parts = input.clone();
            for link in links(level) {
                let added = link.added.map(|_| &added);
                parts = run_chain(&chain(vec![link]), &parts, added);
            }
            assert_eq!(whole, parts);
            all.push(whole);
        }
        // Without fused multiplication each product is rounded, too.
        let first = all[0].values.clone();
        let largest = first.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
        for one in all {
            let off = one.values.iter().zip(&first).map(|(a, b)| (a - b).abs());
            assert!(off.fold(0.0, f32::max) <= largest * 1e-5);
        }
    }

    fn chain(links: Vec<Link>) -> Chain {
        Chain { stem: None, links }
    }

    /// Steps that look at one, two and three rows, and make fewer and more, some of them several at once.
    fn links(level: fearless_simd::Level) -> Vec<Link> {
        let weight = |output: usize, seen: usize| ((output * 7 + seen * 5) % 11) as f32 * 0.37 - 1.3;
        let convolution = |side: usize, inputs, outputs: usize, relu| Convolution {
            side,
            inputs,
            matrix: Matrix::new(level, side * side * inputs, weight, &vec![0.1; outputs], relu),
        };
        let depthwise = |scale, channels: usize| Depthwise::new(level, scale, 1, weight, &vec![0.3; channels], true);
        let alone = |step: Box<dyn Step>| Link { step, added: None };
        let adding = |step: Box<dyn Step>| Link { step, added: Some(0) };
        vec![
            alone(Box::new(convolution(1, 8, 40, true))),
            alone(Box::new(depthwise(Scale::Same, 40))),
            alone(Box::new(convolution(3, 40, 56, false))),
            adding(Box::new(convolution(1, 56, 24, true))),
            alone(Box::new(depthwise(Scale::Half, 24))),
            adding(Box::new(Bilinear { level, channels: 24 })),
            alone(Box::new(MaxPool { level, channels: 24 })),
            alone(Box::new(convolution(3, 24, 88, false))),
            alone(Box::new(convolution(3, 88, 88, false))),
        ]
    }
}
