//! The structures that views keep up to date, so that a choice needs no scan.

pub(crate) mod bits;
pub(crate) mod dense;
pub(crate) mod groups;
pub mod order;
pub mod sampler;
mod slots;
pub(crate) mod unexplored;

pub(super) use slots::SlotIndex;
