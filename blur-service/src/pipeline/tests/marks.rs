//! What a person marks: hidden and spared on every road, and nothing else of the picture changes.

use image::RgbImage;

use super::{many_answers::image_of, *};
use crate::{marks::Spare, redact::regions};

#[test]
fn only_the_boxes_given_differ_on_every_road() {
    let drawn = Rect::new(101.0, 5.5, 20.0, 13.0);
    // No place of the other face, nor of a cell of it, is touched.
    let seen = Sees(&[Rect {
        x: 16.0,
        y: 112.0,
        width: 40.0,
        height: 40.0,
    }]);
    for file in all_formats(&picture(false)) {
        for profile in [Profile::Lossless, Profile::Reencode] {
            let without = blurred(&file, &seen, &options(Look::Smooth, profile));
            let with = blurred(&file, &seen, &marked(vec![drawn], vec![], profile));
            assert_eq!((with.faces.len(), &with.regions[..]), (1, &[drawn][..]));
            let (before, after) = (image_of(&without.file), image_of(&with.file));
            // Whole blocks of eight pixels.
            let hidden = Rect::from_edges(96.0, 0.0, 128.0, 24.0);
            for (x, y, pixel) in after.enumerate_pixels() {
                if !hidden.covers(Rect::new(x as f32, y as f32, 1.0, 1.0)).eq(&1.0) {
                    assert_eq!(pixel, before.get_pixel(x, y), "{x},{y} {profile:?} {}", with.road.name);
                }
            }
            assert_eq!(texture_in(&after, drawn), 0, "{profile:?} {}", with.road.name);
            assert!(texture_in(&before, drawn) > 0);
        }
    }
}

#[test]
fn a_spared_face_is_shown_as_it_was_on_every_road() {
    let boxes = [Rect::new(8.0, 8.0, 40.0, 40.0), Rect::new(120.0, 120.0, 40.0, 40.0)];
    let seen = SeesAll(boxes.to_vec());
    for file in all_formats(&picture(false)) {
        for profile in [Profile::Lossless, Profile::Reencode] {
            for spare in [Spare::Index(1), Spare::Box(boxes[1].moved(2.0, 3.0))] {
                let options = Options {
                    verify: Some(Verify::Whole),
                    ..marked(vec![], vec![spare], profile)
                };
                // The second look sees the spared face again, and lets it be.
                let with = blurred(&file, &seen, &options);
                let rects = |faces: &[Face]| faces.iter().map(|face| face.rect).collect::<Vec<_>>();
                assert_eq!(
                    (rects(&with.faces), rects(&with.spared)),
                    (vec![boxes[0]], vec![boxes[1]])
                );
                let nothing = blurred(
                    &file,
                    &SeesAll(vec![]),
                    &Options {
                        marks: Marks::NONE,
                        ..options
                    },
                );
                let (shown, hidden) = (image_of(&nothing.file), image_of(&with.file));
                assert_eq!(texture_in(&hidden, boxes[1]), texture_in(&shown, boxes[1]));
                assert_ne!(texture_in(&hidden, boxes[0]), texture_in(&shown, boxes[0]));
            }
        }
    }
}

#[test]
fn a_region_upon_a_spared_face_hides_it() {
    let face = Rect::new(40.0, 40.0, 60.0, 60.0);
    for file in all_formats(&picture(false)) {
        let options = marked(vec![face], vec![Spare::Index(0)], Profile::Lossless);
        let with = blurred(&file, &SeesAll(vec![face]), &options);
        let bare = blurred(
            &file,
            &SeesAll(vec![face]),
            &self::options(Look::Smooth, Profile::Lossless),
        );
        assert_eq!(with.file, bare.file, "{}", with.road.name);
    }
}

#[test]
fn without_detection_the_marked_regions_alone_are_hidden_and_by_their_cells_alone() {
    for (one, other) in all_formats(&picture(false))
        .into_iter()
        .zip(all_formats(&picture(true)))
    {
        let options = Options {
            detect: Search::Off,
            ..marked(vec![Rect::new(32.0, 32.0, 128.0, 128.0)], vec![], Profile::Lossless)
        };
        let [hidden, same] = [&one, &other].map(|file| blurred(file, &NeverAsked, &options));
        assert!(hidden.file == same.file, "{}", hidden.road.name);
        assert_eq!((hidden.faces.len(), hidden.second_look), (0, None));
        assert!(image_of(&hidden.file) != image_of(&one));
    }
}

