//! Scriptable proxies and an origin on loopback: real sockets for tests, demos and benchmarks, and nothing that leaves
//! the machine.
//!
//! A [`Fleet`] is started from a [`FleetSpec`], runs on threads of its own, and ends when it is stopped or dropped.
//!
//! # Names
//! `*.test` and the names in [`FleetSpec::hosts`] lead to the origin, whatever port is asked; the origin understands
//! HTTP and TLS on the same port. Addresses and `localhost` are connected to if they are loopback. Everything else is
//! refused (502, or its like in SOCKS): so a page from `shop.test` proves that the proxy resolved the name.
//!
//! # What a fault does
//! One *exchange* is a forwarded request, a CONNECT, or a SOCKS request; schedules and luck count these.
//!
//! | Fault | Forwarded request | CONNECT | SOCKS |
//! |---|---|---|---|
//! | refuse, always | the port is closed | the same | the same |
//! | refuse, scripted | RST | RST | RST |
//! | hang | nothing is answered | the same | the same, after the handshake |
//! | reset | RST after the request | the same | the same |
//! | cut | the body breaks off | the tunnel breaks off after so many bytes | the same |
//! | a status | this answer | this answer | not allowed (403, 407, 429), host unreachable (502), TTL expired (504), failure |
//! | ban, rate limit | 403 and a captcha page, or 429, by the site | the same, inside the tunnel | the same |
//!
//! A flap in milliseconds that refuses closes the port as well. Bans and rate limits come from the origin, which knows
//! through which proxy a request came: they work inside TLS too, and count requests, not tunnels.
//! A behaviour with a constant fault, set while tunnels are open, breaks them: with RST (refuse, reset), by silence
//! (hang), or by closing them (the others). Requests on kept connections meet the new behaviour.
//!
//! Latency delays the answer to each exchange; in a tunnel also each turn of the conversation, TLS handshakes excepted:
//! a request over a fresh tunnel waits twice, the next ones once.

// Scripted delays and schedules run on real time, and what it counts decides nothing in the core.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod behaviour;
mod counters;
mod error;
mod fault;
#[allow(clippy::module_inception)]
mod fleet;
mod http;
mod names;
mod net;
mod origin;
mod proxy;
mod registry;
mod rng;
mod runtime;
mod script;
mod sites;
mod spec;
mod tls;

pub use behaviour::{Bans, Behaviour, Flap, FlapUnit, Latency, RateLimit};
pub use counters::{OriginCounts, ProxyCounts};
pub use error::{FleetError, SpecError};
pub use fault::Fault;
pub use fleet::Fleet;
pub use spec::{FleetSpec, Login, ProxySpec, Scheme};
