//! Coded data: bits, the symbols that they are codes of, and the blocks that those make up; read and written.

pub mod bits;
pub mod coder;
pub mod coding;
pub mod huffman;
pub mod optimal;
