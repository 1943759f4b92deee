//! Any bytes as a picture of any format, through all that is done to pixels. What can be decoded can be hidden in,
//! written in every format, and proven.

use blur_service::{
    codec::{Header, Items, Numbers, Output, Parts, Picture, Wanted},
    error::Error,
    redact::{Look, Means, Noise, Region, Spot},
};

const MOST_PIXELS: u64 = 1 << 18;
/// Its coder takes its time.
const MOST_PIXELS_OF_AVIF: u64 = 1 << 12;

pub fn check(data: &[u8]) {
    check_numbers(data);
    let Ok(header) = Header::read(data) else { return };
    if header.check_pixels(MOST_PIXELS).is_err() || header.parts != Parts::One {
        return;
    }
    let Ok(mut picture) = header.format.decode(data, &header, &|| true) else {
        return;
    };
    let size = header.upright_size();
    assert_eq!(picture.size(), size);
    let views = picture.views().expect("every picture can be shown");
    assert!(views.iter().all(|view| view.dimensions() == (size.width, size.height)));
    picture.clear_hidden_colour();
    hide_the_middle(&mut picture, &header).expect("every picture can be hidden in");
    picture.clear_hidden_colour();
    for wanted in [Wanted::Keep, Wanted::Jpeg, Wanted::Png, Wanted::WebP, Wanted::Avif] {
        if wanted == Wanted::Avif && size.pixels() > MOST_PIXELS_OF_AVIF {
            continue;
        }
        // Only sides that are too long for a format are refused.
        let Ok(output) = Output::of(&header, wanted, None) else {
            continue;
        };
        let written = output.encode(&picture, &header).expect("every picture can be written");
        output.prove(&written).expect("what is written is proven");
        let again = Header::read(&written).expect("what is written can be read");
        assert_eq!(again.size, size);
    }
}

/// What a HEIC says of its numbers, which is read only where there is a decoder of HEVC.
fn check_numbers(data: &[u8]) {
    let Some(items) = Items::of(data) else { return };
    for configuration in items.properties(items.primary, b"hvcC") {
        let _ = Numbers::configured(configuration).map(Numbers::space);
    }
}

fn hide_the_middle(picture: &mut Picture, header: &Header) -> Result<(), Error> {
    let (size, blocks) = (header.size, header.blocks());
    let middle = Region {
        x: size.width / 4,
        y: size.height / 4,
        width: size.width.div_ceil(2),
        height: size.height.div_ceil(2),
    };
    let mut means = Means::unknown(blocks, picture.channels());
    for place in blocks.places(&[Spot::from(middle)], |region| blocks.around(region)) {
        picture.measure(header, place.reach(blocks.count()), &mut means)?;
        let cells = means.cells(place, picture.tones()?, &|_, _| false, &Noise::repeatable(0));
        picture.paint(header, place.area, &cells, Look::Smooth.effect())?;
    }
    Ok(())
}
