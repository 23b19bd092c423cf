//! The core through its public face: every strategy over pools that change, under threads, against naive references.

// How long a storm lasts, and when a hang is one, is real time; everything else takes a clock that stands still.
#![allow(clippy::disallowed_methods)]

mod blame;
mod chooser;
mod common;
mod connections;
mod distribution;
mod eligibility;
mod fairness;
mod gate;
mod growth;
mod judging;
mod layers;
mod leases;
mod membership;
mod net_common;
mod net_connect;
mod net_http1;
mod net_socks4;
mod net_socks5;
mod regressions;
mod retry;
mod rules;
mod sessions;
mod standing;
mod stress;
mod supply;
mod supply_fuzz;
mod supply_kinds;
mod windows;
