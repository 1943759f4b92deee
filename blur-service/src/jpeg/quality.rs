//! Guesses the quality a file was written with from its luminance table.

/// The quality, 1 to 100, whose table in libjpeg lies nearest to `steps` (zigzag order).
pub fn estimate(steps: &[u16; 64]) -> u8 {
    let distance = |quality: &u32| -> u64 {
        let scaled = LUMINANCE.iter().map(|step| scaled(u32::from(*step), *quality));
        scaled
            .zip(steps)
            .map(|(ours, theirs)| u64::from(ours.abs_diff(u32::from(*theirs))))
            .sum()
    };
    (1..=100).min_by_key(distance).unwrap_or(75) as u8
}

/// libjpeg's `jpeg_quality_scaling` and `jpeg_add_quant_table`.
fn scaled(step: u32, quality: u32) -> u32 {
    let percent = if quality < 50 {
        5000 / quality
    } else {
        200 - 2 * quality
    };
    ((step * percent + 50) / 100).clamp(1, 255)
}

/// ITU-T T.81, table K.1, in zigzag order.
const LUMINANCE: [u8; 64] = [
    16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61,
    60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103, 104, 103, 62, 77, 113,
    121, 112, 100, 120, 92, 101, 103, 99,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libjpeg_qualities_are_recognised() {
        for quality in [10, 50, 75, 90, 95, 100] {
            let steps = LUMINANCE.map(|step| scaled(u32::from(step), quality) as u16);
            assert_eq!(u32::from(estimate(&steps)), quality);
        }
    }
}
