//! Requests over real sockets, on loopback: through the fleet, and to servers that are scripted byte by byte.

// Real sockets run on real time.
#![allow(clippy::disallowed_methods)]

mod bounds;
mod common;
mod faults;
mod identities;
mod idle;
mod looped;
mod opening;
mod replies;
mod reuse;
mod streams;
mod turns;
mod ways;
