//! Hides regions of a scan that was read through: a plan of what is shown instead, its blocks, the new file and its
//! proof.

mod area;
mod paint;
pub mod plan;
mod proof;
mod recode;
mod repaint;
mod steps;
mod task;
mod write;

use image::RgbImage;

use self::{paint::Painter, plan::Plan, repaint::repaint, task::Task};
use super::{
    error::JpegError,
    scan::{Scan, preview::Scale},
    syntax::{header::Jpeg, output::Metadata},
};
use crate::redact::{Effect, Noise, Region, Spot};

impl Scan {
    /// Hides `regions` (pixels as stored) and returns the new file, whose promise has been proven: everything inside
    /// them, rounded outward to whole units, comes from their cells; every other block is the input's; of the headers
    /// only what decoding needs, and `metadata`. Without a region the entropy-coded data keeps its bytes.
    ///
    /// # Errors
    /// [`JpegError::TooLarge`], [`JpegError::Stopped`], or [`JpegError::Unproven`].
    pub fn redact(
        &self,
        jpeg: &Jpeg,
        regions: &[Region],
        effect: &dyn Effect,
        noise: &Noise,
        metadata: &Metadata,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Vec<u8>, JpegError> {
        let spots: Vec<Spot> = regions.iter().copied().map(Spot::from).collect();
        let plan = self.plan(jpeg, &spots, noise, go_on)?;
        self.write_proven(jpeg, &plan, effect, metadata, go_on)
    }

    /// The new file, which is as it should be.
    pub fn write_proven(
        &self,
        jpeg: &Jpeg,
        plan: &Plan,
        effect: &dyn Effect,
        metadata: &Metadata,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Vec<u8>, JpegError> {
        let task = self.task(jpeg, plan, metadata, go_on);
        let mut painter = Painter::new(jpeg, plan, effect);
        let output = task.write(&mut painter)?;
        task.prove(&output, &mut painter)?;
        Ok(output)
    }

    /// What will be shown of `spots`, whose regions are in pixels as stored: their cells.
    pub fn plan(
        &self,
        jpeg: &Jpeg,
        spots: &[Spot],
        noise: &Noise,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Plan, JpegError> {
        Plan::new(jpeg, self, spots, noise, go_on)
    }

    /// Shows in `image`, a preview of this file at `scale`, what will stand in the regions.
    pub fn repaint(&self, jpeg: &Jpeg, plan: &Plan, effect: &dyn Effect, scale: Scale, image: &mut RgbImage) {
        let mut painter = Painter::new(jpeg, plan, effect);
        for run in &plan.runs {
            repaint(scale, image, jpeg, &self.coding, *run, &mut painter);
        }
    }

    /// The new file. [`Scan::prove`] tells whether it is as it should be.
    pub fn write(
        &self,
        jpeg: &Jpeg,
        plan: &Plan,
        effect: &dyn Effect,
        metadata: &Metadata,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Vec<u8>, JpegError> {
        let task = self.task(jpeg, plan, metadata, go_on);
        task.write(&mut Painter::new(jpeg, plan, effect))
    }

    /// Reads `output` again and checks it against the input and the plan, in about the time of copying it.
    ///
    /// # Errors
    /// [`JpegError::Unproven`] if it is not what was promised.
    pub fn prove(
        &self,
        jpeg: &Jpeg,
        plan: &Plan,
        effect: &dyn Effect,
        metadata: &Metadata,
        output: &[u8],
        go_on: &dyn Fn() -> bool,
    ) -> Result<(), JpegError> {
        let task = self.task(jpeg, plan, metadata, go_on);
        task.prove(output, &mut Painter::new(jpeg, plan, effect))
    }

    fn task<'a>(
        &'a self,
        jpeg: &'a Jpeg,
        plan: &'a Plan,
        metadata: &'a Metadata,
        go_on: &'a dyn Fn() -> bool,
    ) -> Task<'a> {
        Task {
            jpeg,
            scan: self,
            plan,
            metadata,
            go_on,
        }
    }
}
