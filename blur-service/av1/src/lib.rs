//! One picture in AV1, by `rav1e` without assembler. A crate of its own, since all of `rav1e` is generic code, which is built
//! wherever it is used: what a change to the service need not wait for.

use rav1e::prelude::{
    ChromaSampling, ColorDescription, ColorPrimaries, Config, Context, EncoderConfig, EncoderStatus,
    MatrixCoefficients, PixelRange, SpeedSettings, TransferCharacteristics,
};

/// The units of a picture of one plane, or of three as large, of 8 bits in the full range, in BT.601's mixture; the quantiser
/// is 1 (finest) to 255.
///
/// # Errors
/// What the encoder says, of sides that it does not take.
pub fn encode(
    (width, height): (usize, usize),
    planes: &[Vec<u8>],
    quantiser: u8,
) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
    let config = Config::new()
        .with_encoder_config(settings((width, height), planes.len(), quantiser))
        .with_threads(1);
    let mut context: Context<u8> = config.new_context()?;
    let mut frame = context.new_frame();
    for (samples, plane) in planes.iter().zip(&mut frame.planes) {
        plane.copy_from_raw_u8(samples, width, 1);
    }
    context.send_frame(frame)?;
    context.flush();
    let mut data = Vec::new();
    loop {
        match context.receive_packet() {
            Ok(packet) => data.extend(packet.data),
            Err(EncoderStatus::Encoded) => {}
            Err(EncoderStatus::LimitReached) => return Ok(data),
            Err(error) => return Err(error.into()),
        }
    }
}

fn settings((width, height): (usize, usize), planes: usize, quantiser: u8) -> EncoderConfig {
    let mut settings = EncoderConfig {
        width,
        height,
        still_picture: true,
        quantizer: quantiser.into(),
        min_quantizer: quantiser,
        chroma_sampling: match planes {
            1 => ChromaSampling::Cs400,
            _ => ChromaSampling::Cs444,
        },
        pixel_range: PixelRange::Full,
        color_description: Some(ColorDescription {
            color_primaries: ColorPrimaries::BT709,
            transfer_characteristics: TransferCharacteristics::SRGB,
            matrix_coefficients: MatrixCoefficients::BT601,
        }),
        speed_settings: SpeedSettings::from_preset(FASTEST),
        ..EncoderConfig::default()
    };
    settings.speed_settings.rdo_lookahead_frames = 1;
    settings
}

/// Of ten.
const FASTEST: u8 = 10;
