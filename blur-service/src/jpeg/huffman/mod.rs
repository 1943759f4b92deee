//! Huffman tables: as a file gives them, for reading and for writing, and made anew.

mod optimal;
mod read;
mod spec;

pub use optimal::Frequencies;
pub use read::{AcTable, BadCode, DcTable, END_OF_BLOCK, SIXTEEN_ZEROS, SymbolTable, signed};
pub use spec::{Codes, Spec};
