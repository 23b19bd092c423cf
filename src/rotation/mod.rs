//! The lease: strategy and pool tied into one decision and one outcome.

pub mod connections;
pub mod lease;
pub mod queue;
mod site_outcome;
