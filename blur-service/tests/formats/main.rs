//! Every format that can be read, in what it is written as, with what is kept of it: no face left by the form of a file.

#![allow(clippy::unwrap_used)]

mod animations;
mod avif;
#[path = "../common/mod.rs"]
mod common;
mod heic;
mod made;
mod pages;
mod stills;