#[test]
fn a_region_outside_of_the_picture_is_refused_on_every_road() {
    for file in all_formats(&picture(false)) {
        let header = Header::read(&file).unwrap();
        let options = marked(vec![Rect::new(192.0, 0.0, 9.0, 9.0)], vec![], Profile::Lossless);
        let refused = task(&file, &header, &options).blur(&Noise::repeatable(1));
        assert!(matches!(refused, Err(Error::MarkOutside { name: "regions", .. })));
    }
}

#[test]
fn no_box_that_is_drawn_opens_a_face() {
    let picture = Size::new(800, 600);
    let blocks = crate::redact::Blocks {
        picture,
        block: Size::new(8, 8),
    };
    let face = Face {
        rect: Rect::new(300.0, 200.0, 120.0, 150.0),
        score: 0.9,
    };
    let coarsest = blocks.cell(150);
    for side in [1.0, 8.0, 30.0, 120.0, 400.0] {
        for at in 0..60u8 {
            let drawn = Rect::new(f32::from(at) * 11.0, f32::from(at) * 7.0, side, side);
            let spots = regions(&[face], &[drawn], picture, 1.3);
            let places = blocks.places(&spots, |region| blocks.around(region));
            let owners = blocks.owners(&places);
            for (y, x) in (200..350).flat_map(|y| (300..420).map(move |x| (y, x))) {
                let owner = owners[y / 8 * 100 + x / 8].unwrap();
                assert!(places[owner].cell.width >= coarsest.width, "{drawn:?}");
            }
        }
    }
}

fn marked(regions: Vec<Rect>, exclude: Vec<Spare>, profile: Profile) -> Options {
    Options {
        marks: Marks { regions, exclude },
        ..options(Look::Smooth, profile)
    }
}

fn blurred(file: &[u8], eyes: &dyn Eyes, options: &Options) -> Blurred {
    let header = Header::read(file).unwrap();
    let task = Task {
        eyes,
        ..task(file, &header, options)
    };
    task.blur(&Noise::repeatable(1)).unwrap()
}

/// How many neighbours in a box differ much, as the picture's texture does and no effect.
fn texture_in(image: &RgbImage, rect: Rect) -> usize {
    let inside = |x: u32, y: u32| rect.padded(0.9).covers(Rect::new(x as f32, y as f32, 1.0, 1.0)) == 1.0;
    let edges = image.enumerate_pixels().filter(|(x, y, pixel)| {
        inside(*x, *y)
            && pixel
                .0
                .iter()
                .zip(image.get_pixel(x - 1, *y).0)
                .any(|(a, b)| a.abs_diff(b) > 40)
    });
    edges.count()
}

/// Sees these boxes whenever it looks.
struct SeesAll(Vec<Rect>);

impl Eyes for SeesAll {
    fn enough_px(&self, _: Size) -> u32 {
        u32::MAX
    }

    fn find(&self, _: Photo) -> Result<Vec<Face>, Error> {
        Ok(self.all())
    }

    fn find_again(&self, _: Photo, regions: &[Rect]) -> Result<Vec<Face>, Error> {
        let shown = |face: &Face| face.rect.covered_by(regions) < 0.5;
        Ok(self.all().into_iter().filter(shown).collect())
    }
}

impl SeesAll {
    fn all(&self) -> Vec<Face> {
        self.0
            .iter()
            .map(|rect| Face {
                rect: *rect,
                score: 0.9,
            })
            .collect()
    }
}

struct NeverAsked;

impl Eyes for NeverAsked {
    fn enough_px(&self, _: Size) -> u32 {
        panic!("nothing is looked for")
    }

    fn find(&self, _: Photo) -> Result<Vec<Face>, Error> {
        panic!("nothing is looked for")
    }

    fn find_again(&self, _: Photo, _: &[Rect]) -> Result<Vec<Face>, Error> {
        panic!("nothing is looked for")
    }
}
