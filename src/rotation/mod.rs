//! Strategy and pool tied into one decision and one outcome (the lease), and into the attempts of a request (the rotation).

pub mod chooser;
pub mod connections;
mod domain;
#[cfg(not(loom))]
#[cfg_attr(not(feature = "python"), allow(dead_code))]
pub(crate) mod forking;
pub mod gate;
pub mod lease;
pub mod policy;
pub mod queue;
pub mod retry;
mod site_outcome;
pub mod spending;
pub mod step;

pub use domain::Domain;
