//! Rotation of HTTP requests through a pool of proxies: choosing, leasing and judging proxies, fast.
//!
//! # Layers
//! [`proxy`] is one proxy, [`pool`] is many; [`resilience`] keeps the ineligible out, [`judge`] says what an answer means,
//! [`strategy`] chooses, [`session`] keeps sessions on one proxy; [`rotation`] ties all of it into leases and requests,
//! without I/O. Beside them `wire` is HTTP without I/O, `drive` its sockets, and `relay` a local proxy server over all of it
//! (feature `wire`). [`net`] serves them. Only
//! the binding layer names Python.

pub mod clock;
#[cfg(feature = "wire")]
pub mod drive;
#[cfg(feature = "fleet")]
pub mod fleet;
// The embedding program shuts and opens the gate; here that is the binding.
#[cfg_attr(not(feature = "python"), allow(dead_code))]
mod fork;
pub mod judge;
pub mod metrics;
pub mod net;
pub mod pool;
pub mod proxy;
#[cfg(feature = "python")]
mod py;
mod random;
#[cfg(all(feature = "wire", unix))]
pub mod relay;
pub mod resilience;
pub mod rotation;
pub mod session;
pub mod storage;
pub mod strategy;
pub mod supply;
mod sync;
#[cfg(feature = "wire")]
pub mod wire;
