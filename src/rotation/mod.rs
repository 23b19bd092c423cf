//! The lease: strategy and pool tied into one decision and one outcome.

mod aside;
pub mod lease;
pub mod outcome;
