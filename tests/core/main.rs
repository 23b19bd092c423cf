//! The core through its public face: every strategy over pools that change, under threads, against naive references.

mod common;
mod distribution;
mod eligibility;
mod fairness;
mod leases;
mod membership;
mod regressions;
mod rules;
mod sessions;
mod stress;
mod windows;
