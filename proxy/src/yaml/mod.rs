//! YAML on its way to being configuration: files and what they include, values with units, texts with placeholders, and
//! what is wrong where.

pub mod diagnostic;
pub mod document;
pub mod placeholders;
pub mod registry;
pub mod units;
