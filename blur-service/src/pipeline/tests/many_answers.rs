//! What many answers for one picture tell together.

use super::*;

/// The attack: ask for one original under every margin, with the boxes of every detail and sensitivity, in every look and
/// on both roads; keep what any answer shows in the clear, and for the rest solve for the pixels whose means are the cells of
/// all answers. It must come no nearer to the face than a single answer lets it.
#[test]
fn a_thousand_answers_tell_no_more_than_one() {
    let original = portrait();
    for file in [jpeg(&original, false), file(&original.clone().into(), ImageFormat::Png)] {
        let truth = image_of(&file);
        let single = |face| nearness(&truth, &solved(&[Answer::ask(&file, face, Look::Mosaic, 1.3)], &truth));
        let one = boxes().map(single).into_iter().fold(f64::INFINITY, f64::min);
        let mut answers = Vec::new();
        for face in boxes() {
            for tenths in 13..=40u8 {
                let look = [Look::Smooth, Look::Gaussian, Look::Mosaic][usize::from(tenths % 3)];
                answers
                    .extend([look, Look::Mosaic].map(|look| Answer::ask(&file, face, look, f32::from(tenths) / 10.0)));
            }
        }
        let all = nearness(&truth, &solved(&answers, &truth));
        assert!(
            all > 8.0 && all < one + 0.5,
            "one answer {one:.2} dB, {} of them {all:.2} dB",
            answers.len()
        );
    }
}

/// The attack with boxes that a client draws, upon the face, across its edges and about it, of every size.
#[test]
fn a_thousand_boxes_tell_no_more_than_one_answer() {
    let original = portrait();
    for file in [jpeg(&original, false), file(&original.clone().into(), ImageFormat::Png)] {
        let truth = image_of(&file);
        let mut answers = vec![Answer::ask(&file, PORTRAIT_FACE, Look::Mosaic, 1.3)];
        for side in [1.0, 7.0, 16.0, 40.0, 90.0, 200.0] {
            for step in 0..12u8 {
                let (column, row) = (f32::from(step % 4), f32::from(step / 4));
                let drawn = Rect::new(30.0 + 37.0 * column, 35.0 + 55.0 * row, side, side * 1.2);
                let look = if step % 2 == 0 { Look::Mosaic } else { Look::Smooth };
                answers.push(Answer::drawn(&file, PORTRAIT_FACE, &[drawn], look, 1.3));
            }
        }
        let all = nearness(&truth, &solved(&answers, &truth));
        let told = |answer| nearness(&truth, &solved(std::slice::from_ref(answer), &truth));
        let best = answers.iter().map(told).fold(0.0, f64::max);
        assert!(
            all < best + 0.5,
            "the best answer {best:.2} dB, {} of them {all:.2} dB",
            answers.len()
        );
    }
}

/// Boxes as different details and sensitivities draw them about one face.
fn boxes() -> [Rect; 6] {
    let jitter = |x: f32, y: f32, scale: f32| PORTRAIT_FACE.moved(x, y).padded(scale);
    [
        PORTRAIT_FACE,
        jitter(3.0, -2.0, 1.0),
        jitter(-4.0, 1.0, 1.04),
        jitter(1.0, 4.0, 0.96),
        jitter(0.0, -4.0, 1.1),
        jitter(2.0, 2.0, 0.9),
    ]
}

/// The face of the portrait in [`portrait`].
const PORTRAIT_FACE: Rect = Rect {
    x: 47.0,
    y: 49.0,
    width: 95.0,
    height: 125.0,
};

/// A part of NASA's portrait of Eileen Collins, large enough for the largest margin.
fn portrait() -> RgbImage {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/pictures/astronaut.png");
    let whole = image::open(path).unwrap();
    whole.crop_imm(128, 16, 208, 208).into_rgb8()
}

pub(super) fn image_of(file: &[u8]) -> RgbImage {
    let header = Header::read(file).unwrap();
    header.format.decode(file, &header, &|| true).unwrap().pixels.to_rgb8()
}

/// Sees the face that a test wants.
struct SeesOne(Rect);

impl Eyes for SeesOne {
    fn enough_px(&self, _: Size) -> u32 {
        u32::MAX
    }

    fn find(&self, _: Photo) -> Result<Vec<Face>, Error> {
        Ok(vec![Face {
            rect: self.0,
            score: 1.0,
        }])
    }

    fn find_again(&self, _: Photo, _: &[Rect]) -> Result<Vec<Face>, Error> {
        Ok(Vec::new())
    }
}

/// What came back for one original, and how long the sides of the cells in it are.
struct Answer {
    image: RgbImage,
    /// Of each block of 8 × 8 pixels, row by row, in pixels.
    cells: Vec<Option<Size>>,
    look: Look,
}

impl Answer {
    fn ask(file: &[u8], face: Rect, look: Look, margin: f32) -> Self {
        Self::drawn(file, face, &[], look, margin)
    }

