//! What tests draw at random, the same each time they run.

/// Draws numbers below `most`.
pub fn below(seed: u64) -> impl FnMut(usize) -> usize {
    let mut next = bits(seed);
    move |most| (next() >> 33) as usize % most
}

/// Draws 64 bits, of which the upper ones are the better; Knuth's MMIX.
pub fn bits(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state
    }
}
