//! The best vector and bit instructions of the machine for loops that are written as plain Rust.

/// The nearest whole number, for what lies between 0 and 255: added to 2²³, a float has no room for fractions. A cast would
/// look for values that a byte cannot hold.
#[inline(always)]
pub fn byte(value: f32) -> u8 {
    const SHIFT: f32 = 8_388_608.0;
    (value + SHIFT).to_bits() as u8
}

/// Runs `work` compiled for AVX2 and BMI2 where the machine has them: `work` itself and all that is inlined into it.
/// It rounds as everywhere else, for no product is fused with a sum that is not written so.
#[inline(always)]
pub fn vectorized<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    if let Some(avx2) = fearless_simd::Level::new().as_avx2() {
        return fearless_simd::Simd::vectorize(avx2, work);
    }
    work()
}
