//! What is wrong with a file that is read all the same, as viewers do. None of it is written again.

use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Leniency {
    /// It has no Huffman tables and means those of the standard, like a frame of a Motion-JPEG.
    StandardHuffmanTables,
    /// A Huffman table cannot be; no scan uses it.
    BrokenHuffmanTable,
    /// Several components have the same name.
    RepeatedComponentNames,
    /// Bytes lie between two segments.
    StrayBytes,
    /// The file has no chunk that ends it.
    NoEnd,
    /// A checksum is not its chunk's: coded data count all the same, what is told beside them does not.
    WrongChecksum,
    /// It is an animation of a single frame.
    SingleFrame,
    /// An animation has fewer or more frames than it says.
    WrongFrameCount,
    /// Frames have no colours, and are shown in levels of grey.
    NoPalette,
    /// Runs of a BMP go beyond its rows or break off, or lie upside down, which is not provided for.
    BrokenRuns,
    /// A BMP begins with its second head.
    NoFileHead,
}
