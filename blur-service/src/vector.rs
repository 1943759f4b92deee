//! The best vector and bit instructions of the machine for loops that are written as plain Rust.

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