    /// With boxes to hide besides.
    fn drawn(file: &[u8], face: Rect, drawn: &[Rect], look: Look, margin: f32) -> Self {
        let header = Header::read(file).unwrap();
        let [kept, written_anew] = [Profile::Lossless, Profile::Reencode].map(|profile| {
            let options = Options {
                margin,
                marks: Marks {
                    regions: drawn.to_vec(),
                    ..Marks::NONE
                },
                shape: if look == Look::Gaussian {
                    Shape::Ellipse
                } else {
                    Shape::Box
                },
                ..options(look, profile)
            };
            let task = Task {
                eyes: &SeesOne(face),
                ..task(file, &header, &options)
            };
            image_of(&task.blur(&Noise::repeatable(1)).unwrap().file)
        });
        let blocks = header.blocks();
        assert_eq!(blocks.block, Size::new(8, 8));
        let seen = [Face { rect: face, score: 1.0 }];
        let spots = regions(&seen, drawn, header.size, margin);
        let places = blocks.places(&spots, |region| blocks.around(region));
        let in_pixels = |cell: Size| Size::new(cell.width * 8, cell.height * 8);
        let cell_of = |owner: &Option<usize>| owner.map(|owner| in_pixels(places[owner].cell));
        let cells: Vec<Option<Size>> = blocks.owners(&places).iter().map(cell_of).collect();
        let at = |x: u32, y: u32| cells[(y / 8 * blocks.count().width + x / 8) as usize];
        let cell = at(face.centre().0 as u32, face.centre().1 as u32).unwrap();
        let place = |x: u32, y: u32| (x / cell.width, y / cell.height);
        if look == Look::Mosaic && drawn.is_empty() {
            // Both roads show the same cells, but for what writing the pixels anew rounds.
            let differences = kept
                .enumerate_pixels()
                .zip(written_anew.pixels())
                .filter(|((x, y, _), _)| {
                    let centre = (face.centre().0 as u32, face.centre().1 as u32);
                    place(*x, *y) == place(centre.0, centre.1)
                        && face.covers(Rect::new(*x as f32, *y as f32, 1.0, 1.0)) == 1.0
                });
            for ((_, _, one), other) in differences {
                assert!(is_near(one, other, 12), "{one:?} {other:?}");
            }
        }
        Self {
            image: kept,
            cells,
            look,
        }
    }

    /// The cell about a pixel.
    fn cell(&self, x: u32, y: u32) -> Option<Size> {
        self.cells[(y / 8 * self.image.width().div_ceil(8) + x / 8) as usize]
    }

    /// Whether the block around a pixel is shown as it is.
    fn shows(&self, truth: &RgbImage, x: u32, y: u32) -> bool {
        let (left, top) = (x / 8 * 8, y / 8 * 8);
        (0..64).all(|n| {
            let (x, y) = (left + n % 8, top + n / 8);
            is_near(self.image.get_pixel(x, y), truth.get_pixel(x, y), 2)
        })
    }
}

fn is_near(a: &Rgb<u8>, b: &Rgb<u8>, most: u8) -> bool {
    a.0.iter().zip(b.0).all(|(a, b)| a.abs_diff(b) <= most)
}

/// What the answers together tell of the picture, pixel by pixel: those that an answer shows are taken from it; the others
/// begin as the mean of all answers and are then moved, cell by cell, until the cells' means are what the mosaics show.
fn solved(answers: &[Answer], truth: &RgbImage) -> Vec<[f32; 3]> {
    let places = || truth.enumerate_pixels().map(|(x, y, _)| (x, y));
    let known: Vec<bool> = places()
        .map(|(x, y)| answers.iter().any(|answer| answer.shows(truth, x, y)))
        .collect();
    let mean = |x, y| {
        let mut sums = [0.0; 3];
        for answer in answers {
            let level = answer.image.get_pixel(x, y).0;
            sums.iter_mut()
                .zip(level)
                .for_each(|(sum, level)| *sum += f32::from(level));
        }
        sums.map(|sum| sum / answers.len() as f32)
    };
    let mut guess: Vec<[f32; 3]> = places()
        .zip(&known)
        .map(|((x, y), is_known)| {
            if *is_known {
                truth.get_pixel(x, y).0.map(f32::from)
            } else {
                mean(x, y)
            }
        })
        .collect();
    let mut cells = std::collections::BTreeMap::new();
    for answer in answers.iter().filter(|answer| answer.look == Look::Mosaic) {
        for (_, (x, y)) in places().enumerate().filter(|(index, _)| !known[*index]) {
            let Some(Size { width, height }) = answer.cell(x, y) else {
                continue;
            };
            let cell = (width, x / width, y / height);
            cells.entry(cell).or_insert_with(|| answer.image.get_pixel(x, y).0);
        }
    }
    for _ in 0..20 {
        for ((size, column, row), level) in &cells {
            let inside: Vec<usize> = places()
                .enumerate()
                .filter(|(_, (x, y))| (x / size, y / size) == (*column, *row))
                .map(|(index, _)| index)
                .collect();
            let hidden: Vec<usize> = inside.iter().copied().filter(|index| !known[*index]).collect();
            for channel in 0..3 {
                let mean = inside.iter().map(|index| guess[*index][channel]).sum::<f32>() / inside.len() as f32;
                let step = (f32::from(level[channel]) - mean) * inside.len() as f32 / hidden.len() as f32;
                for index in &hidden {
                    guess[*index][channel] = (guess[*index][channel] + step).clamp(0.0, 255.0);
                }
            }
        }
    }
    guess
}

/// Decibels (PSNR) over the face.
fn nearness(truth: &RgbImage, guess: &[[f32; 3]]) -> f64 {
    let (mut sum, mut count) = (0.0, 0u32);
    for (index, (x, y, pixel)) in truth.enumerate_pixels().enumerate() {
        if PORTRAIT_FACE.covers(Rect::new(x as f32, y as f32, 1.0, 1.0)) == 1.0 {
            for (level, guess) in pixel.0.iter().zip(guess[index]) {
                sum += f64::from(f32::from(*level) - guess.clamp(0.0, 255.0)).powi(2);
                count += 1;
            }
        }
    }
    10.0 * (255.0f64.powi(2) * f64::from(count) / sum).log10()
}
