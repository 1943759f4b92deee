//! AV1 by `re_rav1d`, dav1d in Rust without assembler: 8 to 12 bits, every sampling.

use re_rav1d::dav1d::{Decoder, Error as Av1Error, Picture as Coded, PixelLayout, PlanarImageComponent, Settings};

use super::{
    frame::{Coder, Frame, Samples, UNUSUAL, damaged, unclear},
    numbers::Numbers,
};
use crate::{codec::Items, error::Error, geometry::Size};

pub struct Av1;

impl Coder for Av1 {
    fn frame(&mut self, items: &Items, item: u32, told: Size, _: &dyn Fn() -> bool) -> Result<Frame, Error> {
        let data = items.data(item).ok_or_else(unclear)?.into_owned();
        let numbers = Numbers::coded(&data).ok_or_else(damaged)?;
        let mut settings = Settings::new();
        settings.set_n_threads(1);
        settings.set_max_frame_delay(1);
        settings.set_all_layers(false);
        settings.set_frame_size_limit(u32::try_from(told.pixels()).unwrap_or(u32::MAX));
        let mut decoder = Decoder::with_settings(&settings).map_err(|_| Error::internal("no AV1 decoder"))?;
        let mut sent = decoder.send_data(data, None, None, None);
        loop {
            match decoder.get_picture() {
                Ok(picture) if (picture.width(), picture.height()) == (told.width, told.height) => {
                    return framed(&picture, told, numbers);
                }
                Ok(_) => return Err(damaged()),
                Err(Av1Error::Again) if sent == Err(Av1Error::Again) => sent = decoder.send_pending_data(),
                Err(_) => return Err(damaged()),
            }
        }
    }
}

fn framed(picture: &Coded, size: Size, numbers: Numbers) -> Result<Frame, Error> {
    use PlanarImageComponent::{U, V, Y};
    let (components, is_halved): (&[PlanarImageComponent], _) = match picture.pixel_layout() {
        PixelLayout::I400 => (&[Y], (false, false)),
        PixelLayout::I420 => (&[Y, U, V], (true, true)),
        PixelLayout::I422 => (&[Y, U, V], (true, false)),
        PixelLayout::I444 => (&[Y, U, V], (false, false)),
    };
    let samples = |component: &PlanarImageComponent| Samples {
        data: Box::new(picture.plane(*component)),
        stride: picture.stride(*component) as usize,
    };
    Ok(Frame {
        size,
        bits: picture.bits_per_component().ok_or(UNUSUAL)?.0,
        is_halved,
        numbers,
        planes: components.iter().map(samples).collect(),
    })
}
